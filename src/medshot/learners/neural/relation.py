"""Relation networks: a learned comparison of a query with each class."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn
from medshot.learners.neural.blocks import block_sizes, block_sums
from medshot.learners.prototypes import SMALLEST, class_means, log_frequencies
from medshot.networks import base_network
from medshot.tasks import Support

RELATION_SCALE, HIDDEN = 1.0, 32


class RelationNetwork(Learner):
    """A relation network (Sung et al., 2018) that starts as a prototypical network.

    The logit of class k is -s |f(q) - c_k|² + r(q, c_k) plus the logarithm of its share of the support. The relation r
    has one hidden layer and sees, for each block of the base network's features, the squared distance and the product
    of query and class mean, both from the mean of the class means and relative to the class means' spread; it starts
    at zero. Inductive; `adapt` costs one forward pass over the support.

    Args:
        shape: the images it takes.
        width: channels of the base network.
    """

    name = "relation"
    family = "Meta-NN"
    summary = "a learned comparison of query and class mean"
    paper = "Sung et al., CVPR 2018"
    cost = "one mean per class"
    gradient = "exact"

    def __init__(self, shape: InputShape = ImageShape(channels=1, size=64), *, width: int = 64) -> None:
        super().__init__(shape)
        self.width = width
        self.network = base_network(shape, width)
        self.blocks = block_sizes(self.network)
        output = nn.Linear(HIDDEN, 1, bias=False)
        nn.init.zeros_(output.weight)
        self.relation = nn.Sequential(nn.Linear(2 * len(self.blocks), HIDDEN), nn.GELU(), output)
        self.log_scale = nn.Parameter(torch.tensor(math.log(RELATION_SCALE)))

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The base network's features."""
        return self.network(images)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """The class means and the mean of these."""
        labelled = support.labels, support.weights, support.ways
        means = class_means(support.images, *labelled)
        return {"means": means, "centre": means.mean(0), "prior": log_frequencies(*labelled)}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Scaled nearness to each prototype, and what the relation adds to it."""
        means = adapted["means"] - adapted["centre"]
        queries = (images - adapted["centre"])[:, None]
        distances = block_sums((queries - means).square(), self.blocks)
        products = block_sums(queries * means, self.blocks)
        spread = block_sums(means.square(), self.blocks).mean(0) + SMALLEST
        relation = self.relation(torch.cat([distances / spread, products / spread], -1))[..., 0]
        return relation - self.log_scale.exp() * distances.sum(-1) + adapted["prior"]
