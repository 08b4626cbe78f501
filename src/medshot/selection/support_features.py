"""Meta-features of a support, by which similar past tasks are found, and the folds of its cross-validation."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from medshot.tasks import Support
from medshot.tasks.folds import folds_in_turn


@dataclass(frozen=True)
class SupportFeatures:
    """Meta-features of one support.

    Args:
        ways: number of classes.
        shots: mean number of labelled patients per class.
        spread: squared distance of images from their mean, relative to their squared length: 0 if all are equal, at
            most 1.
    """

    ways: int
    shots: float
    spread: float


def support_features(support: Support) -> SupportFeatures:
    """Return the meta-features of a support without a task axis; images `(support, ...)`."""
    real = support.weights > 0
    vectors = support.images[real].flatten(1)
    lengths = vectors.square().sum(1).mean()
    spread = (vectors - vectors.mean(0)).square().sum(1).mean() / lengths.clamp(min=1e-12)
    return SupportFeatures(support.ways, _shots(support, real), float(torch.clamp(spread, 0, 1)))


def _shots(support: Support, real: Bool[Tensor, " support"]) -> float:
    if support.patients is None:
        return float(real.sum()) / support.ways
    people = torch.stack([support.labels[real], support.patients[real]], dim=1)
    return len(people.unique(dim=0)) / support.ways


def left_out_folds(support: Support) -> Int[Tensor, " support"]:
    """Return the fold in which each image is left out with all images of its patient; -1 if it never is.

    There are as many folds as the smallest class has patients, at most five, and each leaves patients of every class.
    With one patient in a class there are no folds. Patients of several classes are left out only if there are too few
    others. The folds depend on the order of the images, and not on the numbering of classes and patients.

    Args:
        support: without a task axis and padding, ordered by content.
    """
    samples = len(support.labels)
    who = list(range(samples)) if support.patients is None else support.patients.tolist()
    classes: dict[int, set[int]] = {}
    for patient, label in zip(who, support.labels.tolist(), strict=True):
        classes.setdefault(patient, set()).add(label)
    fold_of = folds_in_turn({patient: labels for patient, labels in classes.items() if len(labels) == 1}, support.ways)
    if not fold_of:
        fold_of = folds_in_turn(
            {patient: labels for patient, labels in classes.items() if len(labels) > 1}, support.ways
        )
    return torch.tensor([fold_of.get(patient, -1) for patient in who], device=support.labels.device)
