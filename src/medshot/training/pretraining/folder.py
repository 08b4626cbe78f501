"""Train an encoder into a folder, which holds a checkpoint during training and the encoder afterwards."""

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
    """Return the weighted mean of the weights before and after training, in float16, as they are written.

    A network that is trained further gets better on the tasks of its training and worse on others; the mean keeps most
    of both (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022, equation 1).

    Args:
        start: the weights before training; further ones are ignored.
        trained: the weights after training.
        kept: the share of `start`, 0 to 1.

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

    The folder gets the mean of the weights before and after training, weighted by `settings.kept`.

    Until `encoder.json` exists, the encoder is unfinished: the folder holds the last checkpoint, from which the same
    call with `resume` continues. Training that fails before its first checkpoint leaves no folder.

    Args:
        folder: the folder to write.
        tasks: the tasks to train on.
        settings: of the training.
        name: of the encoder: small letters, digits and hyphens; if left out, it is made from the folder's name.
        resume: continue from the checkpoint in `folder`.
        device: "cpu", "cuda", "mps" or "auto".

    Raises:
        InputError: the tasks cannot be used, the name has other characters, or this machine has no such device.
        MedshotError: a weight or the loss became too large.
        StorageError: `folder` exists (without `resume`), is finished, or cannot be written.
        Interrupted: Ctrl-C was pressed; the state is saved in `folder`.
    """
    name = _name(folder.name) if name is None else name
    if name != _name(name):
        raise InputError(f"name is '{name}', but must consist of small letters, digits and single hyphens.")
    check_unfinished(folder, RECORD, resume=resume)
    where = resolve_device(device)
    for task in tasks:
        task.images.pixels(ImageInput(channels=3, size=settings.size))
    images = training_images(tasks, ARCHITECTURE.input_spec)
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
        write_encoder(folder, name, "lite0", weights, images, training)


def _name(text: str) -> str:
    return re.sub("[^a-z0-9]+", "-", text.lower()).strip("-") or "encoder"


def _training(
    tasks: Sequence[Task], settings: EncoderSettings, losses: list[float], device: torch.device
) -> dict[str, Any]:
    """Return the record of the training, with the losses as means over equal stretches of the steps."""
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
