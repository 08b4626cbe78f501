"""The loss of one task under weights, of which 0 marks padding."""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional


def weighted_mean(values: Float[Tensor, " samples"], weights: Float[Tensor, " samples"]) -> Float[Tensor, ""]:
    """The mean of `values` under `weights`."""
    return (values * weights).sum() / weights.sum()


def weighted_cross_entropy(
    logits: Float[Tensor, "samples ways"], labels: Int[Tensor, " samples"], weights: Float[Tensor, " samples"]
) -> Float[Tensor, ""]:
    """L_task: the mean cross-entropy of one task's samples, padding left out by its zero weight."""
    return weighted_mean(functional.cross_entropy(logits, labels, reduction="none"), weights)
