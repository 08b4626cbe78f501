"""Kernels in a support's own units: about its mean, at a root mean square distance of 1 from it."""

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.learners.prototypes import squared_distances

SMALLEST = 1e-12


def own_units(
    vectors: Float[Tensor, "support features"], weights: Float[Tensor, " support"]
) -> tuple[Float[Tensor, " features"], Float[Tensor, ""]]:
    """The mean of a support's vectors and their root mean square distance to it."""
    share = weights / weights.sum()
    centre = share @ vectors
    square = share @ (vectors - centre).square().sum(1)
    return centre, square.clamp(min=SMALLEST).sqrt()


def linear_kernel(
    one: Float[Tensor, "samples features"], other: Float[Tensor, "others features"]
) -> Float[Tensor, "samples others"]:
    """x·x' + 1, where the 1 is that of an intercept.

    Without it the Gram matrix of a centred support maps the vector of ones to zero, its dual has many solutions, and
    the gradient of the one that is found means nothing.
    """
    return one @ other.T + 1


def mixed_kernel(
    one: Float[Tensor, "samples features"],
    other: Float[Tensor, "others features"],
    gamma: Float[Tensor, ""],
    mix: Float[Tensor, ""],
) -> Float[Tensor, "samples others"]:
    """(1 - mix) x·x' + mix exp(-γ |x - x'|² / 2) + 1; a mix of kernels is a kernel.

    In a support's own units the mean squared distance of its pairs is 2, so that γ is relative to that.
    """
    near = torch.exp(-gamma * squared_distances(one, other).clamp(min=0) / 2)
    return torch.lerp(linear_kernel(one, other), near + 1, mix)
