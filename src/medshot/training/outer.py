"""The outer loop, which improves a learner over many episodes."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medshot.errors import InputError, Interrupted, MedshotError
from medshot.tasks import Episode, Episodes
from medshot.training.batches import Batches, BatchSettings, TaskSplit
from medshot.training.checkpoint import Progress, StopRequest, load_checkpoint, save_checkpoint
from medshot.unfinished import CHECKPOINT

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class OuterSettings:
    """The settings of meta-training.

    Args:
        steps: the most outer steps.
        learning_rate: α, of Adam (Kingma and Ba, 2015); falls to zero along a cosine.
        clip: the largest norm of the meta-gradient.
        refresh: number of steps after which one step is made on new tasks.
        validate_every: outer steps between validations, which are also when a checkpoint is written.
        validation_batches: batches in one validation, the same ones each time.
        patience: validations without improvement after which training may stop.
        tolerance: it stops then, if since the last validation the parameters moved by less than this share of their
            norm.
        seed: decides every draw.
        batch: the settings of every batch.

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


class OuterLoop:
    """Adam steps on the mean query loss after adaptation, until the validation tasks no longer gain from them.

    Each step draws a batch of training tasks (every `refresh` steps, of new ones). Its randomness depends on the seed
    and its number alone, so that a resumed loop ends with the same bits.

    Args:
        learner: holds the parameters that are learned; already on its device.
        scores: the query loss and accuracy of each task of a batch, differentiable in these parameters.
        batches: draws them.
        split: the tasks.
        settings: the settings of meta-training.
        fingerprint: a digest of everything that decides the result; a checkpoint of another is refused.
        content: what the digest is of, in words.
    """

    def __init__(
        self,
        learner: nn.Module,
        scores: Callable[[Episodes], tuple[Tensor, Tensor]],
        batches: Batches,
        split: TaskSplit,
        settings: OuterSettings,
        fingerprint: str,
        content: dict[str, Any],
    ) -> None:
        self.learner, self.scores, self.batches, self.split, self.settings = learner, scores, batches, split, settings
        self.optimizer = torch.optim.Adam(learner.parameters(), lr=settings.learning_rate)
        self.progress = Progress(fingerprint=fingerprint, content=content)
        self.best, self.last = _copy(learner), _vector(learner)

    def resume(self, folder: Path) -> None:
        """Continue from the checkpoint in `folder`, if there is one."""
        if (folder / CHECKPOINT).exists():
            found = load_checkpoint(folder, self.progress, self.learner, self.optimizer)
            self.progress, self.best, self.last = found

    def run(self, folder: Path | None, reports: Sequence[Report]) -> None:
        """Run to the end, and leave the learner with the parameters that did best on the validation tasks.

        Args:
            folder: where checkpoints go, if anywhere.
            reports: called with every event: of kind "start", "step", "validation" or "end".

        Raises:
            Interrupted: Ctrl-C was pressed; the state is saved in `folder`.
            MedshotError: the loss is no longer a number.
        """

        def report(event: dict[str, Any]) -> None:
            for each in reports:
                each(event)

        progress, settings = self.progress, self.settings
        validation = [
            self.batches.validation(self.split.validation, number) for number in range(settings.validation_batches)
        ]
        report({"kind": "start", "step": progress.step, "steps": settings.steps, "engine": progress.engine})
        with StopRequest() as stop:
            while progress.step < settings.steps and not progress.converged:
                report(self._step(progress.step))
                progress.step += 1
                if progress.step % settings.validate_every == 0 or progress.step == settings.steps:
                    report(self._judge(*self._validate(validation)))
                    self._save(folder)
                if stop.requested:
                    self._save(folder)
                    kept = f"it is saved in {folder}; give the same command with --resume to continue"
                    raise Interrupted(
                        f"Stopped after step {progress.step} of {settings.steps}: {kept if folder else 'not saved'}."
                    )
        self.learner.load_state_dict(self.best)
        ends = {"best_step": progress.best_step, "best_loss": progress.best_loss}
        report({"kind": "end", "step": progress.step, **ends})

    def _step(self, step: int) -> dict[str, Any]:
        start, settings = time.perf_counter(), self.settings
        fresh = (step + 1) % settings.refresh == 0
        batch, shares = self.batches.training(self.split.new if fresh else self.split.train, step)
        rate = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        losses, accuracies = self.scores(batch)
        loss = (losses * shares).sum()
        _check_finite(loss.item(), "meta-loss", step)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.learner.parameters(), settings.clip)
        _check_finite(norm.item(), "norm of the meta-gradient", step)
        self.optimizer.step()
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

    def _validate(self, validation: Sequence[Sequence[Episode]]) -> tuple[float, float]:
        """Return the mean loss and accuracy over the validation episodes."""
        losses, accuracies = [], []
        for episodes in validation:
            batch, shares = self.batches.tensors(episodes)
            with torch.no_grad():
                loss, accuracy = self.scores(batch)
            losses.append((loss * shares.to(loss)).sum().item())
            accuracies.append((accuracy * shares.to(loss)).sum().item())
        return float(np.mean(losses)), float(np.mean(accuracies))

    def _judge(self, loss: float, accuracy: float) -> dict[str, Any]:
        """Keep the parameters if they are the best, and decide whether to stop."""
        progress, settings = self.progress, self.settings
        _check_finite(loss, "validation loss", progress.step - 1)
        now = _vector(self.learner)
        moved = float((now - self.last.to(now)).norm() / self.last.norm())
        self.last = now
        if progress.best_loss is None or loss < progress.best_loss:
            self.best = _copy(self.learner)
            progress.best_loss, progress.best_step, progress.stale = loss, progress.step, 0
        else:
            progress.stale += 1
        progress.converged = progress.stale >= settings.patience and moved < settings.tolerance
        return {"kind": "validation", "step": progress.step, "loss": loss, "accuracy": accuracy, "moved": moved}

    def _save(self, folder: Path | None) -> None:
        if folder:
            save_checkpoint(folder, self.progress, self.learner, self.best, self.last, self.optimizer)


def _check_finite(value: float, name: str, step: int) -> None:
    if not math.isfinite(value):
        raise MedshotError(f"The {name} is {value} at step {step + 1}; lower --learning-rate.")


def _copy(learner: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in learner.state_dict().items()}


def _vector(learner: nn.Module) -> Tensor:
    return torch.cat([value.detach().flatten() for value in learner.parameters()])
