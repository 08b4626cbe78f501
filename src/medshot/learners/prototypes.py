"""Class means, and squared distances to them by matrix products alone (`torch.cdist` is far slower in batches)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

SMALLEST = 1e-8


def memberships(
    labels: Int[Tensor, " samples"], weights: Float[Tensor, " samples"], ways: int
) -> Float[Tensor, "samples ways"]:
    """Each sample's weight in the column of its class, zero in the others."""
    return (labels[:, None] == torch.arange(ways, device=labels.device)) * weights[:, None]


def class_means(
    features: Float[Tensor, "samples features"],
    labels: Int[Tensor, " samples"],
    weights: Float[Tensor, " samples"],
    ways: int,
) -> Float[Tensor, "ways features"]:
    """The weighted mean feature of each class (Snell et al., 2017, equation 1); zero for a class without weight."""
    members = memberships(labels, weights, ways)
    return members.T @ features / members.sum(0).clamp(min=SMALLEST)[:, None]


def squared_distances(
    queries: Float[Tensor, "queries features"], means: Float[Tensor, "ways features"]
) -> Float[Tensor, "queries ways"]:
    """|q - m|² for each query and mean."""
    return queries.square().sum(1)[:, None] - 2 * queries @ means.T + means.square().sum(1)


def log_frequencies(
    labels: Int[Tensor, " samples"], weights: Float[Tensor, " samples"], ways: int
) -> Float[Tensor, " ways"]:
    """The logarithm of each class's share of the support: what logits are where features say nothing."""
    counts = memberships(labels, weights, ways).sum(0)
    return (counts.clamp(min=SMALLEST) / weights.sum()).log()
