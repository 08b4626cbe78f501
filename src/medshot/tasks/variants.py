"""Task augmentation: sub-sets and merges of classes make more tasks out of one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medshot.errors import InputError
from medshot.tasks.task import Task


def keep_classes(task: Task, classes: Sequence[int]) -> Task:
    """The task with only these classes, in this order."""
    return merge_classes(task, [[c] for c in classes])


def merge_classes(task: Task, groups: Sequence[Sequence[int]]) -> Task:
    """The task whose classes are these groups of the old ones; classes in no group are left out.

    Raises:
        InputError: a class stands in two groups.
    """
    members = [c for group in groups for c in group]
    if len(set(members)) < len(members):
        raise InputError(f"Groups {list(map(list, groups))} of task '{task.name}' share a class; name each class once.")
    new_label = np.full(len(task.classes), -1)
    for label, group in enumerate(groups):
        new_label[list(group)] = label
    kept = np.flatnonzero(new_label[task.labels] >= 0)
    names = tuple(" or ".join(task.classes[c] for c in group) for group in groups)
    return replace(
        task,
        name=f"{task.name} ({' vs '.join(names)})",
        labels=new_label[task.labels[kept]],
        classes=names,
        patients=task.patients[kept],
        rows=task.rows[kept],
    )


def random_variant(task: Task, ways: int, rng: np.random.Generator) -> Task:
    """A task of `ways` classes made from `task`: half the time a random sub-set, half the time a random merge of all.

    Raises:
        InputError: `task` has fewer than `ways` classes.
    """
    count = len(task.classes)
    if ways > count:
        raise InputError(f"Task '{task.name}' has {count} classes; {ways} cannot be made from them.")
    order = rng.permutation(count)
    if ways == count or rng.random() < 0.5:
        return keep_classes(task, order[:ways].tolist())
    cuts = np.sort(rng.choice(np.arange(1, count), ways - 1, replace=False))
    return merge_classes(task, [group.tolist() for group in np.split(order, cuts)])
