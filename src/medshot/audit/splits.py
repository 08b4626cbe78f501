"""Findings on a given split: patients in several splits, classes that are missing in one."""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from scipy.stats import chi2_contingency

from medshot.audit.findings import SHOWN, Example, Finding
from medshot.audit.sample import AuditedTask

_SHIFT = 0.1  # the largest difference of a class's share between two splits that is not worth a note


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
        f"{len(samples):,} images are of them.",
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
