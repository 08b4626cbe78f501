"""Findings on classes and patients: what the sampler cannot draw, and patients who are in several classes."""

from collections.abc import Iterator

import numpy as np

from medshot.audit.findings import Finding
from medshot.audit.sample import AuditedTask

SHOTS = (1, 3, 5, 10)
_UNEQUAL = 10


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
