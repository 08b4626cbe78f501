"""How well a few numbers predict the label of patients not seen, against labels that were dealt out anew."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from medshot.tasks.audit.folds import patient_folds

_CHUNK = 64  # permutations at once
_RIDGE = 1e-2


@dataclass(frozen=True)
class Predictability:
    """What was measured.

    Args:
        accuracy: balanced, on patients not fitted on.
        chance: mean balanced accuracy with permuted labels.
        p: share of permutations that did as well, the data itself counted among them.
    """

    accuracy: float
    chance: float
    p: float

    def skill(self, classes: int) -> float:
        """0 at chance, 1 where every label is predicted."""
        return (self.accuracy - 1 / classes) / (1 - 1 / classes)


def predictability(
    values: Float32[np.ndarray, "samples numbers"],
    labels: Int64[np.ndarray, " samples"],
    patients: Int64[np.ndarray, " samples"],
    *,
    permutations: int,
    seed: int = 0,
) -> Predictability | None:
    """Balanced accuracy of a linear discriminant, cross-validated by patient; None where there are too few patients.

    The discriminant assigns each sample to the nearest class mean in whitened space, all classes being equally likely.
    Its whitening does not depend on labels, so thousands of permutations cost little more than one fit (permutation
    test of Ojala & Garriga, Journal of Machine Learning Research 2010). Labels are permuted between patients and not
    between images: images of one patient share what they look like, so their labels are no independent evidence.

    Args:
        values: what to predict from.
        labels: counted from 0, every class with a sample.
        patients: who is never on both sides.
        permutations: how many; p is at least 1 / (1 + permutations).
        seed: of the folds and the permutations.
    """
    folds = patient_folds(labels, patients, seed)
    if not folds:
        return None
    rng = np.random.default_rng(seed)
    dealt = np.stack([labels, *(_permuted(labels, patients, rng) for _ in range(permutations))])
    classes = int(labels.max()) + 1
    scores = np.zeros((len(dealt), classes))
    for train, test in folds:
        seen, unseen = _whitened(values[train], values[test])
        for start in range(0, len(dealt), _CHUNK):
            some = dealt[start : start + _CHUNK]
            said = _nearest_mean(seen, some[:, train], unseen, classes)
            right = said == some[:, test]
            for c in range(classes):
                scores[start : start + _CHUNK, c] += (right & (some[:, test] == c)).sum(axis=1)
    totals = np.stack([(dealt == c).sum(axis=1) for c in range(classes)], axis=1)
    accuracy = (scores / np.maximum(totals, 1)).sum(axis=1) / (totals > 0).sum(axis=1)
    as_well = np.sum(accuracy[1:] >= accuracy[0] - 1e-12)
    return Predictability(float(accuracy[0]), float(accuracy[1:].mean()), float((1 + as_well) / len(dealt)))


def _permuted(labels: np.ndarray, patients: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each patient gets the labels of another one, over and over where that one has fewer images."""
    order = np.argsort(patients, kind="stable")
    _, starts, sizes = np.unique(patients[order], return_index=True, return_counts=True)
    giver = rng.permutation(len(starts))
    within = np.arange(len(labels)) - np.repeat(starts, sizes)
    turn = np.repeat(rng.integers(0, 1 << 30, len(starts)), sizes)
    source = np.repeat(starts[giver], sizes) + (within + turn) % np.repeat(sizes[giver], sizes)
    dealt = np.empty_like(labels)
    dealt[order] = labels[order][source]
    return dealt


def _whitened(
    train: Float32[np.ndarray, "train numbers"], test: Float32[np.ndarray, "test numbers"]
) -> tuple[Float[np.ndarray, "train numbers"], Float[np.ndarray, "test numbers"]]:
    """Both, so that the training values have no correlation and variance of nearly 1."""
    mean = train.mean(axis=0)
    train, test = train - mean, test - mean
    covariance = train.T.astype(np.float64) @ train / len(train)
    sizes, axes = np.linalg.eigh(covariance)
    white = (axes / np.sqrt(np.maximum(sizes, 0) + _RIDGE * max(sizes.max(), 1e-12))).astype(np.float32)
    return train @ white, test @ white


def _nearest_mean(seen: np.ndarray, labels: np.ndarray, unseen: np.ndarray, classes: int) -> np.ndarray:
    """For each row of labels, the class predicted of each unseen sample."""
    best = np.full((len(labels), len(unseen)), -np.inf, np.float32)
    said = np.zeros(best.shape, np.int64)
    for c in range(classes):
        of_class = (labels == c).astype(np.float32)
        means = of_class @ seen / np.maximum(of_class.sum(axis=1, keepdims=True), 1)
        scores = means @ unseen.T - 0.5 * np.sum(means**2, axis=1, keepdims=True)
        scores[of_class.sum(axis=1) == 0] = -np.inf
        better = scores > best
        best, said = np.where(better, scores, best), np.where(better, c, said)
    return said
