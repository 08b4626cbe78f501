"""Prototypical networks: a query is of the class whose mean is nearest."""

import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from medshot.errors import InputError
from medshot.imaging import ImageInput, InputSpec
from medshot.learners.base import Adapted, Learner
from medshot.learners.closed_form.ridge import block_sizes, block_sums
from medshot.learners.features import SMALLEST, class_means, log_frequencies, memberships, squared_distances
from medshot.learners.seeding import Randomness
from medshot.networks import base_network
from medshot.tasks import Support

DISTANCE_SCALES = {"euclidean": 1.0, "cosine": 3.0}


class ProtoNet(Learner):
    """Prototypical networks (Snell et al., 2017, equations 1 and 2), with a learned scale s.

    p(k | q) ∝ π_k exp(-s d(f(q), c_k)), where f is the base network, c_k the mean feature of class k, π_k its share of
    the support, and d the squared Euclidean distance, or minus the cosine of the features less the support's mean
    (Gidaris and Komodakis, 2018; Chen et al., 2021). Inductive; `adapt` costs one forward pass over the support.

    Args:
        input_spec: the images it takes.
        width: channels of the base network.
        distance: "euclidean" or "cosine".

    Raises:
        InputError: there is no such distance.
    """

    name = "protonet"
    family = "Meta-NN"
    summary = "the class whose mean feature is nearest"
    paper = "Snell et al., NeurIPS 2017"
    cost = "one mean per class"
    gradient = "exact"

    def __init__(
        self,
        input_spec: InputSpec = ImageInput(channels=1, size=64),
        *,
        width: int = 64,
        distance: Literal["euclidean", "cosine"] = "euclidean",
    ) -> None:
        super().__init__(input_spec)
        if distance not in DISTANCE_SCALES:
            raise InputError(f"distance is '{distance}'; give one of {' or '.join(DISTANCE_SCALES)}.")
        self.width, self.distance = width, distance
        self.network = base_network(input_spec, width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(DISTANCE_SCALES[distance])))

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width, "distance": self.distance}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The base network's features."""
        return self.network(images)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """The class means, the mean of these, and the logarithm of each class's share of the support."""
        labelled = support.labels, support.weights, support.ways
        means = class_means(support.images, *labelled)
        return {"means": means, "centre": means.mean(0), "prior": log_frequencies(*labelled)}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Scaled nearness to each prototype."""
        queries, means = images - adapted["centre"], adapted["means"] - adapted["centre"]
        if self.distance == "cosine":
            nearness = functional.normalize(queries) @ functional.normalize(means).T
        else:
            nearness = -squared_distances(queries, means)
        return self.log_scale.exp() * nearness + adapted["prior"]


SHARPNESS = 5.0


class MatchingNetwork(Learner):
    """Matching networks (Vinyals et al., 2016, equation 1) without full context embeddings.

    p(k | q) = Σ_i a(q, x_i) [y_i = k], where the attention a is the softmax over the support of the cosine times a
    learned sharpness; cosines are of features less the mean of the class means. Inductive; `adapt` costs one forward
    pass over the support.

    Args:
        input_spec: the images it takes.
        width: channels of the base network.
    """

    name = "matching"
    family = "Meta-NN"
    summary = "attention over the labelled images, each voting for its class"
    paper = "Vinyals et al., NeurIPS 2016"
    cost = "nothing but features"
    gradient = "exact"

    def __init__(self, input_spec: InputSpec = ImageInput(channels=1, size=64), *, width: int = 64) -> None:
        super().__init__(input_spec)
        self.width = width
        self.network = base_network(input_spec, width)
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(SHARPNESS)))

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The base network's features."""
        return self.network(images)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
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


RELATION_SCALE, HIDDEN = 1.0, 32


class RelationNetwork(Learner):
    """A relation network (Sung et al., 2018) that starts as a prototypical network.

    The logit of class k is -s |f(q) - c_k|² + r(q, c_k) plus the logarithm of its share of the support. The relation r
    has one hidden layer and sees, for each block of the base network's features, the squared distance and the product
    of query and class mean, both from the mean of the class means and relative to the class means' spread; it starts
    at zero. Inductive; `adapt` costs one forward pass over the support.

    Args:
        input_spec: the images it takes.
        width: channels of the base network.
    """

    name = "relation"
    family = "Meta-NN"
    summary = "a learned comparison of query and class mean"
    paper = "Sung et al., CVPR 2018"
    cost = "one mean per class"
    gradient = "exact"

    def __init__(self, input_spec: InputSpec = ImageInput(channels=1, size=64), *, width: int = 64) -> None:
        super().__init__(input_spec)
        self.width = width
        self.network = base_network(input_spec, width)
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

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
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
