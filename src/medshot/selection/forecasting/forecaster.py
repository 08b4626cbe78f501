"""Forecasts with intervals that hold for new data sets: jackknife+ over sources.

Draws from one data set resemble each other more than they resemble the next data set, so errors are taken of whole
sources that were left out of the fit (Barber et al., Annals of Statistics 2021, CV+ with sources as folds), and every
source counts alike however many draws it gave (Lee, Barber & Willett, 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from medshot.selection.forecasting.curves import MORE, Curve
from medshot.selection.forecasting.regression import Regression, as_accuracy, described, fit, opened, over_chance
from medshot.selection.forecasting.signs import Signs

COVERAGE = 0.9


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
        """Expected log odds over chance, and both ends of their interval."""
        centres, lows, highs, weights = [], [], [], []
        for regression, errors in zip(self.without, self.errors, strict=True):
            (centre,), (size,) = regression(predictors)
            centres.append(centre)
            lows.append(centre - size * errors)
            highs.append(centre + size * errors)
            weights.append(np.full(len(errors), 1 / len(errors)))
        share = np.concatenate(weights)
        low = -quantile(-np.concatenate(lows), share, coverage)
        return float(np.mean(centres)), low, quantile(np.concatenate(highs), share, coverage)


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


def quantile(values: Float[np.ndarray, " values"], weights: Float[np.ndarray, " values"], level: float) -> float:
    """The smallest value at or below which lies at least that share of the weight."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, level - 1e-12)), len(values) - 1)])
