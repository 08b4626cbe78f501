"""Images as vectors for learners that have no network."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from medshot.networks.bag_network import mean_of_present
from medshot.tasks import Support


def as_vectors(images: Float[Tensor, "samples *image"], pixels: int) -> Float[Tensor, "samples features"]:
    """Features as they are; of a bag their mean; pixels shrunk, then each image at mean 0 and standard deviation 1.

    Args:
        images: features `(samples, features)`, bags `(samples, instances, 1 + features)`, pixels `(samples, channels,
            size, size)` or voxels `(samples, channels, size, size, size)`.
        pixels: side of the shrunken picture or volume; vectors of pixels have unit norm.
    """
    if images.ndim == 2:
        return images
    if images.ndim == 3:
        return mean_of_present(images)
    pool = functional.adaptive_avg_pool2d if images.ndim == 4 else functional.adaptive_avg_pool3d
    shrunk = pool(images, min(pixels, images.shape[-1]))
    standardised = functional.group_norm(shrunk, num_groups=1).flatten(1)
    return standardised / standardised.shape[1] ** 0.5


def row_space(vectors: Float[Tensor, "samples features"]) -> Float[Tensor, "features rank"]:
    """An orthonormal basis in which a linear model with a squared penalty has the same fit at a fraction of the cost.

    Such a model's coefficients lie in the span of its samples (Kimeldorf and Wahba, 1971). With fewer samples than
    features that span is small; otherwise the basis is that of the features themselves.
    """
    samples, features = vectors.shape
    return torch.linalg.qr(vectors.T).Q if samples < features else torch.eye(features).to(vectors)


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


WEIGHT, BIAS = "head.weight", "head.bias"


def new_head(support: Support, features: int) -> dict[str, Float[Tensor, "ways *features"]]:
    """The head every task starts from: weight `(ways, features)` and bias `(ways,)`, zero."""
    weight = support.weights.new_zeros(support.ways, features)
    return {WEIGHT: weight, BIAS: weight.new_zeros(support.ways)}


def apply_head(
    parameters: Mapping[str, Tensor], features: Float[Tensor, "samples features"]
) -> Float[Tensor, "samples ways"]:
    """Logits of the head among `parameters`."""
    return features @ parameters[WEIGHT].T + parameters[BIAS]


def is_head(name: str) -> bool:
    """Whether a parameter of that name belongs to the head."""
    return name in (WEIGHT, BIAS)


def weighted_mean(values: Float[Tensor, " samples"], weights: Float[Tensor, " samples"]) -> Float[Tensor, ""]:
    """The mean of `values` under `weights`."""
    return (values * weights).sum() / weights.sum()


def weighted_cross_entropy(
    logits: Float[Tensor, "samples ways"], labels: Int[Tensor, " samples"], weights: Float[Tensor, " samples"]
) -> Float[Tensor, ""]:
    """L_task: the mean cross-entropy of one task's samples, padding left out by its zero weight."""
    return weighted_mean(functional.cross_entropy(logits, labels, reduction="none"), weights)
