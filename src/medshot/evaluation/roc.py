"""Receiver operating characteristics: of one set of queries, and the mean over episodes with an interval."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from medshot.evaluation.intervals import Replicates, Resamples, estimate
from medshot.evaluation.metrics import ratio
from medshot.evaluation.predictions import EpisodePredictions

MAX_RATES = 51  # false-positive rates of a mean curve
REPLICATES = 200  # bootstrap replicates of the band


@dataclass(frozen=True)
class RocCurve:
    """A mean curve over episodes; its area is the mean of the episodes' areas if it has all their points.

    Args:
        false_positive_rates: 1 minus specificity, in increasing order; a value appears twice where the curve rises.
        sensitivities: sensitivity at each.
        low: lower end of the 95 % interval for new patients, at each.
        high: upper end.
    """

    false_positive_rates: Float[np.ndarray, " points"]
    sensitivities: Float[np.ndarray, " points"]
    low: Float[np.ndarray, " points"]
    high: Float[np.ndarray, " points"]


def roc_points(
    scores: Float[np.ndarray, " queries"],
    positive: Bool[np.ndarray, " queries"],
    weights: Float[np.ndarray, "*replicates queries"],
) -> tuple[Float[np.ndarray, "*replicates points"], Float[np.ndarray, "*replicates points"]]:
    """Return the false-positive rate and the sensitivity at each distinct score, from the highest; (0, 0) comes first.

    A rate is NaN if there are no queries with a weight to compute it from.
    """
    order = np.argsort(-scores, kind="stable")
    scores, positive, weights = scores[order], positive[order], weights[..., order]
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    start = np.zeros((*weights.shape[:-1], 1))
    rates = []
    for of_class in (~positive, positive):
        sums = np.concatenate([start, np.cumsum(weights * of_class, axis=-1)[..., ends]], axis=-1)
        rates.append(ratio(sums, np.broadcast_to(sums[..., -1:], sums.shape)))
    return rates[0], rates[1]


def mean_roc(
    episodes: Sequence[EpisodePredictions], index: int, resamples: Resamples, *, max_rates: int = MAX_RATES
) -> RocCurve | None:
    """Return the mean curve of class `index` against the rest, or None if no episode has both.

    At each false-positive rate, the curve is the mean over episodes of the sensitivity just before and just after it.
    """
    replicates = slice(REPLICATES)
    counts = resamples.episodes[replicates].astype(np.float64)
    curves = []
    for episode, columns in zip(episodes, resamples.columns, strict=True):
        weights = np.concatenate([np.ones((1, len(columns))), resamples.patients[replicates, columns]])
        curves.append(roc_points(episode.probabilities[:, index], episode.labels == index, weights))
    grid = np.unique(np.concatenate([false_positives[0].round(12) for false_positives, _ in curves]))
    grid = grid[np.isfinite(grid)]
    if len(grid) > max_rates:
        grid = np.linspace(0, 1, max_rates)
    sums, defined = np.zeros((1 + len(counts), 2 * len(grid))), np.zeros((1 + len(counts), 1))
    for number, curve in enumerate(curves):
        heights = _heights(*curve, grid)
        usable = np.isfinite(heights).all(axis=-1, keepdims=True) * np.append(1.0, counts[:, number])[:, None]
        sums += usable * np.where(usable > 0, heights, 0.0)
        defined += usable
    means = ratio(sums, np.broadcast_to(defined, sums.shape))
    if not np.isfinite(means[0]).all():
        return None
    bands = [_band(means[:, point], len(episodes), resamples.patient_units) for point in range(means.shape[1])]
    return RocCurve(np.repeat(grid, 2), means[0], *np.array(bands).T)


def _heights(
    false_positive_rates: Float[np.ndarray, "replicates points"],
    sensitivities: Float[np.ndarray, "replicates points"],
    grid: Float[np.ndarray, " rates"],
) -> Float[np.ndarray, "replicates heights"]:
    """Return the sensitivity just before and just after each rate of the grid, in turn."""
    last = false_positive_rates.shape[1] - 1
    after = (false_positive_rates[:, :, None] <= grid + 1e-9).sum(axis=1) - 1
    before = (false_positive_rates[:, :, None] < grid - 1e-9).sum(axis=1)
    ends = [_at(false_positive_rates, sensitivities, grid, np.clip(side, 0, last)) for side in (before, after)]
    crossing = np.clip(before, 1, last)
    between = _between(false_positive_rates, sensitivities, grid, crossing)
    on_point = before <= after
    left, right = (np.where(on_point, end, between) for end in ends)
    return np.stack([left, right], axis=-1).reshape(len(left), -1)


def _at(x: np.ndarray, y: np.ndarray, grid: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the height of each point, or NaN in a replicate without a curve."""
    heights = np.take_along_axis(y, points, axis=1)
    return np.where(np.isfinite(x).all(axis=1, keepdims=True), heights, np.nan)


def _between(x: np.ndarray, y: np.ndarray, grid: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the height at each rate on the line from the point before to the given one."""
    (x0, x1), (y0, y1) = ([np.take_along_axis(values, points - step, axis=1) for step in (1, 0)] for values in (x, y))
    share = np.divide(grid - x0, x1 - x0, out=np.zeros_like(x0), where=x1 > x0)
    return y0 + share * (y1 - y0)


def _band(replicates: Float[np.ndarray, " replicates"], episodes: int, patients: int) -> tuple[float, float]:
    value, resampled = float(replicates[0]), replicates[1:]
    # only the interval for new patients is drawn, and it resamples the episodes, too
    found = estimate(Replicates(value, resampled, resampled, episodes, patients, (0.0, 1.0)))
    return found.new_patients if found else (0.0, 1.0)
