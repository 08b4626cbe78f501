"""What a support tells of its task before anything is fitted, by which past tasks are found that are like it."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from medshot.tasks import Support


@dataclass(frozen=True)
class Traits:
    """Of one support.

    Args:
        ways: number of classes.
        shots: labelled patients per class, the mean.
        spread: how far images lie from their mean, as a share of their own length: 0 if all are alike, at most 1.
    """

    ways: int
    shots: float
    spread: float


def traits_of(support: Support) -> Traits:
    """The traits of a support without a task axis; images `(support, ...)`."""
    real = support.weights > 0
    vectors = support.images[real].flatten(1)
    lengths = vectors.square().sum(1).mean()
    spread = (vectors - vectors.mean(0)).square().sum(1).mean() / lengths.clamp(min=1e-12)
    return Traits(support.ways, _shots(support, real), float(torch.clamp(spread, 0, 1)))


def _shots(support: Support, real: Bool[Tensor, " support"]) -> float:
    if support.patients is None:
        return float(real.sum()) / support.ways
    people = torch.stack([support.labels[real], support.patients[real]], dim=1)
    return len(people.unique(dim=0)) / support.ways
