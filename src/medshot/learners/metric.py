"""Learners that compare a query with labelled images or class means: prototypical, matching and relation networks."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from medshot.errors import InputError
from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.closed_form.ridge import block_sizes, block_sums
from medshot.learners.features import (
    SMALLEST,
    class_means,
    learned_logarithm,
    log_frequencies,
    memberships,
    squared_distances,
)
from medshot.learners.kinds import NetworkLearner
from medshot.learners.seeding import Randomness
from medshot.tasks import Support

DISTANCE_SCALES = {"euclidean": 1.0, "cosine": 3.0}


class ProtoNet(NetworkLearner):
    """Prototypical networks (Snell et al., 2017, equations 1 and 2), with a learned scale s.

    p(k | q) ∝ π_k exp(-s d(f(q), c_k)), where f is the base network, c_k the mean feature of class k, π_k its share of
    the support, and d the squared Euclidean distance, or minus the cosine of the features after the mean of the
    class means is subtracted (Gidaris and Komodakis, 2018; Chen et al., 2021). Inductive; `adapt` costs one forward
    pass over the support.

    Args:
        input_spec: what it takes of each image.
        width: channels of the base network.
        distance: "euclidean" or "cosine".

    Raises:
        InputError: there is no such distance.
    """

    name = "protonet"
    summary = "the class whose mean feature is nearest"
    paper = "Snell et al., NeurIPS 2017"
    cost = "one mean per class"

    def __init__(
        self, input_spec: InputSpec, *, width: int = 64, distance: Literal["euclidean", "cosine"] = "euclidean"
    ) -> None:
        super().__init__(input_spec, width=width)
        if distance not in DISTANCE_SCALES:
            raise InputError(f"distance is '{distance}'; give one of {' or '.join(DISTANCE_SCALES)}.")
        self.distance = distance
        self.log_scale = learned_logarithm(DISTANCE_SCALES[distance])

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the class means, the mean of these, and the logarithm of each class's share of the support."""
        means = class_means(support)
        return {"means": means, "centre": means.mean(0), "prior": log_frequencies(support)}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the scaled nearness to each class mean."""
        queries, means = images - adapted["centre"], adapted["means"] - adapted["centre"]
        if self.distance == "cosine":
            nearness = functional.normalize(queries) @ functional.normalize(means).T
        else:
            nearness = -squared_distances(queries, means)
        return self.log_scale.exp() * nearness + adapted["prior"]


SHARPNESS = 5.0


class MatchingNetwork(NetworkLearner):
    """Matching networks (Vinyals et al., 2016, equation 1) without full context embeddings.

    p(k | q) = Σ_i a(q, x_i) [y_i = k], where the attention a is the softmax over the support of the cosine times a
    learned sharpness. The mean of the class means is subtracted from the features first. Inductive; `adapt` costs one
    forward pass over the support.
    """

    name = "matching"
    summary = "attention over the labelled images, each voting for its class"
    paper = "Vinyals et al., NeurIPS 2016"
    cost = "nothing but features"

    def __init__(self, input_spec: InputSpec, *, width: int = 64) -> None:
        super().__init__(input_spec, width=width)
        self.log_sharpness = learned_logarithm(SHARPNESS)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the support's directions from the centre, and each one's weight in its class."""
        centre = class_means(support).mean(0)
        directions = functional.normalize(support.images - centre)
        return {"directions": directions, "members": memberships(support), "centre": centre}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the logarithm of each class's share of the attention, up to a constant of the query."""
        cosines = functional.normalize(images - adapted["centre"]) @ adapted["directions"].T
        attention = self.log_sharpness.exp() * cosines[:, :, None] + adapted["members"].log()
        return attention.logsumexp(1)


RELATION_SCALE, HIDDEN = 1.0, 32


class RelationNetwork(NetworkLearner):
    """A relation network (Sung et al., 2018) that starts as a prototypical network.

    The logit of class k is -s |f(q) - c_k|² + r(q, c_k) + log π_k, where π_k is the share of class k in the support.
    The relation r has one hidden layer. Its inputs are, for each block of the base network's features, the squared
    distance and the product of query and class mean. Both are measured from the mean of the class means and divided
    by the spread of the class means. r starts at zero. Inductive; `adapt` costs one forward pass over the support.
    """

    name = "relation"
    summary = "a learned comparison of query and class mean"
    paper = "Sung et al., CVPR 2018"
    cost = "one mean per class"

    def __init__(self, input_spec: InputSpec, *, width: int = 64) -> None:
        super().__init__(input_spec, width=width)
        self.blocks = block_sizes(self.network)
        output = nn.Linear(HIDDEN, 1, bias=False)
        nn.init.zeros_(output.weight)
        self.relation = nn.Sequential(nn.Linear(2 * len(self.blocks), HIDDEN), nn.GELU(), output)
        self.log_scale = learned_logarithm(RELATION_SCALE)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the class means, the mean of these, and the logarithm of each class's share of the support."""
        means = class_means(support)
        return {"means": means, "centre": means.mean(0), "prior": log_frequencies(support)}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the scaled nearness to each class mean, and what the relation adds to it."""
        means = adapted["means"] - adapted["centre"]
        queries = (images - adapted["centre"])[:, None]
        distances = block_sums((queries - means).square(), self.blocks)
        products = block_sums(queries * means, self.blocks)
        spread = block_sums(means.square(), self.blocks).mean(0) + SMALLEST
        relation = self.relation(torch.cat([distances / spread, products / spread], -1))[..., 0]
        return relation - self.log_scale.exp() * distances.sum(-1) + adapted["prior"]
