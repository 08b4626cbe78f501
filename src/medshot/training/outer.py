"""The outer loop: what improves a learner over many episodes."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medshot.errors import InputError, Interrupted, MedshotError
from medshot.imaging import Augmentation
from medshot.tasks import Episode, Episodes, Task
from medshot.training.batches import BatchSettings, draw_batch, task_shares, to_tensors
from medshot.training.checkpoint import CHECKPOINT, Progress, StopRequest, load_checkpoint, save_checkpoint
from medshot.training.engine import Engine, fastest_engine, parse_engine
from medshot.training.split import TaskSplit
from medshot.training.trainable import Trainable

Report = Callable[[dict[str, Any]], None]
VALIDATION = 2**40


@dataclass(frozen=True)
class OuterSettings:
    """How meta-training goes.

    Args:
        steps: the most outer steps.
        learning_rate: α, of Adam (Kingma and Ba, 2015); falls to zero along a cosine.
        clip: the largest norm of the meta-gradient.
        refresh: every so many steps one is made on new tasks.
        validate_every: outer steps between validations, which are also when a checkpoint is written.
        validation_batches: batches in one validation, the same ones each time.
        patience: validations without improvement after which training may stop.
        tolerance: it stops then, if since the last validation the parameters moved by less than this share of their
            norm.
        seed: decides every draw.
        batch: what a batch looks like.

    Raises:
        InputError: a number is out of range.
    """

    steps: int = 1000
    learning_rate: float = 0.001
    clip: float = 10.0
    refresh: int = 5
    validate_every: int = 50
    validation_batches: int = 4
    patience: int = 6
    tolerance: float = 0.02
    seed: int = 0
    batch: BatchSettings = field(default_factory=BatchSettings)

    def __post_init__(self) -> None:
        for name in ("steps", "refresh", "validate_every", "validation_batches", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, but must be 1 or more.")
        for name in ("learning_rate", "clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is {getattr(self, name)}, but must be a positive number.")
        if self.seed < 0:
            raise InputError(f"seed is {self.seed}, but must be 0 or more.")


def meta_train(
    learner: Trainable,
    split: TaskSplit,
    settings: OuterSettings,
    *,
    folder: Path | None = None,
    resume: bool = False,
    device: torch.device | None = None,
    engine: str | None = None,
    report: Report = lambda event: None,
) -> Progress:
    """Meta-train `learner` in place and leave it with the parameters that did best on the validation tasks.

    Each step draws a batch of training tasks (every `refresh` steps, of new ones) and takes one Adam step on the mean
    loss after adaptation. A step's randomness depends on the seed and its number alone.

    Args:
        learner: what is meta-trained.
        split: the tasks.
        settings: how.
        folder: where checkpoints go; none are written where it is left out.
        resume: go on from the checkpoint in `folder`, if there is one.
        device: where to work; the CPU where it is left out.
        engine: "loop", "vmap" or "chunk:N"; the fastest is measured where it is left out.
        report: called with every event: of kind "start", "step", "validation" or "end".

    Raises:
        Interrupted: Ctrl-C was pressed; the state is saved in `folder`.
        MedshotError: the loss is no longer a number.
    """
    device = device or torch.device("cpu")
    optimizer = torch.optim.Adam(learner.parameters(), lr=settings.learning_rate)
    progress = Progress(fingerprint=_fingerprint(learner, split, settings))
    best, last = _copy(learner), _vector(learner)
    if resume and folder and (folder / CHECKPOINT).exists():
        progress, best, last = load_checkpoint(folder, progress.fingerprint, learner, optimizer)
    learner.train()
    progress.engine = engine or progress.engine or str(_measure(learner, split, settings, device))
    learner.engine = parse_engine(progress.engine)
    validation = _validation_episodes(learner, split, settings)
    report({"kind": "start", "step": progress.step, "steps": settings.steps, "engine": progress.engine})
    with StopRequest() as stop:
        while progress.step < settings.steps and not progress.converged:
            report(_step(learner, optimizer, split, settings, progress.step, device))
            progress.step += 1
            if progress.step % settings.validate_every == 0 or progress.step == settings.steps:
                loss, accuracy = _validate(learner, validation, device)
                _check_finite(loss, "validation loss", progress.step - 1)
                moved = float((_vector(learner) - last.to(device)).norm() / last.norm())
                last = _vector(learner)
                if progress.best_loss is None or loss < progress.best_loss:
                    best = _copy(learner)
                    progress.best_loss, progress.best_step, progress.stale = loss, progress.step, 0
                else:
                    progress.stale += 1
                progress.converged = progress.stale >= settings.patience and moved < settings.tolerance
                report(
                    {
                        "kind": "validation",
                        "step": progress.step,
                        "loss": loss,
                        "accuracy": accuracy,
                        "moved": moved,
                    }
                )
                if folder:
                    save_checkpoint(folder, progress, learner, best, last, optimizer)
            if stop.requested:
                if folder:
                    save_checkpoint(folder, progress, learner, best, last, optimizer)
                kept = (
                    f"it is saved in {folder}; give the same command with --resume to go on" if folder else "not saved"
                )
                raise Interrupted(f"Stopped after step {progress.step} of {settings.steps}: {kept}.")
    learner.load_state_dict(best)
    report(
        {
            "kind": "end",
            "step": progress.step,
            "best_step": progress.best_step,
            "best_loss": progress.best_loss,
        }
    )
    return progress


def _step(
    learner: Trainable,
    optimizer: torch.optim.Adam,
    split: TaskSplit,
    settings: OuterSettings,
    step: int,
    device: torch.device,
) -> dict[str, Any]:
    start = time.perf_counter()
    fresh = (step + 1) % settings.refresh == 0
    batch, shares = _batch(learner, split.new if fresh else split.train, settings, step, device)
    rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad()
    losses, accuracies = learner.scores(batch)
    loss = (losses * shares).sum()
    _check_finite(loss.item(), "meta-loss", step)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(learner.parameters(), settings.clip)
    _check_finite(norm.item(), "norm of the meta-gradient", step)
    optimizer.step()
    return {
        "kind": "step",
        "step": step + 1,
        "loss": loss.item(),
        "accuracy": (accuracies * shares).sum().item(),
        "gradient_norm": norm.item(),
        "learning_rate": rate,
        "new_tasks": fresh,
        "episodes": len(batch),
        "seconds": time.perf_counter() - start,
    }


def _check_finite(value: float, name: str, step: int) -> None:
    if not math.isfinite(value):
        raise MedshotError(f"The {name} is {value} at step {step + 1}; lower --learning-rate.")


def _batch(
    learner: Trainable, tasks: Sequence[Task], settings: OuterSettings, step: int, device: torch.device
) -> tuple[Episodes, Tensor]:
    """The batch of a step, and each episode's share of the loss: tasks count alike, whatever their number of folds."""
    rng = np.random.default_rng([settings.seed, step])
    episodes = draw_batch(tasks, settings.batch, rng, cross_validated=learner.cross_validated)
    augmentation = Augmentation() if settings.batch.augment else None
    batch = to_tensors(episodes, learner.input_spec, device, augmentation, int(rng.integers(2**62)))
    return batch, task_shares(episodes).to(device)


def _measure(learner: Trainable, split: TaskSplit, settings: OuterSettings, device: torch.device) -> Engine:
    """The fastest engine for one outer step's work, tried on a batch like those to come."""
    batch, _ = _batch(learner, split.train, settings, 0, device)

    def run(engine: Engine) -> None:
        learner.engine = engine
        gradients = torch.autograd.grad(learner.scores(batch)[0].mean(), list(learner.parameters()), allow_unused=True)
        del gradients

    return fastest_engine(run, len(batch))


def _validation_episodes(learner: Trainable, split: TaskSplit, settings: OuterSettings) -> list[list[Episode]]:
    return [
        draw_batch(
            split.validation,
            settings.batch,
            np.random.default_rng([settings.seed, VALIDATION + number]),
            cross_validated=learner.cross_validated,
        )
        for number in range(settings.validation_batches)
    ]


def _validate(learner: Trainable, validation: list[list[Episode]], device: torch.device) -> tuple[float, float]:
    """Mean loss and accuracy over the validation episodes, which are never augmented."""
    losses, accuracies = [], []
    for episodes in validation:
        with torch.no_grad():
            loss, accuracy = learner.scores(to_tensors(episodes, learner.input_spec, device))
        shares = task_shares(episodes).to(loss)
        losses.append((loss * shares).sum().item())
        accuracies.append((accuracy * shares).sum().item())
    return float(np.mean(losses)), float(np.mean(accuracies))


def _fingerprint(learner: Trainable, split: TaskSplit, settings: OuterSettings) -> str:
    """A digest of everything that decides the result; a checkpoint is resumed only under the same."""
    parts = (split.train, split.new, split.validation)
    tasks = [
        [(task.name, task.hashes(), task.labels.tolist(), task.patient_codes.tolist(), task.flip) for task in part]
        for part in parts
    ]
    shapes = {name: list(value.shape) for name, value in learner.state_dict().items()}
    content = [type(learner).__name__, learner.settings(), repr(learner.input_spec), shapes, asdict(settings), tasks]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _copy(learner: Trainable) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in learner.state_dict().items()}


def _vector(learner: Trainable) -> Tensor:
    return torch.cat([value.detach().flatten() for value in learner.parameters()])
