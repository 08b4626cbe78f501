"""Dealing a support's patients into folds for cross-validation."""

import torch
from jaxtyping import Int
from torch import Tensor

from medshot.tasks import Support

FOLDS = 5


def left_out_folds(support: Support) -> Int[Tensor, " support"]:
    """The fold in which each image is left out, with all images of its patient; -1 for those that never are.

    There are as many folds as the smallest class has patients, at most five, and each leaves patients of every class.
    With one patient in a class there are none. Patients of several classes are never left out. Only the order of the
    images decides, and not how classes and patients are numbered.

    Args:
        support: without a task axis and padding, ordered by content.
    """
    samples = len(support.labels)
    who = list(range(samples)) if support.patients is None else support.patients.tolist()
    classes: dict[int, set[int]] = {}
    for patient, label in zip(who, support.labels.tolist(), strict=True):
        classes.setdefault(patient, set()).add(label)
    of_class: dict[int, list[int]] = {}
    for patient, labels in classes.items():
        if len(labels) == 1:
            of_class.setdefault(next(iter(labels)), []).append(patient)
    none = torch.full((samples,), -1, device=support.labels.device)
    if len(of_class) < support.ways:
        return none
    folds = min(FOLDS, *map(len, of_class.values()))
    if folds < 2:
        return none
    fold_of = {patient: place % folds for patients in of_class.values() for place, patient in enumerate(patients)}
    return torch.tensor([fold_of.get(patient, -1) for patient in who], device=support.labels.device)
