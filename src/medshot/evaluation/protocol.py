"""Evaluation of learners on whole held-out tasks: the same episodes for every learner, with intervals."""

import os
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import torch
from jaxtyping import Float

from medshot.errors import InputError
from medshot.evaluation.by_class import prevalence_of
from medshot.evaluation.feasible import draw_feasible
from medshot.evaluation.overlap import refuse_identical, refuse_overlap
from medshot.evaluation.predictions import EpisodePredictions
from medshot.evaluation.results import Measurement, Metadata, Results, collect, measure
from medshot.evaluation.running import run_episodes
from medshot.evaluation.study import Study, describe_learner, describe_task
from medshot.evaluation.thresholds import support_thresholds
from medshot.learners import Learner
from medshot.progress import note, tracked
from medshot.selection.auto import Auto
from medshot.selection.outcomes import known_outcomes, without
from medshot.tasks import Episode, Task, draw_episode


@dataclass(frozen=True)
class Protocol:
    """The settings of an evaluation.

    Args:
        shots: numbers of labelled patients per class; each is evaluated separately.
        episodes: episodes per task and number of shots.
        queries: maximum number of query patients per class and episode.
        seed: seed of the episodes and of the bootstrap.
        baseline: the learner that all others are compared with.
        sensitivity: sensitivity that a threshold per class is chosen for on left-out patients of each support.
        prevalence: share of classes where the learner is to be used; predictive values are given at it.
    """

    shots: tuple[int, ...] = (1, 5, 10)
    episodes: int = 100
    queries: int = 25
    seed: int = 0
    baseline: str = "logistic"
    sensitivity: float | None = None
    prevalence: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.shots or min(self.shots) < 1 or len(set(self.shots)) < len(self.shots):
            raise InputError(f"shots is {self.shots}, but must be one or more different numbers of 1 or more.")
        for name, least in (("episodes", 1), ("queries", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}, but must be {least} or more.")
        if self.sensitivity is not None and not 0 < self.sensitivity < 1:
            raise InputError(f"sensitivity is {self.sensitivity:g}, but must be between 0 and 1, for example 0.95.")


@dataclass(frozen=True)
class Cell:
    """All results of one task at one number of shots, for tables and figures.

    Args:
        task: the task.
        shots: labelled patients per class.
        episodes: the episodes, the same for every learner.
        predictions: each learner's predictions, one per episode; columns follow the order of the task's classes.
        seconds: for each learner, the duration of each adaptation.
        thresholds: for each learner, the threshold of each episode and class; None if supports are too small for one.
    """

    task: Task
    shots: int
    episodes: list[Episode]
    predictions: dict[str, list[EpisodePredictions]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    thresholds: dict[str, Float[np.ndarray, "episodes ways"] | None] = field(default_factory=dict)


def evaluate(
    learners: Mapping[str, Learner],
    tasks: Sequence[Task],
    protocol: Protocol,
    *,
    device: torch.device | None = None,
    command: str = "",
    notes: Sequence[str] = (),
    show: bool = True,
) -> tuple[Results, list[Cell]]:
    """Score every learner on the same episodes of every task.

    Everything is checked before any learner runs. A task that a learner was trained on is refused. Numbers of shots
    that a task has too few patients for are left out, which `Metadata.notes` says.

    Args:
        learners: learners by their names in the table; one of them is `protocol.baseline`.
        tasks: held-out tasks.
        protocol: the settings.
        device: the device that learners are moved to and run on; by default, each runs where it is.
        command: the command that reproduces these results, for the record.
        notes: sentences about the tasks, for the record.
        show: whether to show progress on stderr.

    Raises:
        InputError: the baseline is missing, two tasks have one name, or a task shares images with a learner's training.
        TooFewPatients: no task has enough patients for any episode.
    """
    if protocol.baseline not in learners:
        raise InputError(f"The baseline '{protocol.baseline}' is not among {', '.join(learners)}; add it.")
    names = [task.name for task in tasks]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"Two tasks are named '{name}'; give each task once and under a different name.")
    _check_prevalence(protocol.prevalence, tasks)
    refuse_identical(learners.values(), tasks)
    found, left_out = draw_feasible(tasks, protocol.shots, lambda task, shots: draw_episodes(task, shots, protocol))
    cells = [Cell(task, shots, episodes) for task, shots, episodes in found]
    for sentence in left_out if show else ():
        note(sentence)
    for learner in learners.values():
        refuse_overlap(learner, tasks)
    work = [(cell, name) for cell in cells for name in learners]
    with leave_task_out(learners.values(), tasks):
        for cell, name in tracked(work, "evaluating") if show else work:
            cell.predictions[name], cell.seconds[name] = run_episodes(learners[name], cell.episodes, device)
            if protocol.sensitivity is not None:
                cell.thresholds[name] = support_thresholds(
                    learners[name], cell.episodes, protocol.sensitivity, seed=protocol.seed, device=device
                )
    metadata = _metadata(learners, cells, protocol, command, [*notes, *left_out])
    return compare(cells, protocol.baseline, metadata), cells


def compare(cells: Sequence[Cell], baseline: str, metadata: Metadata) -> Results:
    """Return the results in the cells, with differences to `baseline`; no learner runs again."""
    measured: list[Measurement] = []
    study = metadata.study
    for cell in cells:
        measured += measure(
            cell.predictions,
            task=cell.task.name,
            shots=cell.shots,
            baseline=baseline,
            seed=metadata.seed,
            seconds=cell.seconds,
            classes=cell.task.classes,
            prevalence=prevalence_of(cell.task.classes, study.prevalence) if study else None,
            thresholds=cell.thresholds,
            wanted=study.sensitivity if study else None,
        )
    return collect(measured, baseline=baseline, metadata=metadata)


def draw_episodes(task: Task, shots: int, protocol: Protocol) -> list[Episode]:
    """Draw the episodes of one task; each depends only on the seed, the shots and its number."""
    return [
        draw_episode(
            task,
            shots=shots,
            queries=protocol.queries,
            rng=np.random.default_rng([protocol.seed, shots, number]),
        )
        for number in range(protocol.episodes)
    ]


@contextmanager
def leave_task_out(learners: Iterable[Learner], tasks: Sequence[Task]) -> Iterator[None]:
    """Hide past outcomes on the tasks' data sets from every `auto` among the learners, within the block."""
    autos = [learner for learner in learners if isinstance(learner, Auto)]
    before = [auto.outcomes for auto in autos]
    try:
        for auto, outcomes in zip(autos, before, strict=True):
            auto.outcomes = without(known_outcomes() if outcomes is None else outcomes, tasks)
        yield
    finally:
        for auto, outcomes in zip(autos, before, strict=True):
            auto.outcomes = outcomes


def _check_prevalence(prevalence: Mapping[str, float], tasks: Sequence[Task]) -> None:
    """Raise InputError if the prevalence of a class is not a share, or if no task has the class."""
    known = list(dict.fromkeys(name for task in tasks for name in task.classes))
    for name in prevalence:
        if name not in known:
            raise InputError(
                f"The prevalence is of '{name}', but the classes are {', '.join(known)}; name one of them."
            )
    for task in tasks:
        prevalence_of(task.classes, prevalence)


def _metadata(
    learners: Mapping[str, Learner], cells: Sequence[Cell], protocol: Protocol, command: str, more: Sequence[str]
) -> Metadata:
    tasks = {cell.task.name: cell.task for cell in cells}
    notes = [
        f"{name} was meta-trained on {', '.join(sorted({task.source for task in record.tasks}))}"
        + (" (training and validation used different patients of the same tasks)." if record.by_patients else ".")
        for name, learner in learners.items()
        if (record := learner.training_record)
    ]
    return Metadata(
        seed=protocol.seed,
        date=datetime.now(UTC).date().isoformat(),
        machine=f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        command=command,
        version=version("medshot"),
        notes=[*notes, *more],
        study=Study(
            tasks=[describe_task(task) for task in tasks.values()],
            learners=[describe_learner(name, learner) for name, learner in learners.items()],
            shots=sorted({cell.shots for cell in cells}),
            episodes=protocol.episodes,
            queries=protocol.queries,
            sensitivity=protocol.sensitivity,
            prevalence=dict(protocol.prevalence),
        ),
    )
