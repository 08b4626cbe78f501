"""Which groups of images hold more than one of something, and some of them to show."""

import numpy as np
from jaxtyping import Bool

from medshot.tasks.audit.groups import Groups, Numbers
from medshot.tasks.audit.verdict import SHOWN, Example

_OF_ONE_GROUP = 4

Members = Bool[np.ndarray, " samples"]


def repeated(of: Numbers, here: Members) -> Members:
    """The samples here whose group has two or more samples here."""
    return here & (np.bincount(of[here], minlength=int(of.max()) + 1)[of] > 1)


def spread_over(of: Numbers, attribute: Numbers, here: Members) -> Members:
    """The samples here whose group holds, here, two or more different values of the attribute."""
    lowest = np.full(int(of.max()) + 1, np.iinfo(np.int64).max)
    highest = np.full(len(lowest), -1)
    np.minimum.at(lowest, of[here], attribute[here])
    np.maximum.at(highest, of[here], attribute[here])
    return here & (highest > lowest)[of]


def group_examples(groups: Groups, members: Members, of: Numbers) -> list[Example]:
    """Some groups, and of each a few images that differ in task, split, class or patient where there are such."""
    chosen = np.flatnonzero(members)
    chosen = chosen[np.argsort(of[chosen], kind="stable")]
    starts = np.unique(of[chosen], return_index=True)[1]
    examples: list[Example] = []
    for group, rows in enumerate(np.split(chosen, starts[1:])):
        if len(examples) >= SHOWN:
            break
        places = np.stack([groups.task[rows], groups.split[rows], groups.label[rows], groups.patient[rows]])
        different = np.sort(np.unique(places, axis=1, return_index=True)[1])
        shown = np.concatenate([different, np.setdiff1d(np.arange(len(rows)), different)])[:_OF_ONE_GROUP]
        for row in rows[shown].tolist():
            examples += groups.tasks[groups.task[row]].examples(
                [int(groups.sample[row])], [_caption(groups, row)], group
            )
    return examples


def split_of(groups: Groups, row: int) -> str:
    """The name of a sample's split, "" where it has none."""
    task = groups.tasks[groups.task[row]]
    return task.splits[int(groups.sample[row])] if task.splits else ""


def _caption(groups: Groups, row: int) -> str:
    task, sample = groups.tasks[groups.task[row]], int(groups.sample[row])
    patient = task.listing.patients[int(task.rows[sample])] if task.listing.patients else ""
    said = [task.name if len(groups.tasks) > 1 else "", task.labels[sample], split_of(groups, row), patient]
    return ", ".join(part for part in said if part)
