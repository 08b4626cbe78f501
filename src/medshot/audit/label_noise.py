"""Findings on labels that sure predictions contradict."""

import warnings
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from medshot.audit.findings import Finding
from medshot.audit.sample import AuditedTask
from medshot.tasks.folds import patient_folds

COMPONENTS = 64
_LEARNABLE = 0.5  # skill below which disagreement is no evidence against labels
_SURE = (0.8, 0.95)  # bounds of how probable the other class must be
_FEWEST = 10  # patients of each class


def label_findings(
    task: AuditedTask, features: Float[np.ndarray, "samples features"], seed: int = 0
) -> Iterator[Finding]:
    """Find labels that confident learning suspects (Northcutt, Jiang & Chuang, JAIR 2021), the surest first.

    Probabilities are cross-validated by patient: logistic regression on the main components of the features. A label
    is suspected if another class has a probability above the mean that this class's own samples have, with 0.8 and
    0.95 as bounds of that mean. Nothing is reported on tasks that the features hardly solve.

    Args:
        task: the task to judge.
        features: of each sample, from an encoder.
        seed: of the folds.
    """
    labels = np.unique(task.labels.codes, return_inverse=True)[1].reshape(-1)
    patients_of = [len(np.unique(task.patients[labels == c])) for c in range(labels.max() + 1)]
    if len(patients_of) < 2 or min(patients_of) < _FEWEST:
        return
    probabilities = _cross_validated(features, labels, task.patients, seed)
    if probabilities is None:
        return
    predicted = probabilities.argmax(axis=1)
    accuracy = float(np.mean([np.mean(predicted[labels == c] == c) for c in range(len(patients_of))]))
    if (accuracy - 1 / len(patients_of)) / (1 - 1 / len(patients_of)) < _LEARNABLE:
        return
    usual = np.array([probabilities[labels == c, c].mean() for c in range(len(patients_of))])
    suspected = (predicted != labels) & (probabilities.max(axis=1) >= np.clip(usual, *_SURE)[predicted])
    if not suspected.any():
        return
    margin = probabilities.max(axis=1) - probabilities[np.arange(len(labels)), labels]
    samples = np.flatnonzero(suspected)[np.argsort(-margin[suspected], kind="stable")]
    names = [task.labels.names[code] for code in np.unique(task.labels.codes)]
    yield Finding(
        name="label-suspects",
        task=task.name,
        harm="doubtful",
        sentence=f"{len(samples):,} of {len(task):,} labels are contradicted by a sure prediction "
        f"(balanced accuracy of these predictions: {100 * accuracy:.0f} %).",
        advice="Look at these images; correct a label only after an expert has.",
        numbers={"images": len(samples), "balanced_accuracy": round(accuracy, 4)},
        examples=task.examples(
            samples,
            [
                f"labelled {names[labels[k]]}, looks like {names[predicted[k]]} ({probabilities[k].max():.2f})"
                for k in samples
            ],
        ),
    )


def _cross_validated(
    features: Float[np.ndarray, "samples features"], labels: np.ndarray, patients: np.ndarray, seed: int
) -> Float[np.ndarray, "samples classes"] | None:
    """Predict each sample from samples of other patients; None if a fold lacks a class."""
    folds = patient_folds(labels, patients, seed)
    if not folds:
        return None
    reduced = PCA(min(COMPONENTS, *features.shape), svd_solver="randomized", random_state=seed).fit_transform(features)
    reduced /= max(float(reduced[:, 0].std()), 1e-9)
    probabilities = np.zeros((len(labels), int(labels.max()) + 1))
    for train, test in folds:
        model = LogisticRegression(C=1.0, class_weight="balanced", max_iter=500)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            probabilities[test] = model.fit(reduced[train], labels[train]).predict_proba(reduced[test])
    return probabilities
