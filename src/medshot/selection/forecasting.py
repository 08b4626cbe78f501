"""Forecast accuracy after more labels, by regression on the learning curves of past tasks."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from medshot.errors import StorageError
from medshot.selection.task_features import TaskFeatures
from medshot.storage import read_json, write_json

MORE = (0, 5, 10, 20)
"""Labelled patients per class that a forecast adds."""
STORE = Path(__file__).with_name("curves.json")
DIGITS = 4


@dataclass(frozen=True)
class Curve:
    """The learning curve of one support that was drawn from a past task.

    Args:
        source: name of the group of data sets that is left out together.
        task: name of the task.
        features: of the support, before labels were added.
        accuracies: balanced accuracy on held-out patients after each number of `MORE` was added to the support; None if
            the task has too few patients.
    """

    source: str
    task: str
    features: TaskFeatures
    accuracies: tuple[float | None, ...]


def write_curves(path: Path, curves: Sequence[Curve], about: dict[str, str]) -> None:
    """Write curves as columns of JSON, with a description."""
    rows = [_flat(curve) for curve in curves]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    write_json(path, {"about": about, "more": MORE, "columns": columns})


def read_curves(path: Path = STORE) -> list[Curve]:
    """Read the curves of a file; by default those that medshot ships.

    Raises:
        StorageError: the file is missing or does not hold curves of this version.
    """
    content = read_json(path)
    try:
        if tuple(content["more"]) != MORE:
            raise ValueError("its numbers of added labels differ")
        columns = content["columns"]
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return [_curve(row) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} does not hold learning curves ({error}); install medshot again.") from error


def _flat(curve: Curve) -> dict[str, Any]:
    """Return a curve as one row of the table, rounded to its noise."""
    accuracies = {f"after {more}": value for more, value in zip(MORE, curve.accuracies, strict=True)}
    row = {"source": curve.source, "task": curve.task} | asdict(curve.features) | accuracies
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in row.items()}


def _curve(row: dict[str, Any]) -> Curve:
    accuracies = tuple(row.pop(f"after {more}") for more in MORE)
    source, task = row.pop("source"), row.pop("task")
    return Curve(source, task, TaskFeatures(**row), accuracies)


Values = int | float | np.ndarray

PENALTY = 3.0
SPREAD_PENALTY = 30.0
LEAST_ERROR = 0.05
EDGE = 0.02
"""Accuracies are clipped to this distance from 0 and 1, because log odds are infinite there."""


def over_chance(accuracy: Values, ways: Values) -> Values:
    """Return the log odds of an accuracy minus those of guessing: 0 at chance for any number of classes."""
    kept = np.clip(accuracy, EDGE, 1 - EDGE)
    return np.log(kept / (1 - kept)) + np.log(ways - 1)


def as_accuracy(log_odds: Values, ways: Values) -> Values:
    """Return the accuracy that has these log odds over chance."""
    return 1 / (1 + (ways - 1) * np.exp(-log_odds))


def widened_to_edges(low: float, high: float) -> tuple[float, float]:
    """Move an end of an interval that lies within `EDGE` of 0 or 1 to 0 or 1, because accuracies there were clipped."""
    return (0.0 if low <= EDGE else low), (1.0 if high >= 1 - EDGE else high)


def predictors_of(supports: Sequence[TaskFeatures]) -> Float[np.ndarray, "supports predictors"]:
    """Return the predictors of later accuracy, the first of them constant; none depends on later labels.

    With few patients, log odds vary much by chance: accuracies in cross-validation are shrunk towards guessing by the
    weight of one patient per class.
    """
    names = ("ways", "shots", "accuracy", "loss", "accuracy_of_half", "loss_of_half")
    ways, shots, accuracy, loss, of_half, loss_of_half = (
        np.array([getattr(support, name) for support in supports], dtype=np.float64) for name in names
    )
    whole, half = (over_chance((shots * value + 1 / ways) / (shots + 1), ways) for value in (accuracy, of_half))
    gained, gained_of_half = (np.clip(1 - value, -1, 1) for value in (loss, loss_of_half))
    log_shots = np.log(shots)
    columns = (
        whole,
        whole - half,
        gained,
        gained - gained_of_half,
        log_shots,
        np.log(ways),
        whole * log_shots,
        gained * log_shots,
        gained * np.log(ways),
    )
    return np.stack([np.ones_like(ways), *columns], axis=1)


@dataclass(frozen=True)
class Regression:
    """Coefficients that predict later accuracy, as log odds over chance, and the typical size of the error.

    Args:
        mean: coefficients of the accuracy.
        spread: coefficients of the logarithm of the absolute error.
    """

    mean: Float[np.ndarray, " predictors"]
    spread: Float[np.ndarray, " predictors"]

    def __call__(
        self, predictors: Float[np.ndarray, "supports predictors"]
    ) -> tuple[Float[np.ndarray, " supports"], Float[np.ndarray, " supports"]]:
        """Return the expected value for each support, and the typical absolute error."""
        return predictors @ self.mean, np.exp(predictors @ self.spread)


def fit(
    predictors: Float[np.ndarray, "supports predictors"],
    outcomes: Float[np.ndarray, " supports"],
    weights: Float[np.ndarray, " supports"],
) -> Regression:
    """Fit a ridge regression of outcomes, and one of the logarithm of its absolute errors."""
    mean = _ridge(predictors, outcomes, weights, PENALTY)
    sizes = np.log(np.abs(outcomes - predictors @ mean) + LEAST_ERROR)
    return Regression(mean, _ridge(predictors, sizes, weights, SPREAD_PENALTY))


def _ridge(predictors: np.ndarray, outcomes: np.ndarray, weights: np.ndarray, penalty: float) -> np.ndarray:
    """Solve ridge regression on standardised predictors; the first predictor is constant and not penalised."""
    shares = weights / weights.sum()
    centre = shares @ predictors
    centre[0] = 0.0
    deviations = np.sqrt(shares @ (predictors - centre) ** 2)
    scale = np.where(deviations > 0, deviations, 1.0)
    standard = (predictors - centre) / scale
    penalties = np.diag([0.0, *[penalty / len(outcomes)] * (predictors.shape[1] - 1)])
    solved = np.linalg.solve(standard.T @ (shares[:, None] * standard) + penalties, standard.T @ (shares * outcomes))
    coefficients = solved / scale
    coefficients[0] -= centre[1:] @ coefficients[1:]
    return coefficients


COVERAGE = 0.8
"""Share of forecasts whose interval is promised to hold the truth; seven sources support up to 7/8."""


@dataclass(frozen=True)
class Expected:
    """The forecast balanced accuracy at one number of labelled patients per class.

    Args:
        more: patients per class that are added.
        shots: labelled patients per class after that.
        accuracy: the expected balanced accuracy.
        low: lower end of the interval.
        high: upper end of the interval.
    """

    more: int
    shots: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class _Horizon:
    """The leave-one-source-out fits for one number of added patients.

    Args:
        without: for each source, the regression fitted without it.
        errors: for each source, the absolute errors of that regression on it, divided by their typical size.
    """

    without: Sequence[Regression]
    errors: Sequence[Float[np.ndarray, " _"]]

    def interval(self, predictors: Float[np.ndarray, "1 predictors"], coverage: float) -> tuple[float, float, float]:
        """Return the expected log odds over chance and both ends of their interval (jackknife+ over sources)."""
        centres, lows, highs, weights = [], [], [], []
        for regression, errors in zip(self.without, self.errors, strict=True):
            (centre,), (size,) = regression(predictors)
            centres.append(centre)
            lows.append(centre - size * errors)
            highs.append(centre + size * errors)
            weights.append(np.full(len(errors), 1 / len(errors)))
        share, sources = np.concatenate(weights), len(self.errors)
        low = -upper_bound(-np.concatenate(lows), share, coverage, sources)
        return float(np.mean(centres)), low, upper_bound(np.concatenate(highs), share, coverage, sources)


class Forecaster:
    """Predicts accuracy from curves of past tasks, with jackknife+ intervals over left-out sources.

    Args:
        curves: of past tasks, from three sources or more.
        coverage: share of the intervals that contain the truth, on average over sources.
    """

    def __init__(self, curves: Sequence[Curve], coverage: float = COVERAGE) -> None:
        self.coverage = coverage
        shots = [curve.features.shots for curve in curves]
        self.least, self.most = min(shots), max(shots)
        self._horizons = [_horizon(curves, place) for place in range(len(MORE))]

    def __call__(self, features: TaskFeatures) -> list[Expected]:
        """Forecast the accuracy of a support now and after each number of `MORE` patients per class is added."""
        predictors = predictors_of([features])
        found = []
        for more, horizon in zip(MORE, self._horizons, strict=True):
            ends = (as_accuracy(end, features.ways) for end in horizon.interval(predictors, self.coverage))
            centre, low, high = map(float, ends)
            found.append(Expected(more, features.shots + more, centre, *widened_to_edges(low, high)))
        return found


def _horizon(curves: Sequence[Curve], place: int) -> _Horizon:
    known = [curve for curve in curves if curve.accuracies[place] is not None]
    sources = np.array([curve.source for curve in known])
    predictors = predictors_of([curve.features for curve in known])
    ways = np.array([curve.features.ways for curve in known], dtype=np.float64)
    outcomes = np.asarray(over_chance(np.array([curve.accuracies[place] for curve in known], np.float64), ways))
    of_each = np.unique(sources, return_inverse=True)[1]
    weights = 1 / np.bincount(of_each).astype(np.float64)[of_each]
    without, errors = [], []
    for index in range(of_each.max() + 1):
        others = of_each != index
        regression = fit(predictors[others], outcomes[others], weights[others])
        centres, sizes = regression(predictors[~others])
        without.append(regression)
        errors.append(np.abs(outcomes[~others] - centres) / sizes)
    return _Horizon(without, errors)


def upper_bound(
    values: Float[np.ndarray, " values"], weights: Float[np.ndarray, " values"], coverage: float, sources: int
) -> float:
    """Return a bound that the value of a new source stays below with probability `coverage`.

    With K exchangeable sources this is the value of rank ⌈coverage · (K + 1)⌉, not ⌈coverage · K⌉, because the
    new source is one of K + 1 (Barber et al., Annals of Statistics 2021, equation 1.3).

    Returns:
        The bound; infinity if there are too few sources for any finite one.
    """
    level = coverage * (sources + 1) / sources
    return quantile(values, weights, level) if level <= 1 + 1e-12 else float("inf")


def quantile(values: Float[np.ndarray, " values"], weights: Float[np.ndarray, " values"], level: float) -> float:
    """Return the smallest value such that values up to it have at least this share of the weight."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, level - 1e-12)), len(values) - 1)])
