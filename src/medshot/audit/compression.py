"""Findings on lossy compression: images of one class, split or task that were saved as JPEG of another quality."""

from collections.abc import Iterator, Sequence

import numpy as np

from medshot.audit.cues import binned
from medshot.audit.findings import Finding, Harm
from medshot.audit.sample import AuditedTask
from medshot.audit.shortcuts import predictability, some_samples

_P = 0.01
_SKILL = 0.2  # below it, the difference is too small to matter
_PERMUTATIONS = 199
_ADVICE = (
    "Save all images in one format and quality, from the originals if possible: saving a film as JPEG can move a "
    "probability by 0.1."
)


def compression_findings(task: AuditedTask, seed: int = 0) -> Iterator[Finding]:
    """Find JPEG files of several qualities, or beside other files, and whether that differs by class or split."""
    quality = task.numbers["quality"]
    if not len(quality) or quality.min() == quality.max():
        return
    yield _finding(task.name, "mixed-compression", "note", f"The images differ in compression: {_shares(quality)}.")
    rows = some_samples(task, seed)
    for what, categories in (("class", task.labels), ("split", task.splits)):
        if categories is not None:
            codes = categories.codes[rows]
            if _differs(quality[rows], codes, task.patients[rows], seed):
                named = _by_group(quality[rows], codes, categories.names)
                yield _finding(
                    task.name,
                    f"compression-differs-by-{what}",
                    "doubtful",
                    f"The compression of the images differs by {what}: {named}.",
                )


def compression_between(tasks: Sequence[AuditedTask], seed: int = 0) -> Iterator[Finding]:
    """Find tasks of the same classes, such as a support and its queries, that differ in compression."""
    alike: dict[frozenset[str], list[AuditedTask]] = {}
    for task in tasks:
        alike.setdefault(frozenset(task.labels[sample] for sample in range(len(task))), []).append(task)
    for group in alike.values():
        if len(group) < 2:
            continue
        rows = [some_samples(task, seed) for task in group]
        quality = np.concatenate([task.numbers["quality"][of_task] for task, of_task in zip(group, rows, strict=True)])
        codes = np.repeat(np.arange(len(group)), [len(of_task) for of_task in rows])
        patients = np.unique(
            np.stack([codes, np.concatenate([t.patients[r] for t, r in zip(group, rows, strict=True)])], axis=1),
            axis=0,
            return_inverse=True,
        )[1].reshape(-1)
        if quality.min() < quality.max() and _differs(quality, codes, patients, seed):
            names = [task.name for task in group]
            named = _by_group(quality, codes, names)
            yield _finding(
                ", ".join(names),
                "compression-differs-between-tasks",
                "doubtful",
                f"Tasks of the same classes differ in compression: {named}.",
            )


def _differs(quality: np.ndarray, codes: np.ndarray, patients: np.ndarray, seed: int) -> bool:
    """Whether the group of an image can be predicted from its compression."""
    groups, labels = np.unique(codes, return_inverse=True)
    if len(groups) < 2:
        return False
    measured = predictability(
        binned(quality), labels.reshape(-1).astype(np.int64), patients, permutations=_PERMUTATIONS, seed=seed
    )
    return measured is not None and measured.p <= _P and measured.skill(len(groups)) >= _SKILL


def _shares(quality: np.ndarray) -> str:
    """Describe the share and the qualities of JPEG among these images."""
    lossy = quality[quality > 0]
    if not len(lossy):
        return "no JPEG"
    low, high = int(lossy.min()), int(lossy.max())
    between = f"{low}" if low == high else f"{low} to {high}, median {np.median(lossy):.0f}"
    return f"{100 * len(lossy) / len(quality):.0f} % are JPEG (quality {between})"


def _by_group(quality: np.ndarray, codes: np.ndarray, names: Sequence[str]) -> str:
    shares = [f"'{names[code]}' {_shares(quality[codes == code])}" for code in np.unique(codes)]
    return ", ".join(shares[:8])


def _finding(task: str, name: str, harm: Harm, sentence: str) -> Finding:
    return Finding(name=name, task=task, harm=harm, sentence=sentence, advice=_ADVICE)
