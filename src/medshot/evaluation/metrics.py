"""Metrics of probabilistic predictions, each with weights on the queries.

Weights may have a leading axis of bootstrap replicates. All replicates are then computed at once, and the result has
one value per replicate; without that axis, it is a zero-dimensional array. A query of weight two counts as two queries,
and a query of weight zero is absent. A metric that is undefined for the remaining queries is NaN.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

BINS = 10


def balanced_accuracy(
    probabilities: Float[np.ndarray, "queries ways"],
    labels: Int[np.ndarray, " queries"],
    weights: Float[np.ndarray, "*replicates queries"] | None = None,
) -> Float[np.ndarray, "*replicates"]:
    """Return the mean recall over the classes present: 0 to 1; chance is one divided by the number of classes.

    The predicted class is the one of highest probability; of several equal ones, the first.
    """
    weights = _weights(labels, weights)
    truth = _one_hot(labels, probabilities.shape[1])
    hits = truth * (probabilities.argmax(axis=1) == labels)[:, None]
    return _mean_over_classes(ratio(weights @ hits, weights @ truth))


def auroc(
    probabilities: Float[np.ndarray, "queries ways"],
    labels: Int[np.ndarray, " queries"],
    weights: Float[np.ndarray, "*replicates queries"] | None = None,
) -> Float[np.ndarray, "*replicates"]:
    """Return the area under the receiver operating characteristic: 0 to 1; chance is 0.5, ties count one half.

    With two classes, it is the area for the second class; with more, the mean over the classes present of the area of
    one class against the rest. It is NaN if fewer than two classes are present.
    """
    weights = _weights(labels, weights)
    ways = probabilities.shape[1]
    classes = (1,) if ways == 2 else range(ways)
    areas = [_binary_auroc(probabilities[:, index], labels == index, weights) for index in classes]
    return _mean_over_classes(np.stack(areas, axis=-1))


def class_auroc(
    probabilities: Float[np.ndarray, "queries ways"],
    labels: Int[np.ndarray, " queries"],
    weights: Float[np.ndarray, "*replicates queries"] | None = None,
    *,
    index: int,
) -> Float[np.ndarray, "*replicates"]:
    """Return the area under the receiver operating characteristic of one class against the rest."""
    return _binary_auroc(probabilities[:, index], labels == index, _weights(labels, weights))


def brier(
    probabilities: Float[np.ndarray, "queries ways"],
    labels: Int[np.ndarray, " queries"],
    weights: Float[np.ndarray, "*replicates queries"] | None = None,
) -> Float[np.ndarray, "*replicates"]:
    """Return the squared distance of probabilities from the truth, as a mean over queries (Brier 1950).

    0 is best, 2 is worst. Distances are summed over classes: for two classes, this is twice the score of one class.
    """
    weights = _weights(labels, weights)
    distances = ((probabilities - _one_hot(labels, probabilities.shape[1])) ** 2).sum(axis=1)
    return ratio(weights @ distances, weights.sum(axis=-1))


def calibration_gaps(
    probabilities: Float[np.ndarray, "queries ways"],
    labels: Int[np.ndarray, " queries"],
    weights: Float[np.ndarray, "*replicates queries"],
) -> Float[np.ndarray, "*replicates bins"]:
    """Return, per bin of confidence, the weight of correct predictions minus their summed confidence.

    The sum over bins of absolute gaps, divided by the sum of weights, is the expected calibration error (Guo et al.
    2017, equation 5). Few queries bias it upward, so first add up the gaps of all episodes of a task.
    """
    confidence, correct, bins = _confidence(probabilities, labels)
    return weights @ (_one_hot(bins, BINS) * (correct - confidence)[:, None])


@dataclass(frozen=True)
class ReliabilityCurve:
    """The accuracy at each level of confidence, over all queries of a task.

    Args:
        confidence: mean confidence (highest probability) in each bin; NaN if the bin is empty.
        accuracy: share of correct predictions in each bin; NaN if the bin is empty.
        counts: number of queries in each bin.
    """

    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]
    counts: Int[np.ndarray, " bins"]

    @property
    def error(self) -> float:
        """Return the expected calibration error, from 0 (best) to 1."""
        gaps = np.where(self.counts > 0, np.abs(self.accuracy - self.confidence), 0.0)
        return float((self.counts * gaps).sum() / self.counts.sum())


def reliability_curve(
    probabilities: Float[np.ndarray, "queries ways"], labels: Int[np.ndarray, " queries"]
) -> ReliabilityCurve:
    """Return the reliability curve of the queries of all episodes together."""
    confidence, correct, bins = _confidence(probabilities, labels)
    counts = np.bincount(bins, minlength=BINS)
    return ReliabilityCurve(
        confidence=ratio(np.bincount(bins, weights=confidence, minlength=BINS), counts),
        accuracy=ratio(np.bincount(bins, weights=correct, minlength=BINS), counts),
        counts=counts,
    )


def _confidence(
    probabilities: Float[np.ndarray, "queries ways"], labels: Int[np.ndarray, " queries"]
) -> tuple[Float[np.ndarray, " queries"], Float[np.ndarray, " queries"], Int[np.ndarray, " queries"]]:
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return confidence, correct, bins


def _binary_auroc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted share of (positive, negative) pairs that the scores rank correctly; ties count one half."""
    order = np.argsort(scores, kind="stable")
    ordered, positive, weights = scores[order], positive[order], weights[..., order]
    negatives_below = np.concatenate(
        [np.zeros((*weights.shape[:-1], 1)), np.cumsum(weights * ~positive, axis=-1)], axis=-1
    )
    first = np.searchsorted(ordered, ordered[positive], side="left")
    past = np.searchsorted(ordered, ordered[positive], side="right")
    positives = weights[..., positive]
    in_order = (positives * (negatives_below[..., first] + negatives_below[..., past])).sum(axis=-1) / 2
    return ratio(in_order, positives.sum(axis=-1) * negatives_below[..., -1])


def _weights(labels: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    return np.ones(len(labels)) if weights is None else weights


def _one_hot(indices: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[indices]


def ratio(numerator: np.ndarray | np.number, denominator: np.ndarray | np.number) -> np.ndarray:
    """Return the quotient as an array; NaN where the denominator is zero."""
    result = np.full(np.shape(denominator), np.nan)
    np.divide(numerator, denominator, out=result, where=np.asarray(denominator) > 0)
    return result


def _mean_over_classes(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis of the values that are defined; NaN if none is."""
    defined = np.isfinite(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))
