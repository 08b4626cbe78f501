"""Findings on classes, patients and splits: what the sampler cannot draw, and what a given split lacks."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from scipy.stats import chi2_contingency

from medshot.audit.findings import SHOWN, Example, Finding
from medshot.audit.sample import AuditedTask

SHOTS = (1, 3, 5, 10)
_UNEQUAL = 10
_SHIFT = 0.1  # the largest difference of a class's share between two splits that is not worth a note


def balance_findings(task: AuditedTask) -> Iterator[Finding]:
    """Find classes with too few patients for an episode, unequal classes, and patients of several classes."""
    pairs = np.unique(np.stack([task.patients, task.labels.codes.astype(np.int64)]), axis=1)
    patients = np.bincount(pairs[1], minlength=len(task.labels.names))
    images = np.bincount(task.labels.codes, minlength=len(task.labels.names))
    classes_of = np.bincount(pairs[0])
    yield from _served(task, patients)
    if images.min() and images.max() / images.min() >= _UNEQUAL:
        rare, common = (task.labels.names[k] for k in (images.argmin(), images.argmax()))
        yield Finding(
            name="classes-unequal",
            task=task.name,
            harm="note",
            sentence=f"'{common}' has {images.max() / images.min():.0f} times as many images as '{rare}' "
            f"({images.max():,} to {images.min():,}).",
            advice="Judge by balanced accuracy, and give --prevalence when you predict.",
            numbers={"most": int(images.max()), "fewest": int(images.min())},
        )
    several = np.flatnonzero(classes_of > 1)
    if len(several):
        yield Finding(
            name="patients-in-several-classes",
            task=task.name,
            harm="note",
            sentence=f"{len(several):,} of {np.sum(classes_of > 0):,} patients have images of several classes"
            f"{_which(task, pairs, several)}.",
            advice="Right for two eyes or two dates; otherwise ids are numbered per class, and two patients are "
            "taken for one.",
            numbers={"patients": len(several), "of": int(np.sum(classes_of > 0))},
            examples=task.examples(*_of_several(task, several)),
        )


def _served(task: AuditedTask, patients: np.ndarray) -> Iterator[Finding]:
    """Find how many shots the sampler can draw: each class needs one patient more than that."""
    fewest = int(patients.min())
    rare = task.labels.names[int(patients.argmin())]
    refused = [shots for shots in SHOTS if fewest < shots + 1]
    numbers = {f"patients of {name}": int(count) for name, count in zip(task.labels.names, patients, strict=True)}
    if len(task.labels.names) < 2:
        yield Finding(
            name="single-class",
            task=task.name,
            harm="harmful",
            sentence=f"All readable images are of the one class '{rare}'; there is nothing to learn.",
            advice="Add images of another class.",
            numbers=numbers,
        )
    elif refused:
        people = "1 patient" if fewest == 1 else f"{fewest} patients"
        yield Finding(
            name="too-few-patients",
            task=task.name,
            harm="harmful" if SHOTS[0] in refused else "doubtful",
            sentence=f"'{rare}' has {people}, so episodes of {' and '.join(map(str, refused))} "
            f"{'shot' if refused == [1] else 'shots'} cannot be drawn; {max(fewest - 1, 0)} is the most.",
            advice="Add patients of that class, merge classes, or ask for fewer shots.",
            numbers=numbers,
        )


def _which(task: AuditedTask, pairs: np.ndarray, several: np.ndarray) -> str:
    """Name the two classes that share most patients."""
    if len(several) > 100_000:
        return ""
    member = np.zeros((len(several), len(task.labels.names)), bool)
    inside = np.isin(pairs[0], several)
    member[np.searchsorted(several, pairs[0, inside]), pairs[1, inside]] = True
    together = np.triu(member.T.astype(np.int64) @ member.astype(np.int64), 1)
    first, second = np.unravel_index(together.argmax(), together.shape)
    return f" (most: {together.max():,} under both '{task.labels.names[first]}' and '{task.labels.names[second]}')"


def _of_several(task: AuditedTask, several: np.ndarray) -> tuple[list[int], list[str]]:
    samples, captions = list[int](), list[str]()
    for patient in several[:6]:
        rows = np.flatnonzero(task.patients == patient)
        for row in rows[np.unique(task.labels.codes[rows], return_index=True)[1]].tolist():
            name = task.listing.patients.names[patient] if task.listing.patients else ""
            samples.append(row)
            captions.append(f"{task.labels[row]} {name}".strip())
    return samples, captions


def split_findings(task: AuditedTask) -> Iterator[Finding]:
    """Find what is wrong with the split that the data has; nothing if it has none."""
    if task.splits is None:
        return
    yield from _patients(task)
    yield from _classes(task)


def _patients(task: AuditedTask) -> Iterator[Finding]:
    """Find patients in several splits; if patients have no names, only images are compared."""
    assert task.splits is not None
    if task.listing.patients is None:
        yield Finding(
            name="split-without-patients",
            task=task.name,
            harm="note",
            sentence="There is a split but no column patient: whether a patient is in several splits is unknown.",
            advice="Add the column patient.",
        )
        return
    codes, shared, parts, counts = task.splits.codes, np.zeros(0, np.int64), list[str](), dict[str, int]()
    for first, second in combinations(range(len(task.splits.names)), 2):
        both = np.intersect1d(task.patients[codes == first], task.patients[codes == second])
        if len(both):
            pair = f"{task.splits.names[first]} and {task.splits.names[second]}"
            parts.append(f"{pair} share {len(both):,}")
            counts[pair] = len(both)
            shared = np.union1d(shared, both)
    if not parts:
        return
    samples = np.flatnonzero(np.isin(task.patients, shared))
    yield Finding(
        name="patients-across-splits",
        task=task.name,
        harm="harmful",
        sentence=f"{len(shared):,} patients are in several splits: {', '.join(parts)}; "
        f"{len(samples):,} images are of these patients.",
        advice="Split again by patient; scores on the given split are too good.",
        numbers={"patients": len(shared), "images": len(samples)} | counts,
        examples=_of_patients(task, shared),
    )


def _of_patients(task: AuditedTask, shared: np.ndarray) -> list[Example]:
    """Show a few patients, one image of each split."""
    assert task.splits is not None
    assert task.listing.patients is not None
    examples: list[Example] = []
    for group, patient in enumerate(shared[: SHOWN // 2]):
        rows = np.flatnonzero(task.patients == patient)
        rows = rows[np.unique(task.splits.codes[rows], return_index=True)[1]]
        name = task.listing.patients.names[patient]
        captions = [f"{name}, {task.splits[row]}, {task.labels[row]}" for row in rows.tolist()]
        examples += task.examples(rows, captions, group)
    return examples


def _classes(task: AuditedTask) -> Iterator[Finding]:
    assert task.splits is not None
    table = np.zeros((len(task.splits.names), len(task.labels.names)), np.int64)
    np.add.at(table, (task.splits.codes, task.labels.codes), 1)
    table = table[table.any(axis=1)]
    names = [name for code, name in enumerate(task.splits.names) if (task.splits.codes == code).any()]
    if (table == 0).any():
        missing = [f"{names[i]} has no image of '{task.labels.names[j]}'" for i, j in np.argwhere(table == 0)]
        yield Finding(
            name="class-missing-in-split",
            task=task.name,
            harm="doubtful",
            sentence=f"{'; '.join(missing[:3])}{f' (and {len(missing) - 3} more)' if len(missing) > 3 else ''}.",
            advice="Split again so that every class is in every split.",
            numbers={"missing": len(missing)},
        )
    elif len(table) > 1:
        shares = table / table.sum(axis=1, keepdims=True)
        shift = np.ptp(shares, axis=0)
        if shift.max() > _SHIFT and chi2_contingency(table).pvalue < 0.001:
            worst = int(shift.argmax())
            low, high = shares[:, worst].min(), shares[:, worst].max()
            yield Finding(
                name="class-shares-differ",
                task=task.name,
                harm="note",
                sentence=f"'{task.labels.names[worst]}' makes {100 * low:.0f} % of one split and {100 * high:.0f} % of "
                "another.",
                advice="Use scores that do not depend on how common a class is.",
                numbers={"lowest": round(float(low), 3), "highest": round(float(high), 3)},
            )
