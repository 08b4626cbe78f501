"""The results of an evaluation: one row per task, learner and shots, means over tasks, and metadata."""

import statistics
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_serializer,
)

from medshot.errors import InputError
from medshot.evaluation.by_class import (
    ClassScore,
    OperatingPoint,
    class_scores,
    confusion_matrix,
    operating_points,
)
from medshot.evaluation.intervals import (
    METRICS,
    Comparison,
    Estimate,
    Replicates,
    Resamples,
    bootstrap,
    comparison,
    difference,
    draw_replicates,
    estimate,
    mean_over_tasks,
)
from medshot.evaluation.predictions import EpisodePredictions, check_same_episodes
from medshot.evaluation.study import Study


class _Record(BaseModel):
    """A part of the results; fields that an older version did not write are left out of the JSON if they are None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        fields = type(self).model_fields
        return {name: value for name, value in handler(self).items() if value is not None or fields[name].is_required()}


class _Metrics(_Record):
    """The metrics of one row; None if a metric is undefined."""

    balanced_accuracy: Estimate | None
    auroc: Estimate | None
    brier: Estimate | None
    calibration_error: Estimate | None
    difference: Comparison | None = Field(
        description="balanced accuracy minus the baseline's on the same episodes; None for the baseline"
    )


class Score(_Metrics):
    """The score of one learner on one task at one number of shots; `queries` is the sum over all episodes.

    Args:
        images: distinct images in the queries.
        classes: the scores of each class.
        confusion: queries of each true class (rows) that are found to be of each class (columns), over all episodes.
        operating_points: the scores of each class at a threshold chosen on the support.
    """

    task: str
    learner: str
    shots: int
    ways: int
    episodes: int
    queries: int
    patients: int
    adapt_seconds: FiniteFloat | None = Field(description="median over the episodes")
    images: int | None = None
    classes: list[ClassScore] | None = None
    confusion: list[list[int]] | None = None
    operating_points: list[OperatingPoint] | None = None


class MeanScore(_Metrics):
    """The means over tasks of one learner at one number of shots; `new_patients` then covers new tasks, too."""

    learner: str
    shots: int
    tasks: int


class Metadata(_Record):
    """The origin of the results, sufficient to reproduce them."""

    seed: int
    date: str
    machine: str
    command: str
    version: str
    notes: list[str] = []
    study: Study | None = None


class Results(_Record):
    """Everything that an evaluation reports."""

    rows: list[Score]
    means: list[MeanScore]
    baseline: str
    metadata: Metadata

    def to_json(self) -> dict[str, Any]:
        """Return the results as JSON objects; every float is finite or None."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Results":
        """Return the results from the output of `to_json`; InputError names the first field that does not fit."""
        try:
            return cls.model_validate(dict(value))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(
                f"The results field {place} does not fit ({first['msg']}); run the evaluation again."
            ) from error


@dataclass(frozen=True)
class Measurement:
    """A score with its bootstrap replicates, from which means over tasks are computed."""

    score: Score
    replicates: dict[str, Replicates]
    paired: Replicates | None


def measure(
    predictions: Mapping[str, Sequence[EpisodePredictions]],
    *,
    task: str,
    shots: int,
    baseline: str,
    seed: int = 0,
    seconds: Mapping[str, Sequence[float]] | None = None,
    classes: Sequence[str] | None = None,
    prevalence: Float[np.ndarray, " ways"] | None = None,
    thresholds: Mapping[str, Float[np.ndarray, "episodes ways"] | None] | None = None,
    wanted: float | None = None,
) -> list[Measurement]:
    """Score all learners on the episodes of one task, with the same bootstrap resamples.

    Args:
        predictions: for each learner, its predictions per episode, for the same queries in the same order.
        task: name of the task.
        shots: labelled patients per class in a support.
        baseline: the learner that all others are compared with.
        seed: seed of the bootstrap, combined with the name of the task.
        seconds: for each learner, the duration of each adaptation.
        classes: names of the classes. Default: no scores by class.
        prevalence: share of each class, for predictive values.
        thresholds: for each learner, the threshold of each episode and class.
        wanted: the sensitivity that the thresholds were chosen for.

    Raises:
        InputError: learners were scored on different queries, or the baseline is not among them.
    """
    if baseline not in predictions:
        raise InputError(f"The baseline {baseline} was not evaluated (only {', '.join(predictions)}); add it.")
    check_same_episodes(predictions)
    episodes = predictions[baseline]
    resamples = draw_resamples(episodes, task, seed)
    reference = bootstrap(episodes, resamples)
    size = {
        "ways": episodes[0].probabilities.shape[1],
        "episodes": len(episodes),
        "queries": sum(len(episode.labels) for episode in episodes),
        "patients": len(np.unique(np.concatenate([episode.patients for episode in episodes]))),
        "images": len(np.unique(np.concatenate([episode.images for episode in episodes]))),
    }
    measured = []
    for learner, its_episodes in predictions.items():
        replicates = reference if learner == baseline else bootstrap(its_episodes, resamples)
        paired = _paired(learner, baseline, replicates, reference)
        times = (seconds or {}).get(learner)
        by_class: dict[str, Any] = {}
        if classes is not None:
            by_class["classes"] = class_scores(its_episodes, resamples, classes, prevalence)
            by_class["confusion"] = confusion_matrix(its_episodes).tolist()
            if wanted is not None and (chosen := (thresholds or {}).get(learner)) is not None:
                by_class["operating_points"] = operating_points(
                    its_episodes, resamples, classes, chosen, wanted, prevalence
                )
        score = Score(
            task=task,
            learner=learner,
            shots=shots,
            **size,
            **_metrics(replicates, paired),
            adapt_seconds=statistics.median(times) if times else None,
            **by_class,
        )
        measured.append(Measurement(score, replicates, paired))
    return measured


def draw_resamples(episodes: Sequence[EpisodePredictions], task: str, seed: int) -> Resamples:
    """Return the bootstrap resamples of one task, the same for every number and curve of it."""
    return draw_replicates(episodes, seed=zlib.crc32(f"{seed} {task}".encode()))


def mean_scores(measured: Sequence[Measurement], *, seed: int = 0) -> list[MeanScore]:
    """Return the means over tasks for each learner and number of shots that at least two tasks have."""
    groups: dict[tuple[str, int], list[Measurement]] = {}
    for measurement in measured:
        groups.setdefault((measurement.score.learner, measurement.score.shots), []).append(measurement)
    means = []
    for (learner, shots), group in groups.items():
        if len(group) < 2:
            continue
        replicates = {name: mean_over_tasks([each.replicates[name] for each in group], seed=seed) for name in METRICS}
        pairs = [each.paired for each in group if each.paired is not None]
        paired = mean_over_tasks(pairs, seed=seed) if pairs else None
        means.append(MeanScore(learner=learner, shots=shots, tasks=len(group), **_metrics(replicates, paired)))
    return means


def collect(measured: Sequence[Measurement], *, baseline: str, metadata: Metadata) -> Results:
    """Return all measurements of an evaluation as `Results`, with their means over tasks."""
    return Results(
        rows=[measurement.score for measurement in measured],
        means=mean_scores(measured, seed=metadata.seed),
        baseline=baseline,
        metadata=metadata,
    )


def _paired(learner: str, baseline: str, one: dict[str, Replicates], other: dict[str, Replicates]) -> Replicates | None:
    return None if learner == baseline else difference(one["balanced_accuracy"], other["balanced_accuracy"])


def _metrics(replicates: dict[str, Replicates], paired: Replicates | None) -> dict[str, Any]:
    estimates = {name: estimate(replicates[name]) for name in METRICS}
    return {**estimates, "difference": comparison(paired) if paired is not None else None}
