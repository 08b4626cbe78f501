"""The loop that trains an encoder's network, with checkpoints it resumes from."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from medshot.errors import Interrupted, MedshotError, StorageError
from medshot.imaging import ImageShape
from medshot.imaging.cache import progress
from medshot.storage import read_arrays, read_metadata, write_arrays
from medshot.tasks import Task
from medshot.training.checkpoint import CHECKPOINT, optimizer_arrays, restore_optimizer
from medshot.training.encoders.drawing import draw_episodes, draw_pictures
from medshot.training.encoders.objectives import OBJECTIVES
from medshot.training.encoders.settings import STRONG, EncoderSettings
from medshot.training.interrupt import StopRequest

WHITE = 255.0


class Encoding(nn.Module):
    """The network with what its objective learns beside it.

    Args:
        network: pixels from 0 to 255 to features; those before `features` are of its last layer.
        features: how many of the last layer there are.
        objective: a key of `OBJECTIVES`.
        tasks: what it is trained on.
    """

    def __init__(self, network: nn.Module, features: int, objective: str, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.network, self.features = network, features
        self.objective = OBJECTIVES[objective](features, tasks)

    def forward(self, pictures: torch.Tensor, episodes: Sequence) -> torch.Tensor:
        """The loss on `(views, images, channels, size, size)`."""
        features = self.network(WHITE * pictures.flatten(0, 1))[:, : self.features]
        return self.objective(features.unflatten(0, pictures.shape[:2]), episodes)


def train_encoder(
    network: nn.Module,
    features: int,
    tasks: Sequence[Task],
    settings: EncoderSettings,
    *,
    folder: Path,
    device: str = "cpu",
) -> list[float]:
    """Train the network in place; returns the loss of every step.

    What is drawn in a step depends on the seed and its number alone. A checkpoint in `folder` that belongs to the same
    tasks and settings is gone on from. On a GPU that has it, arithmetic is in bfloat16.

    Args:
        network: its parameters that ask for gradients are trained; the statistics of its batch normalisation stay.
        features: how many features of its last layer come first.
        tasks: what it is trained on.
        settings: how.
        folder: where checkpoints go.
        device: as `resolve_device` names it.

    Raises:
        Interrupted: Ctrl-C was pressed; the state is saved in `folder`.
        MedshotError: the loss is no longer a number.
        StorageError: the checkpoint is damaged, or belongs to other tasks or settings.
    """
    bf16 = device.startswith("cuda") and torch.cuda.is_bf16_supported()
    fabric = Fabric(accelerator=device.partition(":")[0], devices=1, precision="bf16-mixed" if bf16 else "32-true")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        encoding = Encoding(network, features, settings.objective, tasks).to(memory_format=torch.channels_last)
    trained = [parameter for parameter in encoding.network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": trained, "base": settings.learning_rate},
            {"params": list(encoding.objective.parameters()), "base": settings.head_rate},
        ],
        weight_decay=settings.weight_decay,
    )
    fingerprint = _fingerprint(tasks, settings)
    losses = _resume(folder, fingerprint, encoding, optimizer)
    module, stepper = fabric.setup(encoding, optimizer)
    shape = ImageShape(channels=3, size=settings.size)
    with progress("training the encoder", settings.steps) as advance, StopRequest() as stop:
        advance(len(losses))
        for step in range(len(losses), settings.steps):
            rng = np.random.default_rng([settings.seed, step])
            episodes = draw_episodes(
                tasks,
                settings.tasks,
                shots=settings.shots,
                queries=settings.queries,
                ways=settings.ways,
                rng=rng,
            )
            seed = int(rng.integers(2**62))
            pictures = draw_pictures(episodes, shape, encoding.objective.views, STRONG, seed)
            for group in optimizer.param_groups:
                group["lr"] = group["base"] * settings.share_of_rate(step)
            stepper.zero_grad()
            loss = module(fabric.to_device(pictures), episodes)
            if not torch.isfinite(loss):
                raise MedshotError(f"The loss is {loss.item()} at step {step + 1}; lower the learning rate.")
            fabric.backward(loss)
            nn.utils.clip_grad_norm_(trained, 1.0)
            stepper.step()
            losses.append(loss.item())
            advance(1)
            if (step + 1) % settings.checkpoint_every == 0 or stop.requested:
                _save(folder, fingerprint, encoding, optimizer, losses)
            if stop.requested:
                raise Interrupted(f"Stopped after step {step + 1}; give the same command with --resume to go on.")
    return losses


def _save(
    folder: Path, fingerprint: str, encoding: Encoding, optimizer: torch.optim.Optimizer, losses: list[float]
) -> None:
    arrays = {f"encoding/{name}": value for name, value in encoding.state_dict().items()} | optimizer_arrays(optimizer)
    plain = {name: value.detach().cpu().numpy() for name, value in arrays.items()}
    write_arrays(folder / CHECKPOINT, plain | {"losses": np.array(losses)}, {"fingerprint": fingerprint})


def _resume(folder: Path, fingerprint: str, encoding: Encoding, optimizer: torch.optim.Optimizer) -> list[float]:
    path = folder / CHECKPOINT
    if not path.exists():
        return []
    if read_metadata(path).get("fingerprint") != fingerprint:
        raise StorageError(
            f"{path} was made with other tasks or settings; give the same ones to go on, or start anew elsewhere."
        )
    arrays = {name: torch.from_numpy(np.array(value)) for name, value in read_arrays(path).items()}
    prefix = "encoding/"
    encoding.load_state_dict(
        {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
    )
    restore_optimizer(optimizer, arrays)
    return arrays["losses"].tolist()


def _fingerprint(tasks: Sequence[Task], settings: EncoderSettings) -> str:
    content = [
        asdict(settings),
        [(task.name, task.hashes(), task.labels.tolist(), task.patient_codes.tolist()) for task in tasks],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
