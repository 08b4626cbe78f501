"""Training an encoder into a folder: a checkpoint while it lasts, the encoder when it is done."""

import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medshot.encoders.encoder import Weights
from medshot.encoders.folder import RECORD, write_encoder
from medshot.encoders.lite0 import ARCHITECTURE, LITE0, Lite0, imagenet_weights
from medshot.errors import InputError, MedshotError
from medshot.imaging import ImageInput
from medshot.tasks import Task, task_records, training_images
from medshot.training.engine import resolve_device
from medshot.training.pretraining.loop import train_encoder
from medshot.training.pretraining.settings import PARAMETERS, EncoderSettings, fold
from medshot.unfinished import check_unfinished, unfinished


def averaged(start: Weights, trained: Weights, kept: float) -> dict[str, Tensor]:
    """The weights on the line from those before training to those after it, as they are written: in float16.

    A network that is trained further is better at what it is trained on and worse at the rest; one on the way between
    keeps most of both (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022, equation 1).

    Args:
        start: before training; may hold more.
        trained: after it.
        kept: how much of the start, 0 to 1.

    Raises:
        MedshotError: a weight is too large for float16.
    """
    found = {}
    for name, value in trained.items():
        if value.is_floating_point():
            value = (kept * start[name].to(value) + (1 - kept) * value).half()
            if not value.isfinite().all():
                raise MedshotError(f"Weights '{name}' grew too large for float16; lower the learning rate.")
        found[name] = value
    return found


STRETCHES = 20


def train_encoder_into(
    folder: Path,
    tasks: Sequence[Task],
    settings: EncoderSettings,
    *,
    name: str | None = None,
    resume: bool = False,
    device: str = "cpu",
) -> None:
    """Train EfficientNet-Lite0 across tasks, from its ImageNet weights, and make `folder` an encoder's folder.

    What is written is the mean of the weights before and after training, weighed by `settings.kept`.

    Until `encoder.json` is there, the encoder is unfinished: the folder holds the last checkpoint, from which the same
    call with `resume` goes on. Training that fails before its first checkpoint leaves no folder.

    Args:
        folder: where it goes.
        tasks: what it is trained on.
        settings: how.
        name: what it is called: small letters, digits and hyphens; made of the folder's name where it is left out.
        resume: go on from the checkpoint in `folder`.
        device: "cpu", "cuda", "mps" or "auto".

    Raises:
        InputError: the tasks cannot be used, the name has other characters, or this machine has no such device.
        MedshotError: weights or the loss grew beyond all numbers.
        StorageError: `folder` exists (without `resume`), is finished, or cannot be written.
        Interrupted: Ctrl-C was pressed; the state is saved in `folder`.
    """
    called = _name(folder.name) if name is None else name
    if called != _name(called):
        raise InputError(f"name is '{called}', but must be of small letters, digits and single hyphens.")
    check_unfinished(folder, RECORD, resume=resume)
    where = resolve_device(device)
    for task in tasks:
        task.images.pixels(ImageInput(channels=3, size=settings.size))
    seen = training_images(tasks, ARCHITECTURE.input_spec)
    start = imagenet_weights()
    network = Lite0(start)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        PARAMETERS[settings.parameters](network, settings.frozen)
    with unfinished(folder, resume=resume):
        losses = train_encoder(network, tasks, settings, folder=folder, device=where)
        training = _training(tasks, settings, losses, where)
        fold(network)
        weights = averaged(start, network.network.cpu().state_dict(), settings.kept)
        write_encoder(folder, called, "lite0", weights, seen, training)


def _name(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-") or "encoder"


def _training(
    tasks: Sequence[Task], settings: EncoderSettings, losses: list[float], device: torch.device
) -> dict[str, Any]:
    """What is recorded of the training; its losses as means over equal stretches of the steps."""
    stretches = np.array_split(losses, min(STRETCHES, len(losses)))
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "start": LITE0.sha256,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "settings": asdict(settings),
        "losses": [float(stretch.mean()) for stretch in stretches],
        "tasks": [record.model_dump() for record in task_records(tasks)],
    }
