"""Images as vectors for learners that have no network."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from medshot.networks.bag_network import mean_of_present


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
