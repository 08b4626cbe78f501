"""Split tasks into the disjoint sets of meta-training: train, new and validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medshot.errors import InputError
from medshot.tasks import Task, split_patients

LEAST_TASKS = 8


@dataclass(frozen=True)
class TaskSplit:
    """Tasks for meta-training.

    Args:
        train: the outer loop's ordinary steps draw from these.
        new: every `refresh` steps the outer loop draws from these, so that the meta-network is judged on tasks whose
            gradients it was not trained on.
        validation: early stopping and the choice of the best parameters use these.
        by_patients: whether there were too few tasks to set any apart, so that the three hold disjoint patients of the
            same tasks.
    """

    train: Sequence[Task]
    new: Sequence[Task]
    validation: Sequence[Task]
    by_patients: bool


def split_tasks(tasks: Sequence[Task], seed: int = 0) -> TaskSplit:
    """Split tasks into train (6 parts), new and validation (1 part each).

    With eight or more sources, whole sources are split, since tasks of one source may share images. With fewer, the
    patients are split, once for all tasks: half of them train, a quarter is new and a quarter validates.

    Raises:
        InputError: there are no tasks.
        TooFewPatients: a class cannot be split into three parts.
    """
    if not tasks:
        raise InputError("There is no task to train on; give one or more.")
    rng = np.random.default_rng([seed, len(tasks)])
    sources = rng.permutation(sorted({task.source for task in tasks})).tolist()
    if len(sources) >= LEAST_TASKS:
        apart = len(sources) // LEAST_TASKS
        role = dict.fromkeys(sources, 0) | dict.fromkeys(sources[:apart], 1)
        role |= dict.fromkeys(sources[apart : 2 * apart], 2)
        train, new, validation = ([task for task in tasks if role[task.source] == part] for part in range(3))
        return TaskSplit(train, new, validation, by_patients=False)
    parts = split_patients(tasks, (0.5, 0.25, 0.25), rng)
    train, new, validation = (list(of_part) for of_part in zip(*parts, strict=True))
    return TaskSplit(train, new, validation, by_patients=True)
