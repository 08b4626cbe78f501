"""Metrics of probabilistic predictions, each with weights on the queries.

Weights may have a leading axis of bootstrap replicates: all replicates are then computed at once and the
result has one value per replicate (a zero-dimensional array where there is no such axis). A query of weight
two counts as two queries, one of weight zero is absent, and a metric undefined for what is left is NaN.
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
    """Mean recall over the classes present; 0 to 1, chance is one divided by the number of classes.

    The class of highest probability is predicted, the first of them where several are equal.
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
    """Area under the receiver operating characteristic; 0 to 1, chance is 0.5, equal scores count one half.

    With two classes, that of the second class. With more, the mean over the classes present of one class
    against the rest. NaN where fewer than two classes are present.
    """
    weights = _weights(labels, weights)
    ways = probabilities.shape[1]
    classes = (1,) if ways == 2 else range(ways)
    areas = [_binary_auroc(probabilities[:, index], labels == index, weights) for index in classes]
    return _mean_over_classes(np.stack(areas, axis=-1))


def brier(
    probabilities: Float[np.ndarray, "queries ways"],
    labels: Int[np.ndarray, " queries"],
    weights: Float[np.ndarray, "*replicates queries"] | None = None,
) -> Float[np.ndarray, "*replicates"]:
    """Squared distance of probabilities from the truth, summed over classes, mean over queries (Brier 1950).

    0 is best, 2 is worst. For two classes it is twice the score that looks at one class only.
    """
    weights = _weights(labels, weights)
    distances = ((probabilities - _one_hot(labels, probabilities.shape[1])) ** 2).sum(axis=1)
    return ratio(weights @ distances, weights.sum(axis=-1))


def expected_calibration_error(
    probabilities: Float[np.ndarray, "queries ways"],
    labels: Int[np.ndarray, " queries"],
    weights: Float[np.ndarray, "*replicates queries"] | None = None,
) -> Float[np.ndarray, "*replicates"]:
    """Mean gap between the highest probability and how often its class is right, in ten equal bins.

    0 is best, 1 is worst (Guo et al. 2017, equation 5). Few queries bias it upward, so give it the queries of
    all episodes of a task together rather than one episode at a time.
    """
    weights = _weights(labels, weights)
    gaps = calibration_gaps(probabilities, labels, weights)
    return ratio(np.abs(gaps).sum(axis=-1), weights.sum(axis=-1))


def calibration_gaps(
    probabilities: Float[np.ndarray, "queries ways"],
    labels: Int[np.ndarray, " queries"],
    weights: Float[np.ndarray, "*replicates queries"],
) -> Float[np.ndarray, "*replicates bins"]:
    """Per bin of confidence, the weight of right answers minus the confidence promised; episodes add up."""
    confidence, right, bins = _confidence(probabilities, labels)
    return weights @ (_one_hot(bins, BINS) * (right - confidence)[:, None])


@dataclass(frozen=True)
class ReliabilityCurve:
    """How often the predicted class was right at each level of confidence, over all queries of a task.

    Args:
        confidence: mean highest probability in each bin, NaN where the bin is empty.
        accuracy: share of right answers in each bin, NaN where the bin is empty.
        counts: queries in each bin.
    """

    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]
    counts: Int[np.ndarray, " bins"]

    @property
    def error(self) -> float:
        """The expected calibration error, 0 to 1."""
        gaps = np.where(self.counts > 0, np.abs(self.accuracy - self.confidence), 0.0)
        return float((self.counts * gaps).sum() / self.counts.sum())


def reliability_curve(
    probabilities: Float[np.ndarray, "queries ways"], labels: Int[np.ndarray, " queries"]
) -> ReliabilityCurve:
    """The curve whose weighted gaps are the calibration error; give it the queries of all episodes."""
    confidence, right, bins = _confidence(probabilities, labels)
    counts = np.bincount(bins, minlength=BINS)
    return ReliabilityCurve(
        confidence=ratio(np.bincount(bins, weights=confidence, minlength=BINS), counts),
        accuracy=ratio(np.bincount(bins, weights=right, minlength=BINS), counts),
        counts=counts,
    )


def _confidence(
    probabilities: Float[np.ndarray, "queries ways"], labels: Int[np.ndarray, " queries"]
) -> tuple[Float[np.ndarray, " queries"], Float[np.ndarray, " queries"], Int[np.ndarray, " queries"]]:
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    return confidence, right, bins


def _binary_auroc(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of the weight of (positive, negative) pairs that the scores put in order; ties count one half."""
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
    """The quotient, as an array; NaN where the denominator is zero."""
    result = np.full(np.shape(denominator), np.nan)
    np.divide(numerator, denominator, out=result, where=np.asarray(denominator) > 0)
    return result


def _mean_over_classes(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of the values that are defined, NaN where none is."""
    defined = np.isfinite(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))
