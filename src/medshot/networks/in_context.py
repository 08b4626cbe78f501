"""A transformer that reads a labelled set in its context and predicts further samples, for any classes."""

import math
from collections.abc import Iterable
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

SHARPNESS = 5.0


class InContextTransformer(nn.Module):
    """Attention over labelled samples by their likeness, in one stream of tokens for each class and block.

    A sample's features are never tokens: only its likeness to the labelled samples, block by block, is added to the
    attention. In the streams of class k the token of a labelled sample starts as one of two learned vectors,
    depending on whether it is of class k, and that of a query as a third. All streams have the same weights, so any
    number of classes works, in any order. In every layer each sample attends to the other labelled samples, then
    takes in the mean over classes and over blocks. Queries attend only to labelled samples; their keys and values are
    computed once, so the cost is linear in the queries. The output starts at zero.

    Args:
        blocks: of features.
        width: of a token.
        layers: number of layers.
        heads: of each layer's attention.
    """

    def __init__(self, blocks: int, width: int = 16, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.starts = nn.Parameter(torch.randn(3, width))
        self.blocks = nn.Parameter(0.1 * torch.randn(blocks, 1, width))
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))
        self.normalise = nn.LayerNorm(width)
        self.output = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.output.weight)

    def keys_and_values(
        self, likeness: Float[Tensor, "blocks samples samples"], members: Float[Tensor, "samples ways"]
    ) -> Float[Tensor, "layers 2 ways blocks samples width"]:
        """Return what queries attend to in each layer.

        Args:
            likeness: of the labelled samples to each other.
            members: each one's weight in the column of its class.
        """
        tokens = self.starts[(members.T > 0).long()][:, None] + self.blocks
        others = (members.sum(1) - torch.eye(len(members)).to(members)).clamp(min=0)
        memory = []
        for layer in cast(Iterable[_Layer], self.layers):
            memory.append(layer.keys_and_values(tokens))
            tokens = layer(tokens, memory[-1], likeness, others)
        return torch.stack(memory)

    def forward(
        self,
        likeness: Float[Tensor, "blocks queries samples"],
        memory: Float[Tensor, "layers 2 ways blocks samples width"],
        weights: Float[Tensor, " samples"],
    ) -> Float[Tensor, "queries ways"]:
        """Return an output for each query and class.

        Args:
            likeness: of the queries to the labelled samples.
            memory: what `keys_and_values` returned.
            weights: of the labelled samples; 0 is not attended to.
        """
        blocks, queries, _ = likeness.shape
        tokens = (self.starts[2] + self.blocks).expand(memory.shape[2], blocks, queries, -1)
        for layer, remembered in zip(self.layers, memory, strict=True):
            tokens = layer(tokens, remembered, likeness, weights)
        return self.output(self.normalise(tokens).mean(1))[..., 0].T


class _Layer(nn.Module):
    """Attention to a memory, then a network of one hidden layer that also takes the means, each added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.sharpness = nn.Parameter(SHARPNESS * torch.rand(heads, 1, 1))
        self.normalise = nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.mix = nn.Sequential(
            nn.LayerNorm(3 * width), nn.Linear(3 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def keys_and_values(
        self, tokens: Float[Tensor, "ways blocks samples width"]
    ) -> Float[Tensor, "2 ways blocks samples width"]:
        """Return keys and values."""
        tokens = self.normalise(tokens)
        return torch.stack([self.key(tokens), self.value(tokens)])

    def forward(
        self,
        tokens: Float[Tensor, "ways blocks queries width"],
        memory: Float[Tensor, "2 ways blocks samples width"],
        likeness: Float[Tensor, "blocks queries samples"],
        weights: Float[Tensor, "*queries samples"],
    ) -> Float[Tensor, "ways blocks queries width"]:
        queries, keys, values = (self._split(part) for part in (self.query(self.normalise(tokens)), *memory))
        content = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])
        attention = content + self.sharpness * likeness[:, None] + weights.log()
        attended = attention.softmax(-1) @ values
        tokens = tokens + self.out(attended.transpose(-2, -3).flatten(-2))
        means = tokens.mean(0, keepdim=True), tokens.mean(1, keepdim=True)
        return tokens + self.mix(torch.cat([tokens, *(mean.expand_as(tokens) for mean in means)], -1))

    def _split(
        self, parts: Float[Tensor, "ways blocks samples width"]
    ) -> Float[Tensor, "ways blocks heads samples part"]:
        return parts.unflatten(-1, (self.heads, -1)).transpose(-2, -3)
