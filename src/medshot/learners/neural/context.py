"""In-context learning: a transformer reads the support beside the query and is never fitted to a task."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.imaging import FeatureShape, ImageShape, InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn
from medshot.learners.neural.blocks import block_products, block_spread
from medshot.learners.neural.ridge import PENALTY, SCALE, ridge_regression
from medshot.learners.prototypes import log_frequencies, memberships
from medshot.networks import base_network
from medshot.networks.in_context import InContextTransformer
from medshot.tasks import Support


class Context(Learner):
    """An in-context transformer (as CAML; Fifty et al., 2024) that starts as ridge regression.

    The logits of a query are those of ridge regression on the support plus what the transformer says of it, which
    begins at zero. The transformer sees no features but the likeness of samples to each other, block by block, so that
    what a dozen data sets teach it holds for another; see `medshot.networks.in_context`. Inductive; `adapt` costs one
    forward pass over the support, quadratic in its size, and each query is linear in it.

    Args:
        shape: the images it takes.
        width: channels of the base network.
    """

    name = "context"
    family = "Meta-NN"
    summary = "a transformer reads how the labelled images and each new one are alike"
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
        scaled = centred / block_spread(centred, support.weights, self.blocks)
        likeness = block_products(centred, scaled, self.blocks)
        return {
            "coefficients": coefficients,
            "centre": centre,
            "support": scaled,
            "weights": support.weights,
            "prior": log_frequencies(support.labels, support.weights, support.ways),
            "memory": self.transformer.remember(likeness, members),
        }

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """The ridge regression's logits, and what the transformer adds to them."""
        centred = images - adapted["centre"]
        likeness = block_products(centred, adapted["support"], self.blocks)
        said = self.transformer(likeness, adapted["memory"], adapted["weights"])
        return self.log_scale.exp() * centred @ adapted["coefficients"] + said + adapted["prior"]
