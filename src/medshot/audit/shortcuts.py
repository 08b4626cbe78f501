"""Findings on shortcuts: labels that can be predicted from how a picture was made, without its content."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from medshot.audit.cues import Cue, cues
from medshot.audit.findings import Finding, Harm
from medshot.audit.sample import AuditedTask
from medshot.tasks.folds import patient_folds

_CHUNK = 64  # permutations at once
_RIDGE = 1e-2
LEVEL = 0.05  # chance of any false alarm in a task, over all its cues
_WORTH = 0.1  # skill below which a shortcut is too weak to be named
_HARMFUL = 0.2
_RESTATED = 0.98
_SAMPLES = 10_000  # samples that are enough to judge
_CLASSES = 50


@dataclass(frozen=True)
class Predictability:
    """The accuracy with which labels can be predicted.

    Args:
        accuracy: balanced, on patients not fitted on.
        chance: mean balanced accuracy with permuted labels.
        p: share of permutations that did as well, the data itself counted among them.
    """

    accuracy: float
    chance: float
    p: float

    def skill(self, classes: int) -> float:
        """Return 0 at chance, 1 if every label is predicted."""
        return (self.accuracy - 1 / classes) / (1 - 1 / classes)


def predictability(
    values: Float32[np.ndarray, "samples numbers"],
    labels: Int64[np.ndarray, " samples"],
    patients: Int64[np.ndarray, " samples"],
    *,
    permutations: int,
    seed: int = 0,
) -> Predictability | None:
    """Measure how well a linear discriminant predicts labels across patients; None if there are too few patients.

    The discriminant assigns each sample to the nearest class mean in whitened space, all classes being equally likely.
    Its whitening does not depend on labels, so thousands of permutations cost little more than one fit (permutation
    test of Ojala & Garriga, Journal of Machine Learning Research 2010). Labels are permuted between patients and not
    between images: images of one patient look alike, so that their labels are not independent evidence.

    Args:
        values: the numbers to predict from.
        labels: counted from 0, every class with a sample.
        patients: the patients, none of whom is on both sides of a fold.
        permutations: how many; p is at least 1 / (1 + permutations).
        seed: of the folds and the permutations.
    """
    folds = patient_folds(labels, patients, seed)
    if not folds:
        return None
    rng = np.random.default_rng(seed)
    permuted = np.stack([labels, *(_permuted(labels, patients, rng) for _ in range(permutations))])
    classes = int(labels.max()) + 1
    scores = np.zeros((len(permuted), classes))
    for train, test in folds:
        known, new = _whitened(values[train], values[test])
        for start in range(0, len(permuted), _CHUNK):
            some = permuted[start : start + _CHUNK]
            predicted = _nearest_mean(known, some[:, train], new, classes)
            right = predicted == some[:, test]
            for c in range(classes):
                scores[start : start + _CHUNK, c] += (right & (some[:, test] == c)).sum(axis=1)
    totals = np.stack([(permuted == c).sum(axis=1) for c in range(classes)], axis=1)
    accuracy = (scores / np.maximum(totals, 1)).sum(axis=1) / (totals > 0).sum(axis=1)
    as_well = np.sum(accuracy[1:] >= accuracy[0] - 1e-12)
    return Predictability(float(accuracy[0]), float(accuracy[1:].mean()), float((1 + as_well) / len(permuted)))


def _permuted(labels: np.ndarray, patients: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give each patient the labels of another one, repeated if that one has fewer images."""
    order = np.argsort(patients, kind="stable")
    _, starts, sizes = np.unique(patients[order], return_index=True, return_counts=True)
    giver = rng.permutation(len(starts))
    within = np.arange(len(labels)) - np.repeat(starts, sizes)
    turn = np.repeat(rng.integers(0, 1 << 30, len(starts)), sizes)
    source = np.repeat(starts[giver], sizes) + (within + turn) % np.repeat(sizes[giver], sizes)
    given = np.empty_like(labels)
    given[order] = labels[order][source]
    return given


def _whitened(
    train: Float32[np.ndarray, "train numbers"], test: Float32[np.ndarray, "test numbers"]
) -> tuple[Float[np.ndarray, "train numbers"], Float[np.ndarray, "test numbers"]]:
    """Whiten both, so that training values have no correlation and a variance of nearly 1."""
    mean = train.mean(axis=0)
    train, test = train - mean, test - mean
    covariance = train.T.astype(np.float64) @ train / len(train)
    sizes, axes = np.linalg.eigh(covariance)
    white = (axes / np.sqrt(np.maximum(sizes, 0) + _RIDGE * max(sizes.max(), 1e-12))).astype(np.float32)
    return train @ white, test @ white


def _nearest_mean(train: np.ndarray, labels: np.ndarray, test: np.ndarray, classes: int) -> np.ndarray:
    """Predict the class of each test sample, for each row of labels."""
    best = np.full((len(labels), len(test)), -np.inf, np.float32)
    predicted = np.zeros(best.shape, np.int64)
    for c in range(classes):
        of_class = (labels == c).astype(np.float32)
        means = of_class @ train / np.maximum(of_class.sum(axis=1, keepdims=True), 1)
        scores = means @ test.T - 0.5 * np.sum(means**2, axis=1, keepdims=True)
        scores[of_class.sum(axis=1) == 0] = -np.inf
        better = scores > best
        best, predicted = np.where(better, scores, best), np.where(better, c, predicted)
    return predicted


def shortcut_findings(task: AuditedTask, seed: int = 0) -> Iterator[Finding]:
    """Find every cue that predicts the label beyond chance and by enough to matter.

    A cue is named if no more than a share of `LEVEL / cues` of permutations did as well: by Bonferroni's inequality
    a task without any shortcut gets a finding in at most 5 of 100 cases.
    """
    if not 2 <= len(np.unique(task.labels.codes)) <= _CLASSES:
        return
    rows = some_samples(task, seed)
    labels = np.unique(task.labels.codes[rows], return_inverse=True)[1].reshape(-1)
    patients = task.patients[rows]
    found = cues(task, rows)
    permutations = int(np.ceil(2 * len(found) / LEVEL))
    for cue in found:
        measured = predictability(cue.values, labels, patients, permutations=permutations, seed=seed)
        if measured is None:
            return
        skill = measured.skill(int(labels.max()) + 1)
        if measured.p <= LEVEL / len(found) and skill >= _WORTH:
            yield _finding(task, cue, measured, skill)


def some_samples(task: AuditedTask, seed: int) -> np.ndarray:
    """Select all samples, or those of randomly chosen patients if there are very many."""
    if len(task) <= _SAMPLES:
        return np.arange(len(task))
    rank = np.random.default_rng(seed).permutation(int(task.patients.max()) + 1)[task.patients]
    return np.sort(np.argsort(rank, kind="stable")[:_SAMPLES])


def _finding(task: AuditedTask, cue: Cue, measured: Predictability, skill: float) -> Finding:
    sentence = (
        f"From {cue.name} alone the class can be predicted with a balanced accuracy of {100 * measured.accuracy:.0f} % "
        f"(permuted labels {100 * measured.chance:.0f} %, p ≤ {measured.p:.1g})"
    )
    harm, why, advice = _judged(cue, skill)
    return Finding(
        name=f"shortcut-{cue.name.replace(' ', '-')}",
        task=task.name,
        harm=harm,
        sentence=f"{sentence}{why}.",
        advice=advice,
        numbers={
            "balanced_accuracy": round(measured.accuracy, 4),
            "chance": round(measured.chance, 4),
            "p": round(measured.p, 6),
            "skill": round(skill, 4),
        },
    )


def _judged(cue: Cue, skill: float) -> tuple[Harm, str, str]:
    """Return how harmful a shortcut of this kind is, why, and what to do."""
    if cue.kind == "stated" and skill >= _RESTATED:
        return "note", "; it is the label in other words", "Never give it to a model."
    if cue.kind == "stated" and cue.name == "file name":
        return "note", "; a network does not get it, but sorting by name sorts by class", "Shuffle before you split."
    if cue.kind == "stated":
        return (
            "doubtful" if skill >= 0.2 else "note",
            ", so what a model learns may be that and not the disease",
            "Compare with a model of that column alone, and match or stratify the classes by it.",
        )
    if cue.kind == "made":
        return (
            "harmful" if skill >= _HARMFUL else "doubtful",
            ", which no disease changes",
            "Make all images in the same way (size, type, channels), or take films without marks.",
        )
    return (
        "doubtful" if skill >= 0.2 else "note",
        "; right if the classes are different kinds of picture, otherwise it shows their origin",
        "Look at the borders and grey levels of both classes; crop or normalise, and test on another source.",
    )
