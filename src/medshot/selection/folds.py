"""Dealing a support's patients into folds for cross-validation."""

from collections.abc import Mapping

import torch
from jaxtyping import Int
from torch import Tensor

from medshot.tasks import Support

FOLDS = 5


def left_out_folds(support: Support) -> Int[Tensor, " support"]:
    """The fold in which each image is left out, with all images of its patient; -1 for those that never are.

    There are as many folds as the smallest class has patients, at most five, and each leaves patients of every class.
    With one patient in a class there are none. Patients of several classes are left out only where others are too few
    for folds. Only the order of the images decides, and not how classes and patients are numbered.

    Args:
        support: without a task axis and padding, ordered by content.
    """
    samples = len(support.labels)
    who = list(range(samples)) if support.patients is None else support.patients.tolist()
    classes: dict[int, set[int]] = {}
    for patient, label in zip(who, support.labels.tolist(), strict=True):
        classes.setdefault(patient, set()).add(label)
    fold_of = _dealt({patient: labels for patient, labels in classes.items() if len(labels) == 1}, support.ways)
    if not fold_of:
        fold_of = _dealt({patient: labels for patient, labels in classes.items() if len(labels) > 1}, support.ways)
    return torch.tensor([fold_of.get(patient, -1) for patient in who], device=support.labels.device)


def _dealt(classes: Mapping[int, set[int]], ways: int) -> dict[int, int]:
    """The fold of each patient; none where no two folds have patients of every class.

    Args:
        classes: of each patient.
        ways: how many classes there are.
    """
    alike: dict[frozenset[int], list[int]] = {}
    for patient, labels in classes.items():
        alike.setdefault(frozenset(labels), []).append(patient)
    if len(set().union(*alike)) < ways:
        return {}
    folds = min(FOLDS, *map(len, alike.values()))
    if folds < 2:
        return {}
    return {patient: place % folds for patients in alike.values() for place, patient in enumerate(patients)}
