"""Learning curves of past tasks: what a support showed, and how well its learner then did as labels were added."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from medshot.errors import StorageError
from medshot.selection.task_features import Signs
from medshot.storage import read_json, write_json

MORE = (0, 5, 10, 20)
"""Labelled patients per class that are added to those there are."""
STORE = Path(__file__).with_name("curves.json")
DIGITS = 4


@dataclass(frozen=True)
class Curve:
    """One support that was drawn from a task, and what became of it.

    Args:
        source: the data sets that are left out together with it.
        task: that it was drawn from.
        signs: what the support showed.
        accuracies: balanced accuracy on patients held out, with each number of `MORE` added to the support; None where
            the task has too few patients.
    """

    source: str
    task: str
    signs: Signs
    accuracies: tuple[float | None, ...]


def write_curves(path: Path, curves: Sequence[Curve], about: dict[str, str]) -> None:
    """Write curves as columns of JSON, with what they are about."""
    rows = [_flat(curve) for curve in curves]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    write_json(path, {"about": about, "more": MORE, "columns": columns})


def read_curves(path: Path = STORE) -> list[Curve]:
    """The curves of a file; those that come with medshot where none is named.

    Raises:
        StorageError: the file is missing or holds no curves of this version.
    """
    content = read_json(path)
    try:
        if tuple(content["more"]) != MORE:
            raise ValueError("of other numbers of labels")
        columns = content["columns"]
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return [_curve(row) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} does not hold learning curves ({error}); install medshot anew.") from error


def _flat(curve: Curve) -> dict[str, Any]:
    """A curve as one row of the table, numbers rounded to what their noise allows to be read."""
    accuracies = {f"after {more}": value for more, value in zip(MORE, curve.accuracies, strict=True)}
    row = {"source": curve.source, "task": curve.task} | asdict(curve.signs) | accuracies
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in row.items()}


def _curve(row: dict[str, Any]) -> Curve:
    accuracies = tuple(row.pop(f"after {more}") for more in MORE)
    source, task = row.pop("source"), row.pop("task")
    return Curve(source, task, Signs(**row), accuracies)


Values = int | float | np.ndarray

PENALTY = 3.0
SPREAD_PENALTY = 30.0
LEAST_ERROR = 0.05
EDGE = 0.02
"""Accuracies are kept that far from 0 and 1, where log odds have no end; what is beyond is not told apart."""


def over_chance(accuracy: Values, ways: Values) -> Values:
    """The log odds of an accuracy less those of guessing: 0 at chance, whatever the number of classes."""
    kept = np.clip(accuracy, EDGE, 1 - EDGE)
    return np.log(kept / (1 - kept)) + np.log(ways - 1)


def as_accuracy(log_odds: Values, ways: Values) -> Values:
    """The accuracy with these log odds over chance."""
    return 1 / (1 + (ways - 1) * np.exp(-log_odds))


def opened(low: float, high: float) -> tuple[float, float]:
    """The interval with an end beyond the edge moved to 0 or 1, since accuracies there are not told apart."""
    return (0.0 if low <= EDGE else low), (1.0 if high >= 1 - EDGE else high)


def described(supports: Sequence[Signs]) -> Float[np.ndarray, "supports predictors"]:
    """Predictors of later accuracy, the first of them constant; none of them depends on later labels.

    A few patients right or wrong move log odds by chance alone: accuracies in cross-validation are drawn towards
    guessing by as much as one more patient per class.
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
    """Later accuracy, as log odds over chance, and how far off it usually is.

    Args:
        mean: a coefficient for each predictor.
        spread: the same for the logarithm of the size of an error.
    """

    mean: Float[np.ndarray, " predictors"]
    spread: Float[np.ndarray, " predictors"]

    def __call__(
        self, predictors: Float[np.ndarray, "supports predictors"]
    ) -> tuple[Float[np.ndarray, " supports"], Float[np.ndarray, " supports"]]:
        """What is expected of each support, and the usual size of the error."""
        return predictors @ self.mean, np.exp(predictors @ self.spread)


def fit(
    predictors: Float[np.ndarray, "supports predictors"],
    outcomes: Float[np.ndarray, " supports"],
    weights: Float[np.ndarray, " supports"],
) -> Regression:
    """The ridge regression of outcomes, and one of the logarithm of the sizes of its errors."""
    mean = _ridge(predictors, outcomes, weights, PENALTY)
    sizes = np.log(np.abs(outcomes - predictors @ mean) + LEAST_ERROR)
    return Regression(mean, _ridge(predictors, sizes, weights, SPREAD_PENALTY))


def _ridge(predictors: np.ndarray, outcomes: np.ndarray, weights: np.ndarray, penalty: float) -> np.ndarray:
    """Coefficients on predictors in standard units; the first predictor is constant and its coefficient free."""
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
    """Balanced accuracy at a number of labelled patients per class.

    Args:
        more: patients per class that are added to those there are.
        shots: labelled patients per class then.
        accuracy: what is expected.
        low: lower end of the interval.
        high: upper end.
    """

    more: int
    shots: int
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True)
class _Horizon:
    """What is known of one number of added patients.

    Args:
        without: the regression without each source.
        errors: of each source, the sizes of the errors of the regression without it, in usual sizes.
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
    """Learns from curves what supports have to say, and how wrong that goes on sources that were left out.

    Args:
        curves: of past tasks, of three sources or more.
        coverage: share of the intervals that are to hold the truth.
    """

    def __init__(self, curves: Sequence[Curve], coverage: float = COVERAGE) -> None:
        self.coverage = coverage
        shots = [curve.signs.shots for curve in curves]
        self.least, self.most = min(shots), max(shots)
        self._horizons = [_horizon(curves, place) for place in range(len(MORE))]

    def __call__(self, signs: Signs) -> list[Expected]:
        """What to expect of a support now and after each number of `MORE` patients per class are added."""
        predictors = described([signs])
        found = []
        for more, horizon in zip(MORE, self._horizons, strict=True):
            ends = (as_accuracy(end, signs.ways) for end in horizon.interval(predictors, self.coverage))
            centre, low, high = map(float, ends)
            found.append(Expected(more, signs.shots + more, centre, *opened(low, high)))
        return found


def _horizon(curves: Sequence[Curve], place: int) -> _Horizon:
    known = [curve for curve in curves if curve.accuracies[place] is not None]
    sources = np.array([curve.source for curve in known])
    predictors = described([curve.signs for curve in known])
    ways = np.array([curve.signs.ways for curve in known], dtype=np.float64)
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

    With K exchangeable sources this is the value of rank ⌈coverage · (K + 1)⌉, not ⌈coverage · K⌉, because the new source
    is one of K + 1 (Barber et al., Annals of Statistics 2021, equation 1.3).

    Returns:
        The bound; infinity if there are too few sources for any finite one.
    """
    level = coverage * (sources + 1) / sources
    return quantile(values, weights, level) if level <= 1 + 1e-12 else float("inf")


def quantile(values: Float[np.ndarray, " values"], weights: Float[np.ndarray, " values"], level: float) -> float:
    """The smallest value at or below which lies at least that share of the weight."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, level - 1e-12)), len(values) - 1)])
