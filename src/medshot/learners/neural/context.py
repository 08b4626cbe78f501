"""In-context learning: a transformer reads the support beside the query and is never fitted to a task."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.imaging import FeatureShape, ImageShape, InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn
from medshot.learners.neural.blocks import block_sums
from medshot.learners.neural.ridge import PENALTY, SCALE, ridge_regression
from medshot.learners.prototypes import SMALLEST, log_frequencies, memberships
from medshot.networks import base_network
from medshot.networks.in_context import InContextTransformer
from medshot.tasks import Support


class Context(Learner):
    """An in-context transformer (as CAML; Fifty et al., 2024) that starts as a prototypical network.

    The logits of a query are its scaled nearness to the class means plus what the transformer adds, which begins at
    zero. The transformer keeps one stream of tokens for each class, all with the same weights, so any number of classes
    works and relabelling relabels; see `medshot.networks.in_context`. Inductive; `adapt` costs one forward pass over
    the support, quadratic in its size, and each query is linear in it.

    Args:
        shape: the images it takes.
        width: channels of the base network, and of a token.
    """

    name = "context"
    family = "Meta-NN"
    summary = "a transformer reads the labelled images beside each new one"
    paper = "Fifty et al., ICLR 2024"
    cost = "one forward pass"
    gradient = "exact"

    def __init__(self, shape: InputShape = ImageShape(channels=1, size=64), *, width: int = 64) -> None:
        super().__init__(shape)
        self.width = width
        self.network = base_network(shape, width)
        self.blocks = shape.blocks if isinstance(shape, FeatureShape) else (self.network.features,)
        self.transformer = InContextTransformer(len(self.blocks))
        self.log_penalty = nn.Parameter(torch.tensor(math.log(PENALTY)))
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The base network's features."""
        return self.network(images)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """The ridge regression of the support, and what the transformer remembers of it."""
        members = memberships(support.labels, support.weights, support.ways)
        coefficients, centre = ridge_regression(support.images, members, self.log_penalty.exp())
        centred = support.images - centre
        spread = weighted_spread(centred, support.weights, self.blocks)
        adapted = {
            "coefficients": coefficients,
            "centre": centre,
            "support": centred / spread,
            "weights": support.weights,
            "prior": log_frequencies(support.labels, support.weights, support.ways),
        }
        likeness = block_products(centred, adapted["support"], self.blocks)
        return adapted | {"memory": self.transformer.remember(likeness, members)}

    def predict_one(
        self, adapted: Adapted, images: Float[Tensor, "queries features"]
    ) -> Float[Tensor, "queries ways"]:
        """The ridge regression's logits, and what the transformer adds to them."""
        centred = images - adapted["centre"]
        likeness = block_products(centred, adapted["support"], self.blocks)
        said = self.transformer(likeness, adapted["memory"], adapted["weights"])
        return self.log_scale.exp() * centred @ adapted["coefficients"] + said + adapted["prior"]


def weighted_spread(centred: Tensor, weights: Tensor, blocks: tuple[int, ...]) -> Tensor:
    """Each feature's block's mean square norm over the support."""
    spread = weights @ block_sums(centred.square(), blocks) / weights.sum() + SMALLEST
    return torch.cat([of_block.expand(size) for of_block, size in zip(spread, blocks, strict=True)])


def block_products(queries: Tensor, samples: Tensor, blocks: tuple[int, ...]) -> Float[Tensor, "blocks queries samples"]:
    pairs = zip(queries.split(blocks, -1), samples.split(blocks, -1), strict=True)
    return torch.stack([of_queries @ of_samples.T for of_queries, of_samples in pairs])
