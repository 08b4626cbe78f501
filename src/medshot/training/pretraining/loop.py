"""The loop that trains an encoder's network, and resumes from checkpoints."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor, nn
from torch.optim import AdamW

from medshot.encoders.lite0 import Lite0
from medshot.errors import Interrupted, MedshotError, StorageError, TooFewPatients
from medshot.imaging import Augmentation, ImageInput, augment
from medshot.progress import progress
from medshot.storage import read_arrays, read_metadata, write_arrays
from medshot.tasks import Episode, Task, digest_of, draw_episode
from medshot.training.checkpoint import StopRequest, optimizer_arrays, restore_optimizer
from medshot.training.pretraining.objectives import OBJECTIVES
from medshot.training.pretraining.settings import EncoderSettings
from medshot.unfinished import CHECKPOINT, refuse_other_settings

ATTEMPTS = 50
STRONG = Augmentation(
    rotation=20.0,
    translation=0.1,
    scale=0.25,
    shear=8.0,
    brightness=0.15,
    contrast=0.3,
    gamma=0.3,
    noise=0.03,
    blur=1.0,
)


def draw_episodes(tasks: Sequence[Task], settings: EncoderSettings, rng: np.random.Generator) -> list[Episode]:
    """Draw the episodes of one step: first a data set, each with equal probability, then one of its tasks.

    Tasks with too few patients for a draw are skipped.

    Raises:
        TooFewPatients: no task has enough patients.
    """
    sources = sorted({task.source for task in tasks})
    episodes: list[Episode] = []
    for _ in range(ATTEMPTS * settings.tasks):
        source = sources[rng.integers(len(sources))]
        of_source = [task for task in tasks if task.source == source]
        task = of_source[rng.integers(len(of_source))]
        ways = min(settings.ways, len(task.classes))
        try:
            episodes.append(draw_episode(task, shots=settings.shots, queries=settings.queries, ways=ways, rng=rng))
        except TooFewPatients:
            continue
        if len(episodes) == settings.tasks:
            return episodes
    raise TooFewPatients(
        f"No {settings.tasks} draws with {settings.shots} support patients of each class and others beside them could "
        f"be made from {len(tasks)} tasks; add patients."
    )


def draw_pictures(
    episodes: Sequence[Episode], size: int, views: int, seed: int
) -> Float[Tensor, "views images 3 size size"]:
    """Return augmented views, from 0 to 1, of each episode's support images and then its query images."""
    shape = ImageInput(channels=3, size=size)
    generator = torch.Generator().manual_seed(seed)
    tensors = []
    for episode in episodes:
        pictures = episode.task.batch(np.concatenate([episode.support, episode.query]), shape)
        flip = episode.task.flip
        tensors.append(torch.stack([augment(pictures, STRONG, flip=flip, generator=generator) for _ in range(views)]))
    return torch.cat(tensors, dim=1)


WHITE = 255.0
FEATURES = 1280
PREFIX = "encoding/"


class Encoding(nn.Module):
    """The network, and the parameters of its objective.

    Args:
        network: the network; its last features are trained.
        objective: a key of `OBJECTIVES`.
        tasks: the tasks to train on.
    """

    def __init__(self, network: Lite0, objective: str, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.network = network
        self.objective = OBJECTIVES[objective](FEATURES, tasks)

    def forward(
        self, pictures: Float[Tensor, "views images 3 size size"], episodes: Sequence[Episode]
    ) -> Float[Tensor, ""]:
        """Return the loss on pictures from 0 to 1."""
        features = self.network.last(WHITE * pictures.flatten(0, 1))
        return self.objective(features.unflatten(0, pictures.shape[:2]), episodes)


def train_encoder(
    network: Lite0, tasks: Sequence[Task], settings: EncoderSettings, *, folder: Path, device: torch.device
) -> list[float]:
    """Train in place the parameters of the network that require gradients; return the loss of every step.

    The draws of a step depend only on the seed and the number of the step. Training continues from a checkpoint in
    `folder` if there is one. On a GPU that supports bfloat16, arithmetic is in bfloat16.

    Args:
        network: the network; the statistics of its batch norm do not change.
        tasks: the tasks to train on.
        settings: of the training.
        folder: the folder for checkpoints.
        device: the device to train on; the network stays there.

    Raises:
        Interrupted: Ctrl-C was pressed; the state is saved in `folder`.
        MedshotError: the loss is no longer a number.
        StorageError: the checkpoint is damaged, or belongs to other tasks or settings.
        TooFewPatients: no task has enough patients.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        encoding = Encoding(network, settings.objective, tasks)
    encoding.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = AdamW(
        [
            {"params": trained, "base": settings.learning_rate},
            {"params": list(encoding.objective.parameters()), "base": settings.head_rate},
        ],
        weight_decay=settings.weight_decay,
    )
    fabric = _fabric(device)
    module, stepper = fabric.setup(encoding, optimizer)
    fingerprint, content = _fingerprint(tasks, settings), _content(tasks, settings)
    losses = _resume(folder, fingerprint, encoding, optimizer, content)
    with progress("training the encoder", settings.steps) as advance, StopRequest() as stop:
        advance.skip(len(losses))
        for step in range(len(losses), settings.steps):
            rng = np.random.default_rng([settings.seed, step])
            episodes = draw_episodes(tasks, settings, rng)
            seed = int(rng.integers(2**62))
            pictures = draw_pictures(episodes, settings.size, encoding.objective.views, seed)
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
            advance(1, f"loss {losses[-1]:.3f}")
            if stop.requested or (step + 1) % settings.checkpoint_every == 0 or step + 1 == settings.steps:
                _save(folder, fingerprint, encoding, optimizer, losses, content)
            if stop.requested:
                raise Interrupted(
                    f"Stopped after step {step + 1} of {settings.steps}: it is saved in {folder}; give the same "
                    "command with --resume to continue."
                )
    return losses


def _fabric(device: torch.device) -> Fabric:
    bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    devices = [device.index or 0] if device.type == "cuda" else 1
    return Fabric(
        accelerator=device.type,
        devices=devices,
        precision="bf16-mixed" if bf16 else "32-true",
        plugins=[LightningEnvironment()],  # one process: otherwise Fabric looks for a cluster, and warns beside `srun`
    )


def _save(
    folder: Path,
    fingerprint: str,
    encoding: Encoding,
    optimizer: AdamW,
    losses: list[float],
    content: Mapping[str, Any],
) -> None:
    arrays = {PREFIX + name: value for name, value in encoding.state_dict().items()} | optimizer_arrays(optimizer)
    plain = {name: value.detach().cpu().numpy() for name, value in arrays.items()}
    metadata = {"fingerprint": fingerprint, "progress": json.dumps({"step": len(losses), "content": content})}
    write_arrays(folder / CHECKPOINT, plain | {"losses": np.array(losses)}, metadata)


def _resume(
    folder: Path, fingerprint: str, encoding: Encoding, optimizer: AdamW, content: Mapping[str, Any]
) -> list[float]:
    """Restore encoding and optimizer from the checkpoint, if there is one; return the losses so far."""
    path = folder / CHECKPOINT
    if not path.exists():
        return []
    arrays = {name: torch.from_numpy(np.array(value)) for name, value in read_arrays(path).items()}
    metadata = read_metadata(path)
    if metadata.get("fingerprint") != fingerprint:
        refuse_other_settings(path, json.loads(metadata.get("progress", "{}")).get("content", {}), content)
    try:
        losses = arrays["losses"].tolist()
        encoding.load_state_dict({name: arrays[PREFIX + name] for name in encoding.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise StorageError(f"{path} is not a checkpoint of this version; start again in another folder.") from error
    restore_optimizer(optimizer, arrays)
    return losses


def _content(tasks: Sequence[Task], settings: EncoderSettings) -> dict[str, Any]:
    """Return the settings by their names and the digest of each task, to name what differs."""
    return asdict(settings) | {f"task {task.name}": digest_of(task) for task in tasks}


def _fingerprint(tasks: Sequence[Task], settings: EncoderSettings) -> str:
    content = [
        asdict(settings),
        [(task.name, task.hashes(), task.labels.tolist(), task.patient_codes.tolist()) for task in tasks],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
