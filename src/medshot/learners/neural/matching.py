"""Matching networks: every support image votes for its class, by its likeness to the query."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn
from medshot.learners.prototypes import class_means, memberships
from medshot.networks import base_network
from medshot.tasks import Support

SHARPNESS = 5.0


class MatchingNetwork(Learner):
    """Matching networks (Vinyals et al., 2016, equation 1) without full context embeddings.

    p(k | q) = Σ_i a(q, x_i) [y_i = k], where the attention a is the softmax over the support of the cosine times a
    learned sharpness; cosines are of features less the mean of the class means. Inductive; `adapt` costs one forward
    pass over the support.

    Args:
        shape: the images it takes.
        width: channels of the base network.
    """

    name = "matching"
    family = "Meta-NN"
    summary = "attention over the labelled images, each voting for its class"
    paper = "Vinyals et al., NeurIPS 2016"
    cost = "nothing but features"
    gradient = "exact"

    def __init__(self, shape: InputShape = ImageShape(channels=1, size=64), *, width: int = 64) -> None:
        super().__init__(shape)
        self.width = width
        self.network = base_network(shape, width)
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(SHARPNESS)))

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The base network's features."""
        return self.network(images)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """The support's directions from the centre, and each one's weight in its class."""
        labelled = support.labels, support.weights, support.ways
        centre = class_means(support.images, *labelled).mean(0)
        return {
            "directions": functional.normalize(support.images - centre),
            "members": memberships(*labelled),
            "centre": centre,
        }

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """The logarithm of each class's share of the attention, up to a constant of the query."""
        cosines = functional.normalize(images - adapted["centre"]) @ adapted["directions"].T
        attention = self.log_sharpness.exp() * cosines[:, :, None] + adapted["members"].log()
        return attention.logsumexp(1)
