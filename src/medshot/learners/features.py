"""Computations of learners on the features of a support: class means, distances, a linear head, losses."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from medshot.networks.bag_network import mean_of_present
from medshot.tasks import Support

SMALLEST = 1e-8


def flatten_features(images: Float[Tensor, "samples *image"], pixels: int) -> Float[Tensor, "samples features"]:
    """Return features unchanged, the mean of a bag, or shrunken pixels at mean 0 and standard deviation 1.

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
    """Return an orthonormal basis in which a linear model with a squared penalty has the same fit at less cost.

    Such a model's coefficients lie in the span of its samples (Kimeldorf and Wahba, 1971). With fewer samples than
    features that span is small; otherwise the basis is that of the features themselves.
    """
    samples, features = vectors.shape
    return torch.linalg.qr(vectors.T).Q if samples < features else torch.eye(features).to(vectors)


def memberships(support: Support) -> Float[Tensor, "samples ways"]:
    """Return each sample's weight in the column of its class, zero in the others."""
    return one_hot(support.labels, support.ways, support.weights) * support.weights[:, None]


def one_hot(labels: Int[Tensor, " samples"], ways: int, like: Tensor) -> Float[Tensor, "samples ways"]:
    """Return 1 in the column of each label, zero in the others, in the precision of `like`."""
    return (labels[:, None] == torch.arange(ways, device=labels.device)).to(like)


def class_means(support: Support) -> Float[Tensor, "ways features"]:
    """Return the weighted mean of each class's features (Snell et al., 2017, equation 1); zero for an empty class."""
    members = memberships(support)
    return members.T @ support.images / members.sum(0).clamp(min=SMALLEST)[:, None]


def mean_feature(support: Support) -> Float[Tensor, " features"]:
    """Return the mean of the features under the support's weights."""
    return (support.images * support.weights[:, None]).sum(0) / support.weights.sum()


def squared_distances(
    queries: Float[Tensor, "queries features"], means: Float[Tensor, "ways features"]
) -> Float[Tensor, "queries ways"]:
    """Return |q - m|² for each query and mean."""
    return queries.square().sum(1)[:, None] - 2 * queries @ means.T + means.square().sum(1)


def log_frequencies(support: Support) -> Float[Tensor, " ways"]:
    """Return the logarithm of each class's share of the support: the logits if the features carry no information."""
    counts = memberships(support).sum(0)
    return (counts.clamp(min=SMALLEST) / support.weights.sum()).log()


def learned_logarithm(value: float) -> nn.Parameter:
    """Return the logarithm of a positive number as a parameter."""
    return nn.Parameter(torch.tensor(math.log(value)))


WEIGHT, BIAS = "head.weight", "head.bias"


def new_head(support: Support, features: int) -> dict[str, Float[Tensor, "ways *features"]]:
    """Return the head that every task starts from: weight `(ways, features)` and bias `(ways,)`, zero."""
    weight = support.weights.new_zeros(support.ways, features)
    return {WEIGHT: weight, BIAS: weight.new_zeros(support.ways)}


def apply_head(
    parameters: Mapping[str, Tensor], features: Float[Tensor, "samples features"]
) -> Float[Tensor, "samples ways"]:
    """Return the logits of the head among `parameters`."""
    return features @ parameters[WEIGHT].T + parameters[BIAS]


def is_head(name: str) -> bool:
    """Whether a parameter of that name belongs to the head."""
    return name in (WEIGHT, BIAS)


def weighted_mean(values: Float[Tensor, " samples"], weights: Float[Tensor, " samples"]) -> Float[Tensor, ""]:
    """Return the mean of `values` under `weights`."""
    return (values * weights).sum() / weights.sum()


def weighted_cross_entropy(
    logits: Float[Tensor, "samples ways"], labels: Int[Tensor, " samples"], weights: Float[Tensor, " samples"]
) -> Float[Tensor, ""]:
    """Return L_task: the mean cross-entropy of one task's samples under their weights."""
    return weighted_mean(functional.cross_entropy(logits, labels, reduction="none"), weights)
