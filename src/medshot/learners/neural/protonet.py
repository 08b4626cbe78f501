"""Prototypical networks: a query is of the class whose mean is nearest."""

import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from medshot.errors import InputError
from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn
from medshot.learners.prototypes import class_means, log_frequencies, squared_distances
from medshot.networks import base_network
from medshot.tasks import Support

DISTANCE_SCALES = {"euclidean": 1.0, "cosine": 3.0}


class ProtoNet(Learner):
    """Prototypical networks (Snell et al., 2017, equations 1 and 2), with a learned scale s.

    p(k | q) ∝ π_k exp(-s d(f(q), c_k)), where f is the base network, c_k the mean feature of class k, π_k its share of
    the support, and d the squared Euclidean distance, or minus the cosine of the features less the support's mean
    (Gidaris and Komodakis, 2018; Chen et al., 2021). Inductive; `adapt` costs one forward pass over the support.

    Args:
        shape: the images it takes.
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
        shape: InputShape = ImageShape(channels=1, size=64),
        *,
        width: int = 64,
        distance: Literal["euclidean", "cosine"] = "euclidean",
    ) -> None:
        super().__init__(shape)
        if distance not in DISTANCE_SCALES:
            raise InputError(f"distance is '{distance}'; give one of {' or '.join(DISTANCE_SCALES)}.")
        self.width, self.distance = width, distance
        self.network = base_network(shape, width)
        self.log_scale = nn.Parameter(torch.tensor(math.log(DISTANCE_SCALES[distance])))

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width, "distance": self.distance}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The base network's features."""
        return self.network(images)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
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
