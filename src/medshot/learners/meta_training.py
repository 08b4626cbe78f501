"""Meta-training a learner on tasks, with progress, and the record of how it was done."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medshot.learners.serialization import TrainingRecord
from medshot.tasks import Task, draw_folds, task_records
from medshot.training import OuterSettings, Report, Reporter, Trainable, meta_train, split_tasks, to_tensors


def train_and_record(
    learner: Trainable,
    tasks: Sequence[Task],
    settings: OuterSettings,
    *,
    folder: Path | None,
    resume: bool,
    device: torch.device,
    engine: str | None,
    report: Report | None,
) -> TrainingRecord:
    """Meta-train `learner` in place; returns the record of how it was done."""
    split = split_tasks(tasks, settings.seed)
    learner.to(device)
    with Reporter(settings.steps, folder, show=report is None) as reporter:

        def both(event: dict[str, Any]) -> None:
            reporter(event)
            if report:
                report(event)

        progress = meta_train(
            learner, split, settings, folder=folder, resume=resume, device=device, engine=engine, report=both
        )
    return TrainingRecord(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=settings.seed,
        engine=progress.engine,
        threads=torch.get_num_threads(),
        device=str(device),
        torch=torch.__version__,
        steps=progress.step,
        best_step=progress.best_step,
        best_loss=progress.best_loss,
        by_patients=split.by_patients,
        settings=asdict(settings),
        tasks=task_records(tasks),
    )


def update_on(learner: Trainable, task: Task, *, shots: int, steps: int, learning_rate: float, seed: int) -> None:
    """Adam steps of `learner` on the cross-validation loss within one task.

    Raises:
        TooFewPatients: a class has fewer than two patients, so that loss is undefined.
    """
    optimizer = torch.optim.Adam(learner.parameters(), lr=learning_rate)
    learner.train()
    try:
        for step in range(steps):
            rng = np.random.default_rng([seed, step])
            folds = draw_folds(task, shots=shots, queries=shots, rng=rng)
            batch = to_tensors(folds, learner.input_spec, next(learner.parameters()).device)
            optimizer.zero_grad()
            learner.scores(batch)[0].mean().backward()
            optimizer.step()
    finally:
        learner.train(False)
