"""A transformer that reads a labelled set in its context and answers for further samples, one channel per class."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

Memory = Float[Tensor, "layers 2 ways samples width"]


class InContextTransformer(nn.Module):
    """Attention over labelled samples, class by class with the same weights, in one stream of tokens per class.

    In the stream of class k, the token of a labelled sample is its projected features plus one of two learned vectors,
    by whether it is of class k; that of a query is its projected features alone. So any number of classes works, and
    they may stand in any order. Labelled samples attend to each other, queries to labelled samples alone: what they
    attend to is computed once, and queries cost as many times more as there are. In every layer each stream also takes
    in the mean of all streams. The output starts at zero.

    Args:
        features: of each sample.
        width: of a token.
        layers: number of layers.
        heads: of each layer's attention.
    """

    def __init__(self, features: int, width: int = 64, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.project = nn.Linear(features, width, bias=False)
        self.member = nn.Parameter(torch.randn(2, width) / 2)
        self.layers = nn.ModuleList(_Layer(width, heads) for _ in range(layers))
        self.normalise = nn.LayerNorm(width)
        self.output = nn.Linear(width, 1, bias=False)
        nn.init.zeros_(self.output.weight)

    def remember(
        self, features: Float[Tensor, "samples features"], members: Float[Tensor, "samples ways"]
    ) -> Memory:
        """What queries attend to in each layer.

        Args:
            features: of the labelled samples.
            members: each one's weight in the column of its class.
        """
        tokens = self.project(features) + self.member[(members.T > 0).long()]
        memory = []
        for layer in self.layers:
            memory.append(layer.remember(tokens))
            tokens = layer(tokens, memory[-1], members.sum(1))
        return torch.stack(memory)

    def forward(
        self, features: Float[Tensor, "queries features"], memory: Memory, weights: Float[Tensor, " samples"]
    ) -> Float[Tensor, "queries ways"]:
        """A number for each query and class.

        Args:
            features: of the queries.
            memory: what `remember` returned.
            weights: of the labelled samples; 0 is not attended to.
        """
        tokens = self.project(features).expand(memory.shape[2], -1, -1)
        for layer, remembered in zip(self.layers, memory, strict=True):
            tokens = layer(tokens, remembered, weights)
        return self.output(self.normalise(tokens))[..., 0].T


class _Layer(nn.Module):
    """Attention to a memory, then the mean over classes and a network of one hidden layer, each added to its input.

    Queries and keys start as the same projection, so that attention starts at samples that are alike.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.normalise = nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.key.load_state_dict(self.query.state_dict())
        self.mix = nn.Sequential(nn.LayerNorm(2 * width), nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))

    def remember(self, tokens: Float[Tensor, "ways samples width"]) -> Float[Tensor, "2 ways samples width"]:
        """Keys and values."""
        tokens = self.normalise(tokens)
        return torch.stack([self.key(tokens), self.value(tokens)])

    def forward(
        self,
        tokens: Float[Tensor, "ways queries width"],
        memory: Float[Tensor, "2 ways samples width"],
        weights: Float[Tensor, " samples"],
    ) -> Float[Tensor, "ways queries width"]:
        queries, keys, values = (self._split(part) for part in (self.query(self.normalise(tokens)), *memory))
        likeness = queries @ keys.transpose(-1, -2) / math.sqrt(queries.shape[-1])
        attended = (likeness + weights.log()).softmax(-1) @ values
        tokens = tokens + self.out(attended.transpose(-2, -3).flatten(-2))
        return tokens + self.mix(torch.cat([tokens, tokens.mean(0).expand_as(tokens)], -1))

    def _split(self, parts: Float[Tensor, "ways samples width"]) -> Float[Tensor, "ways heads samples depth"]:
        return parts.unflatten(-1, (self.heads, -1)).transpose(-2, -3)
