"""Features taken together by blocks: those of one depth of an encoder, or each channel of a small network by itself."""

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.imaging import FeatureShape
from medshot.networks import BaseNetwork


def block_sizes(network: BaseNetwork) -> tuple[int, ...]:
    """How many of the network's features each block has."""
    return network.shape.blocks if isinstance(network.shape, FeatureShape) else (1,) * network.features


def block_sums(values: Float[Tensor, "*rows features"], sizes: tuple[int, ...]) -> Float[Tensor, "*rows blocks"]:
    """The sum of the values within each block."""
    block = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(values.device)
    return values.new_zeros(*values.shape[:-1], len(sizes)).index_add(-1, block, values)
