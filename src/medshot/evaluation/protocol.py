"""The honest evaluation: whole tasks that were left out, the same episodes for every learner, intervals for all."""

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
from medshot.selection.auto import Auto
from medshot.selection.outcomes import known_outcomes, without
from medshot.tasks import Episode, Task, collate, draw_episode
from medshot.training.engine import synchronize


@contextmanager
def unknowing(learners: Iterable[Learner], tasks: Sequence[Task]) -> Iterator[None]:
    """Within it, each `auto` among the learners knows nothing of how any learner did on these tasks' data sets."""
    every = [learner for learner in learners if isinstance(learner, Auto)]
    before = [each.outcomes for each in every]
    try:
        for each, outcomes in zip(every, before, strict=True):
            each.outcomes = without(known_outcomes() if outcomes is None else outcomes, tasks)
        yield
    finally:
        for each, outcomes in zip(every, before, strict=True):
            each.outcomes = outcomes


BATCH = 10


@dataclass(frozen=True)
class Protocol:
    """What is evaluated how.

    Args:
        shots: labelled patients per class; each is evaluated by itself.
        episodes: draws per task and shots.
        queries: the most query patients per class and episode.
        seed: decides the draws.
        baseline: the learner that differences are taken to.
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
    """Everything one task at one number of shots gave, for tables and pictures.

    Args:
        task: the task.
        shots: labelled patients per class.
        episodes: what was drawn.
        predictions: for each learner, what it said, episode by episode; columns in the order of the task's classes.
        seconds: for each learner, what each adaptation took.
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

    All is checked and drawn before any learner runs: a task that is too small, or that a learner has seen, is refused.

    Args:
        learners: by the name they get in the table; `protocol.baseline` among them.
        tasks: held-out tasks.
        protocol: how.
        device: where learners run; the CPU where it is left out.
        command: what makes these results again, for the record.
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
            raise InputError(f"Two tasks are named '{name}'; give each task once and a name of its own.")
    for learner in learners.values():
        refuse_overlap(learner, tasks)
    cells = [Cell(task, shots, draw_episodes(task, shots, protocol)) for task in tasks for shots in protocol.shots]
    console = Console(stderr=True)
    with unknowing(learners.values(), tasks):
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
    """The table of what the cells hold, with differences to `baseline`; no learner runs again."""
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
    """The episodes of one task; they depend on the seed, the shots and their number alone."""
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
    """One learner's predictions for each episode, and the seconds each adaptation took."""
    learner.eval()
    said: list[EpisodePredictions] = []
    seconds: list[float] = []
    for start in range(0, len(episodes), BATCH):
        group = episodes[start : start + BATCH]
        batch = collate(group, learner.input_spec, device or "cpu")
        began = time.perf_counter()
        with torch.no_grad():
            classifier = learner.adapt(batch.support)
        synchronize()
        seconds += [(time.perf_counter() - began) / len(group)] * len(group)
        probabilities = classifier.probabilities(batch.query.images, batch.query.weights).cpu().double().numpy()
        said += map(_in_class_order, group, probabilities)
    return said, seconds


def _in_class_order(episode: Episode, probabilities: np.ndarray) -> EpisodePredictions:
    """The predictions of one episode with columns in the order of the task's classes, padding dropped."""
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
        + (" (patient-disjoint parts of the same tasks for training and validation)." if record.by_patients else ".")
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
