"""In-context learning: a transformer reads the support beside the query and is never fitted to a task."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn
from medshot.learners.prototypes import class_means, log_frequencies, memberships, squared_distances
from medshot.networks import base_network
from medshot.networks.in_context import InContextTransformer
from medshot.tasks import Support

SCALE = 1.0


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
        self.transformer = InContextTransformer(self.network.features, width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The base network's features."""
        return self.network(images)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """The class means, and what the transformer remembers of the support."""
        labelled = support.labels, support.weights, support.ways
        means = class_means(support.images, *labelled)
        centre = means.mean(0)
        return {
            "means": means,
            "centre": centre,
            "memory": self.transformer.remember(support.images - centre, memberships(*labelled)),
            "weights": support.weights,
            "prior": log_frequencies(*labelled),
        }

    def predict_one(
        self, adapted: Adapted, images: Float[Tensor, "queries features"]
    ) -> Float[Tensor, "queries ways"]:
        """Scaled nearness to each prototype, and what the transformer adds to it."""
        said = self.transformer(images - adapted["centre"], adapted["memory"], adapted["weights"])
        nearness = -squared_distances(images, adapted["means"])
        return self.log_scale.exp() * nearness + said + adapted["prior"]
