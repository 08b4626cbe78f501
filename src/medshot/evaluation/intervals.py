"""Two 95 % intervals, both named: over support draws, and for new patients.

`over_episodes` asks: had other support sets been drawn from these patients, where would the mean lie? It
resamples episodes and shrinks with every episode drawn. `new_patients` asks: had the study met other
patients, where would it lie? It resamples patients, crossed with episodes (Owen 2007, "The pigeonhole
bootstrap"): a patient keeps one count in all episodes, so drawing more episodes cannot make a claim stronger
than the patients allow. Claims such as "better than" are read from the second. The count of a patient weighs
that patient's queries; that the same patients also supply the support sets is represented by the resampled
episodes only.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import FiniteFloat
from scipy import stats

from medshot.errors import InputError
from medshot.evaluation import metrics
from medshot.evaluation.predictions import EpisodePredictions

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2


@dataclass(frozen=True)
class Estimate:
    """A number with its two 95 % intervals, each as (low, high)."""

    value: FiniteFloat
    over_episodes: tuple[FiniteFloat, FiniteFloat]
    new_patients: tuple[FiniteFloat, FiniteFloat]


@dataclass(frozen=True)
class Comparison(Estimate):
    """A paired difference, positive where the learner is ahead of the baseline, with two 95 % intervals."""

    @property
    def verdict(self) -> Literal["better", "worse", "undecided"]:
        """Read from the interval for new patients: undecided while it holds zero."""
        low, high = self.new_patients
        if low > 0:
            return "better"
        return "worse" if high < 0 else "undecided"


@dataclass(frozen=True)
class Metric:
    """A metric over episodes, as a function of sums over episodes.

    Args:
        parts: for one episode, the terms to add up over episodes, one row per replicate of the query weights.
        combine: the metric, from the terms added up.
        limits: lowest and highest value possible.
    """

    parts: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    combine: Callable[[np.ndarray], np.ndarray]
    limits: tuple[float, float]


@dataclass(frozen=True)
class Draws:
    """How often each patient and each episode of one task was drawn in each replicate; all learners share it.

    Args:
        patients: counts, each row summing to the number of patients.
        episodes: counts, each row summing to the number of episodes.
        columns: for each episode, the column of `patients` of each query.
        patient_units: independent patients that a metric balanced over classes rests on: the number of
            classes times the patients of the rarest class.
    """

    patients: Int[np.ndarray, "replicates patients"]
    episodes: Int[np.ndarray, "replicates episodes"]
    columns: tuple[Int[np.ndarray, " _"], ...]
    patient_units: int


@dataclass(frozen=True)
class Replicates:
    """One metric of one learner on one task, with what it became in every bootstrap replicate.

    Args:
        value: the metric on the data as they are; NaN where it is undefined.
        over_episodes: its values with episodes resampled.
        new_patients: its values with patients and episodes resampled.
        episode_units: independent episodes behind `over_episodes`.
        patient_units: independent patients (or tasks) behind `new_patients`.
        limits: lowest and highest value possible.
    """

    value: float
    over_episodes: Float[np.ndarray, " replicates"]
    new_patients: Float[np.ndarray, " replicates"]
    episode_units: int
    patient_units: int
    limits: tuple[float, float]


def draw_replicates(episodes: Sequence[EpisodePredictions], *, replicates: int = 1000, seed: int = 0) -> Draws:
    """Draw counts of patients and of episodes, with replacement, from the queries of a task's episodes."""
    if not episodes:
        raise InputError("there are no episodes to draw intervals from; draw at least one.")
    generator = np.random.default_rng(seed)
    codes, columns = np.unique(np.concatenate([episode.patients for episode in episodes]), return_inverse=True)
    labels = np.concatenate([episode.labels for episode in episodes])
    per_class = [len(np.unique(columns[labels == label])) for label in np.unique(labels)]
    ends = np.cumsum([len(episode.labels) for episode in episodes])[:-1]
    return Draws(
        patients=_multinomial(generator, len(codes), replicates),
        episodes=_multinomial(generator, len(episodes), replicates),
        columns=tuple(np.split(columns, ends)),
        patient_units=len(per_class) * min(per_class),
    )


def bootstrap(
    episodes: Sequence[EpisodePredictions], draws: Draws, names: Sequence[str] | None = None
) -> dict[str, Replicates]:
    """All metrics of one learner on one task (or those in `names`), with their bootstrap replicates.

    Balanced accuracy, AUROC and Brier score are means over the episodes where they are defined; the
    calibration error pools the queries of all episodes. Two learners given the same `draws` are resampled
    alike, so that their difference is paired.
    """
    chosen = {name: METRICS[name] for name in names or METRICS}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in chosen}
    for episode, columns in zip(episodes, draws.columns, strict=True):
        as_seen = np.ones((1, len(columns)))
        weights = np.concatenate([as_seen, draws.patients[:, columns]])
        for name, metric in chosen.items():
            parts[name].append(metric.parts(episode.probabilities, episode.labels, weights))
    return {name: _replicates(metric, np.stack(parts[name]), draws) for name, metric in chosen.items()}


def difference(one: Replicates, other: Replicates) -> Replicates:
    """`one` minus `other`, replicate by replicate; both must come from the same `Draws`."""
    low, high = one.limits
    return replace(
        one,
        value=one.value - other.value,
        over_episodes=one.over_episodes - other.over_episodes,
        new_patients=one.new_patients - other.new_patients,
        limits=(low - high, high - low),
    )


def mean_over_tasks(tasks: Sequence[Replicates], *, seed: int = 0) -> Replicates:
    """The mean over tasks, whose `new_patients` replicates resample the tasks and, within each, its patients.

    With one task there is nothing to resample tasks from: its replicates come back as they are, and the
    interval is for that task only, silent about any other. With few tasks the interval is wide, because it
    must be. In `over_episodes` the tasks stay as they are. Tasks where the metric is undefined are left out.
    """
    defined = [task for task in tasks if math.isfinite(task.value)]
    if len(defined) < 2:
        return (defined or list(tasks))[0]
    generator = np.random.default_rng(seed)
    count, replicates = len(defined), len(defined[0].new_patients)
    # each task's replicates in an order of their own: tasks are independent, whatever their seeds
    over_episodes = np.stack([generator.permutation(task.over_episodes) for task in defined])
    new_patients = np.stack([task.new_patients for task in defined])
    drawn = generator.integers(count, size=(count, replicates))
    within = generator.permuted(np.tile(np.arange(replicates), (count, 1)), axis=1)
    return replace(
        defined[0],
        value=float(np.mean([task.value for task in defined])),
        over_episodes=over_episodes.mean(axis=0),
        new_patients=new_patients[drawn, within].mean(axis=0),
        episode_units=sum(task.episode_units for task in defined),
        patient_units=count,
    )


def estimate(replicates: Replicates) -> Estimate | None:
    """The value with its two intervals; None where the metric is undefined."""
    if not math.isfinite(replicates.value):
        return None
    return Estimate(replicates.value, *_intervals(replicates))


def compare(one: Replicates, other: Replicates) -> Comparison | None:
    """The paired difference `one` minus `other` of a metric where more is better; None where undefined."""
    return comparison(difference(one, other))


def comparison(paired: Replicates) -> Comparison | None:
    """A paired difference with its two intervals; None where it is undefined."""
    if not math.isfinite(paired.value):
        return None
    return Comparison(paired.value, *_intervals(paired))


def _intervals(replicates: Replicates) -> tuple[tuple[float, float], tuple[float, float]]:
    value, limits = replicates.value, replicates.limits
    return (
        _interval(value, replicates.over_episodes, replicates.episode_units, limits),
        _interval(value, replicates.new_patients, replicates.patient_units, limits),
    )


def _interval(value: float, replicates: np.ndarray, units: int, limits: tuple[float, float]) -> tuple[float, float]:
    """Quantiles of the replicates around `value`, widened as Student's t is for few units, within `limits`.

    The widening is that of Hesterberg (2015, "What teachers should know about the bootstrap", section 5.4).
    Replicates are centred on the value first, since resampling adds to the calibration error. One unit allows
    no claim at all. Where no replicate differs, as after a perfect score, `units` patients may still have
    hidden a share of others: the exact binomial bound, with those others at the far limit.
    """
    low, high = limits
    replicates = replicates[np.isfinite(replicates)]
    if units < 2 or len(replicates) == 0:
        return low, high
    if np.ptp(replicates) < 1e-12:
        hidden = 1 - TAIL ** (1 / units)
        return value - hidden * (value - low), value + hidden * (high - value)
    widening = math.sqrt(units / (units - 1)) * stats.t.ppf(TAIL, units - 1) / stats.norm.ppf(TAIL)
    tails = np.quantile(replicates, (TAIL, 1 - TAIL)) - replicates.mean()
    lower, upper = np.clip(value + widening * tails, low, high)
    return float(lower), float(upper)


def _replicates(metric: Metric, parts: Float[np.ndarray, "episodes rows terms"], draws: Draws) -> Replicates:
    as_seen, resampled = parts[:, 0], parts[:, 1:]
    counts = draws.episodes.astype(np.float64)
    return Replicates(
        value=float(metric.combine(as_seen.sum(axis=0))),
        over_episodes=metric.combine(counts @ as_seen),
        new_patients=metric.combine(np.einsum("re,ert->rt", counts, resampled)),
        episode_units=len(parts),
        patient_units=draws.patient_units,
        limits=metric.limits,
    )


def _multinomial(generator: np.random.Generator, units: int, replicates: int) -> np.ndarray:
    return generator.multinomial(units, np.full(units, 1 / units), size=replicates)


def _mean_of(metric: Callable[..., np.ndarray], limits: tuple[float, float] = (0.0, 1.0)) -> Metric:
    """The mean of `metric` over the episodes where it is defined."""

    def parts(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
        values = metric(probabilities, labels, weights)
        defined = np.isfinite(values)
        return np.stack([np.where(defined, values, 0.0), defined], axis=-1)

    return Metric(parts, lambda sums: metrics.ratio(sums[..., 0], sums[..., 1]), limits)


def _calibration_parts(probabilities: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    gaps = metrics.calibration_gaps(probabilities, labels, weights)
    return np.concatenate([gaps, weights.sum(axis=-1, keepdims=True)], axis=-1)


METRICS = {
    "balanced_accuracy": _mean_of(metrics.balanced_accuracy),
    "auroc": _mean_of(metrics.auroc),
    "brier": _mean_of(metrics.brier, (0.0, 2.0)),
    "calibration_error": Metric(
        _calibration_parts,
        lambda sums: metrics.ratio(np.abs(sums[..., :-1]).sum(axis=-1), sums[..., -1]),
        (0.0, 1.0),
    ),
}
