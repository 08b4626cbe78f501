"""Features taken together by blocks: those of one depth of an encoder, or each channel of a small network by itself."""

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.imaging import FeatureShape
from medshot.learners.prototypes import SMALLEST
from medshot.networks import BaseNetwork


def block_sizes(network: BaseNetwork) -> tuple[int, ...]:
    """How many of the network's features each block has."""
    return network.shape.blocks if isinstance(network.shape, FeatureShape) else (1,) * network.features


def block_sums(values: Float[Tensor, "*rows features"], sizes: tuple[int, ...]) -> Float[Tensor, "*rows blocks"]:
    """The sum of the values within each block."""
    block = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(values.device)
    return values.new_zeros(*values.shape[:-1], len(sizes)).index_add(-1, block, values)


def block_spread(
    features: Float[Tensor, "samples features"], weights: Float[Tensor, " samples"], sizes: tuple[int, ...]
) -> Float[Tensor, " features"]:
    """For each feature, the weighted mean square norm of its block."""
    spread = weights @ block_sums(features.square(), sizes) / weights.sum() + SMALLEST
    return torch.cat([of_block.expand(size) for of_block, size in zip(spread, sizes, strict=True)])


def block_products(
    queries: Float[Tensor, "queries features"], samples: Float[Tensor, "samples features"], sizes: tuple[int, ...]
) -> Float[Tensor, "blocks queries samples"]:
    """The inner product of each query and sample, block by block."""
    pairs = zip(queries.split(sizes, -1), samples.split(sizes, -1), strict=True)
    return torch.stack([of_queries @ of_samples.T for of_queries, of_samples in pairs])
