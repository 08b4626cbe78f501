"""Evaluation of learners on whole held-out tasks: the same episodes for every learner, with intervals."""

import os
import platform
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from medshot.errors import InputError
from medshot.evaluation.overlap import refuse_overlap
from medshot.evaluation.predictions import EpisodePredictions
from medshot.evaluation.results import Measurement, Metadata, Results, collect, measure
from medshot.learners import Learner
from medshot.learners.run import evaluating
from medshot.selection.auto import Auto
from medshot.selection.outcomes import known_outcomes, without
from medshot.tasks import Episode, Task, collate, draw_episode
from medshot.training.engine import synchronize

BATCH = 10


@dataclass(frozen=True)
class Protocol:
    """The settings of an evaluation.

    Args:
        shots: numbers of labelled patients per class; each is evaluated separately.
        episodes: episodes per task and number of shots.
        queries: maximum number of query patients per class and episode.
        seed: seed of the episodes and of the bootstrap.
        baseline: the learner that all others are compared with.
    """

    shots: tuple[int, ...] = (1, 5, 10)
    episodes: int = 100
    queries: int = 25
    seed: int = 0
    baseline: str = "logistic"

    def __post_init__(self) -> None:
        if not self.shots or min(self.shots) < 1 or len(set(self.shots)) < len(self.shots):
            raise InputError(f"shots is {self.shots}, but must be one or more different numbers of 1 or more.")
        for name, least in (("episodes", 1), ("queries", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}, but must be {least} or more.")


@dataclass(frozen=True)
class Cell:
    """All results of one task at one number of shots, for tables and figures.

    Args:
        task: the task.
        shots: labelled patients per class.
        episodes: the episodes, the same for every learner.
        predictions: each learner's predictions, one per episode; columns follow the order of the task's classes.
        seconds: for each learner, the duration of each adaptation.
    """

    task: Task
    shots: int
    episodes: list[Episode]
    predictions: dict[str, list[EpisodePredictions]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)


def evaluate(
    learners: Mapping[str, Learner],
    tasks: Sequence[Task],
    protocol: Protocol,
    *,
    device: torch.device | None = None,
    command: str = "",
    show: bool = True,
) -> tuple[Results, list[Cell]]:
    """Score every learner on the same episodes of every task.

    Everything is checked before any learner runs: a task that is too small, or that a learner was trained on, is
    refused.

    Args:
        learners: learners by their names in the table; one of them is `protocol.baseline`.
        tasks: held-out tasks.
        protocol: the settings.
        device: the device that learners are moved to and run on; by default, each runs where it is.
        command: the command that reproduces these results, for the record.
        show: whether to show progress on stderr.

    Raises:
        InputError: the baseline is missing, two tasks have one name, or a task shares images with a learner's training.
        TooFewPatients: a class of a task has too few patients for the shots.
    """
    if protocol.baseline not in learners:
        raise InputError(f"The baseline '{protocol.baseline}' is not among {', '.join(learners)}; add it.")
    names = [task.name for task in tasks]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"Two tasks are named '{name}'; give each task once and under a different name.")
    for learner in learners.values():
        refuse_overlap(learner, tasks)
    cells = [Cell(task, shots, draw_episodes(task, shots, protocol)) for task in tasks for shots in protocol.shots]
    console = Console(stderr=True)
    with leave_task_out(learners.values(), tasks):
        for cell, name in track(
            [(cell, name) for cell in cells for name in learners],
            "evaluating",
            console=console,
            disable=not (show and console.is_terminal),
            transient=True,
        ):
            cell.predictions[name], cell.seconds[name] = run_episodes(learners[name], cell.episodes, device)
    return compare(cells, protocol.baseline, _metadata(learners, protocol, command)), cells


def compare(cells: Sequence[Cell], baseline: str, metadata: Metadata) -> Results:
    """Return the results in the cells, with differences to `baseline`; no learner runs again."""
    measured: list[Measurement] = []
    for cell in cells:
        measured += measure(
            cell.predictions,
            task=cell.task.name,
            shots=cell.shots,
            baseline=baseline,
            seed=metadata.seed,
            seconds=cell.seconds,
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


def run_episodes(
    learner: Learner, episodes: Sequence[Episode], device: torch.device | None = None
) -> tuple[list[EpisodePredictions], list[float]]:
    """Return one learner's predictions for each episode, and the duration of each adaptation in seconds.

    Args:
        learner: the learner.
        episodes: the episodes.
        device: the device that the learner is moved to; by default, it runs where it is.
    """
    if device is not None:
        learner.to(device)
    predictions: list[EpisodePredictions] = []
    seconds: list[float] = []
    with evaluating(learner), torch.no_grad():
        for start in range(0, len(episodes), BATCH):
            group = episodes[start : start + BATCH]
            batch = collate(group, learner.input_spec, device or device_of(learner))
            began = time.perf_counter()
            classifier = learner.adapt(batch.support)
            synchronize()
            seconds += [(time.perf_counter() - began) / len(group)] * len(group)
            probabilities = classifier.probabilities(batch.query.images, batch.query.weights).cpu().double().numpy()
            predictions += map(_in_class_order, group, probabilities)
    return predictions, seconds


def device_of(learner: Learner) -> torch.device:
    """Return the device of the learner's parameters and buffers, or the CPU if it has none."""
    return next((tensor.device for tensor in (*learner.parameters(), *learner.buffers())), torch.device("cpu"))


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


def _in_class_order(episode: Episode, probabilities: np.ndarray) -> EpisodePredictions:
    """Return the predictions of one episode without padding, with columns in the order of the task's classes."""
    order = np.argsort(episode.classes)
    rank = np.argsort(order)
    return EpisodePredictions(
        probabilities=probabilities[: len(episode.query)][:, order],
        labels=rank[episode.query_labels],
        patients=episode.task.patient_codes[episode.query],
        images=episode.query,
    )


def _metadata(learners: Mapping[str, Learner], protocol: Protocol, command: str) -> Metadata:
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
        notes=notes,
    )
