"""Groups of images that are the same, or nearly the same, over all tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medshot.audit.cues import SampleImages
from medshot.audit.findings import SHOWN, Example
from medshot.audit.neighbours import cropped_pairs, near_pairs
from medshot.audit.sample import AuditedTask, same

CROP_WORK = 100_000_000  # pairs of images up to which crops are compared
_SQUARE = 64
_LOOKED_AT = 20_000  # pairs up to which the pictures themselves are compared
_COARSELY, _FINELY = 0.93, 0.9  # correlation of near pairs at 16 and at 64 pixels per side

Numbers = Int64[np.ndarray, " samples"]
_OF_ONE_GROUP = 4
Members = Bool[np.ndarray, " samples"]


@dataclass(frozen=True)
class Groups:
    """The samples of all tasks, one after the other, with the groups that each is in.

    Args:
        tasks: the tasks.
        task: of each sample, an index into `tasks`.
        sample: of each sample, its place in its task.
        label: its class, counted over all tasks.
        patient: its patient, counted over all tasks.
        split: its split, counted over all tasks; -1 if it has none.
        file: the same number for the same bytes.
        exact: the same number for the same pixels.
        near: the same number for nearly the same picture, by fingerprint.
        alike: the same number for pictures that are nearly the same, or crops of each other, or neighbouring slices.
        recall: the share of near pairs that was found, if not all were compared.
        crops: whether crops were looked for.
    """

    tasks: Sequence[AuditedTask]
    task: Numbers
    sample: Numbers
    label: Numbers
    patient: Numbers
    split: Numbers
    file: Numbers
    exact: Numbers
    near: Numbers
    alike: Numbers
    recall: float | None
    crops: bool


def grouped(tasks: Sequence[AuditedTask]) -> Groups:
    """Compare all images of all tasks with each other."""
    task = np.repeat(np.arange(len(tasks)), [len(one) for one in tasks])
    sample = np.concatenate([np.arange(len(one)) for one in tasks])
    exact = same(np.concatenate([one.fact("pixels") for one in tasks]))
    patient = _counted([one.patients for one in tasks])
    distinct = np.sort(np.unique(exact, return_index=True)[1])
    found = near_pairs(np.concatenate([one.fact("fingerprint") for one in tasks])[distinct])
    near = _joined(exact, _confirmed(tasks, task, sample, distinct[found.pairs]))
    crops = len(distinct) ** 2 <= CROP_WORK
    alike = _joined(near, _crops(tasks, task, sample, distinct, near, patient)) if crops else near
    return Groups(
        tasks=tasks,
        task=task,
        sample=sample,
        label=_counted([one.labels.codes.astype(np.int64) for one in tasks]),
        patient=patient,
        split=_counted([one.splits.codes.astype(np.int64) if one.splits else np.full(len(one), -1) for one in tasks]),
        file=same(np.concatenate([one.fact("file") for one in tasks])),
        exact=exact,
        near=near,
        alike=alike,
        recall=found.recall,
        crops=crops,
    )


def _confirmed(
    tasks: Sequence[AuditedTask], task: Numbers, sample: Numbers, pairs: Int64[np.ndarray, "pairs 2"]
) -> Int64[np.ndarray, "confirmed 2"]:
    """Keep the pairs whose pictures correlate: fingerprints of sparse masks are near by chance.

    Measured: of 469 near pairs of brain slices, the pictures of all correlate by 0.92 and more at 64 pixels per side;
    of 8,398 of adrenal masks, those of 1 pair by more than 0.9.
    """
    kept = np.zeros(len(pairs), bool)
    thumbnails = [one.fact("thumbnail") for one in tasks]
    for start in range(0, len(pairs), _LOOKED_AT):
        block = pairs[start : start + _LOOKED_AT]
        sides = [np.stack([thumbnails[task[k]][sample[k]] for k in column]) for column in block.T]
        kept[start : start + _LOOKED_AT] = _correlation(*sides) >= _COARSELY
    pairs = pairs[kept]
    if not 0 < len(pairs) <= _LOOKED_AT:
        return pairs
    needed = np.unique(pairs)
    squares = np.concatenate([_thumbnails(one, sample[needed[task[needed] == k]]) for k, one in enumerate(tasks)])
    first, second = (squares[np.searchsorted(needed, column)] for column in pairs.T)
    return pairs[_correlation(first, second) >= _FINELY]


def _correlation(
    first: UInt8[np.ndarray, "pairs side side"], second: UInt8[np.ndarray, "pairs side side"]
) -> Float[np.ndarray, " pairs"]:
    """Correlate each picture with its partner."""
    a, b = (side.reshape(len(side), -1) - side.mean((1, 2))[:, None] for side in (first, second))
    return np.sum(a * b, axis=1) / np.maximum(np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1), 1e-9)


def _crops(
    tasks: Sequence[AuditedTask],
    task: Numbers,
    sample: Numbers,
    distinct: Int64[np.ndarray, " distinct"],
    near: Numbers,
    patient: Numbers,
) -> Int64[np.ndarray, "pairs 2"]:
    """Find pairs of samples that are crops of each other, not near anyway and not of one patient."""
    thumbnails = np.concatenate(
        [_thumbnails(one, sample[distinct[task[distinct] == k]]) for k, one in enumerate(tasks)]
    )
    structured = thumbnails.reshape(len(thumbnails), -1).std(axis=1) > 2
    chosen = distinct[structured]
    thumbnails = thumbnails[structured]
    if len(chosen) < 2:
        return np.empty((0, 2), np.int64)
    apart = _joined(near, _runs(patient))[chosen]
    return chosen[cropped_pairs(thumbnails, thumbnails, apart, apart)]


def _thumbnails(one: AuditedTask, samples: Int64[np.ndarray, " distinct"]) -> np.ndarray:
    """Return the pictures themselves, resized to squares."""
    return SampleImages(one, samples).squeezed(_SQUARE)


def _runs(numbers: Numbers) -> Int64[np.ndarray, "pairs 2"]:
    """Return pairs that chain all samples of one number."""
    order = np.argsort(numbers, kind="stable")
    first, second = order[:-1], order[1:]
    chained = numbers[first] == numbers[second]
    return np.stack([first[chained], second[chained]], axis=1)


def _joined(groups: Numbers, pairs: Int64[np.ndarray, "pairs 2"]) -> Numbers:
    """Merge the groups of each pair of samples."""
    size = int(groups.max()) + 1
    ends = groups[pairs]
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(size, size))
    return connected_components(graph, directed=False)[1].astype(np.int64)[groups]


def _counted(parts: Sequence[Int64[np.ndarray, " _"]]) -> Numbers:
    """Make the numbers of several tasks different from task to task; -1 is kept."""
    counted, start = [], 0
    for part in parts:
        counted.append(np.where(part < 0, part, part + start))
        start += int(part.max(initial=-1)) + 1
    return np.concatenate(counted)


def repeated(of: Numbers, here: Members) -> Members:
    """Select the samples in `here` whose group has two or more samples in `here`."""
    return here & (np.bincount(of[here], minlength=int(of.max()) + 1)[of] > 1)


def spread_over(of: Numbers, attribute: Numbers, here: Members) -> Members:
    """Select the samples in `here` whose group has, in `here`, two or more values of the attribute."""
    lowest = np.full(int(of.max()) + 1, np.iinfo(np.int64).max)
    highest = np.full(len(lowest), -1)
    np.minimum.at(lowest, of[here], attribute[here])
    np.maximum.at(highest, of[here], attribute[here])
    return here & (highest > lowest)[of]


def group_examples(groups: Groups, members: Members, of: Numbers) -> list[Example]:
    """Show some groups, each by a few images that differ in task, split, class or patient if there are such."""
    chosen = np.flatnonzero(members)
    chosen = chosen[np.argsort(of[chosen], kind="stable")]
    starts = np.unique(of[chosen], return_index=True)[1]
    examples: list[Example] = []
    for group, rows in enumerate(np.split(chosen, starts[1:])):
        if len(examples) >= SHOWN:
            break
        places = np.stack([groups.task[rows], groups.split[rows], groups.label[rows], groups.patient[rows]])
        different = np.sort(np.unique(places, axis=1, return_index=True)[1])
        some = np.concatenate([different, np.setdiff1d(np.arange(len(rows)), different)])[:_OF_ONE_GROUP]
        for row in rows[some].tolist():
            examples += groups.tasks[groups.task[row]].examples(
                [int(groups.sample[row])], [_caption(groups, row)], group
            )
    return examples


def split_of(groups: Groups, row: int) -> str:
    """Return the name of a sample's split, "" if it has none."""
    task = groups.tasks[groups.task[row]]
    return task.splits[int(groups.sample[row])] if task.splits else ""


def _caption(groups: Groups, row: int) -> str:
    task, sample = groups.tasks[groups.task[row]], int(groups.sample[row])
    patient = task.listing.patients[int(task.rows[sample])] if task.listing.patients else ""
    parts = [task.name if len(groups.tasks) > 1 else "", task.labels[sample], split_of(groups, row), patient]
    return ", ".join(part for part in parts if part)
