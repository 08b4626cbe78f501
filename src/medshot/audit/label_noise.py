"""Findings on labels that sure predictions contradict, and on mixtures of sizes, colours and file types."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from medshot.audit.facts import MODALITIES, TYPES
from medshot.audit.findings import Finding, Harm
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


COLOUR = 0.02  # mean distance of the channels above which a picture is in colour
_DRAWN = 0.0005  # share of clearly coloured pixels
_LETTERS = 5


def mixture_findings(task: AuditedTask) -> Iterator[Finding]:
    """Find mixtures of sizes, colours and file types, and marks and text in the pixels."""
    numbers = task.numbers
    yield from _sizes(task)
    colour = numbers["colourfulness"] > COLOUR
    coloured_grey = (numbers["channels"] == 3) & (numbers["colourfulness"] < 0.002)
    if 0 < colour.sum() < len(task):
        yield _mixed(
            task, "mixed-colour", "doubtful" if 0.01 < colour.mean() < 0.99 else "note",
            f"{colour.sum():,} of {len(task):,} images are in colour, the others grey: {_by_class(task, colour)}.",
            "Look at them; read all as grey (--channels 1) if colour means nothing.",
            np.flatnonzero(colour if colour.mean() < 0.5 else ~colour),
        )  # fmt: skip
    if coloured_grey.any():
        yield _mixed(
            task, "grey-stored-as-colour", "note",
            f"{coloured_grey.sum():,} images are grey, stored with three channels.",
            "Nothing; --channels 1 takes a third of the memory.", [],
        )  # fmt: skip
    yield from _kinds(
        task, "mixed-bit-depths", [f"{int(bits)} bits" for bits in range(65)], numbers["bits"], "doubtful"
    )
    yield from _kinds(task, "mixed-file-types", [name or "other" for name in TYPES], numbers["type"], "note")
    yield from _kinds(
        task, "mixed-modalities", [name or "not named" for name in MODALITIES], numbers["modality"], "doubtful"
    )
    yield from _spacings(task)
    yield from _marks(task)


def _sizes(task: AuditedTask) -> Iterator[Finding]:
    width, height = task.numbers["width"], task.numbers["height"]
    sizes, counts = np.unique(np.stack([width, height]), axis=1, return_counts=True)
    if len(counts) < 2:
        return
    aspect = width / height
    spread = float(np.percentile(aspect, 97.5) / np.percentile(aspect, 2.5))
    common = sizes[:, counts.argmax()]
    other = (width != common[0]) | (height != common[1])
    tiny = float(width.max() / width.min()) >= 4
    yield _mixed(
        task, "mixed-sizes", "doubtful" if tiny and other.mean() > 0.01 else "note",
        f"There are {len(counts):,} sizes, from {int(width.min())}×{int(height.min())} to "
        f"{int(width.max())}×{int(height.max())}; aspect ratios differ by a factor of {spread:.2f}.",
        "Images are fitted with black bars, whose width then differs; crop them alike if the classes differ in shape.",
        np.flatnonzero(other) if other.mean() < 0.1 else [],
        sizes=len(counts), aspect_factor=round(spread, 3),
    )  # fmt: skip


def _kinds(task: AuditedTask, name: str, names: list[str], codes: np.ndarray, harm: Harm) -> Iterator[Finding]:
    kinds, counts = np.unique(codes.astype(int), return_counts=True)
    if len(kinds) > 1:
        counted = ", ".join(f"{names[kind]} {count:,}" for kind, count in zip(kinds, counts, strict=True))
        yield _mixed(
            task, name, harm, f"There are {counted}.", "See to it that all were made in the same way.",
            np.flatnonzero(codes == kinds[counts.argmin()]),
            **{names[kind]: int(count) for kind, count in zip(kinds, counts, strict=True)},
        )  # fmt: skip


def _spacings(task: AuditedTask) -> Iterator[Finding]:
    spacing = task.numbers["spacing_rows"]
    known = spacing > 0
    if known.any() and (not known.all() or spacing[known].max() > 1.25 * spacing[known].min()):
        missing = f"; {np.sum(~known):,} images have none" if not known.all() else ""
        yield _mixed(
            task, "mixed-spacings", "doubtful",
            f"Pixels measure from {spacing[known].min():.3g} to {spacing[known].max():.3g} mm{missing}.",
            "Resample to one spacing if size matters.", np.flatnonzero(~known),
        )  # fmt: skip


def _marks(task: AuditedTask) -> Iterator[Finding]:
    drawn = task.numbers["coloured"] > _DRAWN
    if drawn.any() and np.mean(task.numbers["colourfulness"] > COLOUR) < 0.9:
        yield _mixed(
            task, "coloured-marks", "doubtful",
            f"{drawn.sum():,} of {len(task):,} images are grey with clearly coloured pixels in them (lines, arrows, "
            f"stamps): {_by_class(task, drawn)}.",
            "Take films without marks, or read all as grey; if one class alone is marked, a model reads the marks.",
            np.flatnonzero(drawn)[np.argsort(-task.numbers["coloured"][drawn])],
            images=int(drawn.sum()),
        )  # fmt: skip
    written = (task.numbers["characters"] >= _LETTERS) | (task.numbers["burnt_in"] > 0)
    if written.any():
        yield _mixed(
            task, "burnt-in-text", "doubtful" if written.mean() > 0.001 else "note",
            f"{written.sum():,} of {len(task):,} images seem to have text in their margins: "
            f"{_by_class(task, written)}.",
            "Look whether it names patients, places or dates, and mask it.",
            np.flatnonzero(written)[np.argsort(-task.numbers["characters"][written])],
            images=int(written.sum()),
        )  # fmt: skip


def _by_class(task: AuditedTask, which: np.ndarray) -> str:
    """Describe the share of these images in each class."""
    totals = np.bincount(task.labels.codes, minlength=len(task.labels.names))
    counts = np.bincount(task.labels.codes[which], minlength=len(totals))
    shares = [
        f"'{name}' {100 * n / of:.0f} %" for name, n, of in zip(task.labels.names, counts, totals, strict=True) if of
    ]
    return ", ".join(shares[:8])


def _mixed(
    task: AuditedTask,
    name: str,
    harm: Harm,
    sentence: str,
    advice: str,
    samples: Sequence[int] | np.ndarray,
    **numbers: float | int,
) -> Finding:
    return Finding(
        name=name,
        task=task.name,
        harm=harm,
        sentence=sentence,
        advice=advice,
        numbers=numbers,
        examples=task.examples(samples),
    )
