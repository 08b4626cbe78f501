"""Conditional modulation: a set encoder reads the support and sets the base network for the task."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn
from medshot.learners.neural.blocks import block_sizes, block_sums
from medshot.learners.neural.ridge import PENALTY, SCALE, ridge_regression
from medshot.learners.prototypes import SMALLEST, class_means, log_frequencies, memberships
from medshot.networks import base_network
from medshot.networks.set_encoder import SetEncoder
from medshot.tasks import Support

FLOOR = 1e-3
"""Of the mean spread: blocks without any, as dead channels are, then differ little in the logarithm."""


class Film(Learner):
    """CNAPs (Requeima et al., 2019) with the prototype head of Simple CNAPs (Bateni et al., 2020), spherical.

    A set encoder reads how far the support spreads between and within its classes, block by block of the base network's
    features, and says how every layer of the base network is to be scaled and shifted (FiLM; Perez et al., 2018) for
    this task; queries then go to the nearest class mean of the modulated features. Over features of an encoder this
    weighs its depths for the task. Inductive; `adapt` costs two forward passes over the support.

    Args:
        shape: the images it takes.
        width: channels of the base network.
    """

    name = "film"
    family = "Meta-NN"
    summary = "a set encoder reads the support and modulates the network for the task"
    paper = "Requeima et al., NeurIPS 2019"
    cost = "two forward passes"
    gradient = "exact"

    def __init__(self, shape: InputShape = ImageShape(channels=1, size=64), *, width: int = 64) -> None:
        super().__init__(shape)
        self.width = width
        self.network = base_network(shape, width)
        self.blocks = block_sizes(self.network)
        self.set_encoder = SetEncoder(2 * len(self.blocks) + 1, self.network.modulated)
        self.log_penalty = nn.Parameter(torch.tensor(math.log(PENALTY)))
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width}

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """The modulation of every layer, and the class means under it."""
        labelled = support.labels, support.weights, support.ways
        modulation = self.set_encoder(describe(self.network(support.images), support, self.blocks))
        features = self.network(support.images, modulation)
        coefficients, centre = ridge_regression(features, memberships(*labelled), self.log_penalty.exp())
        adapted = {"coefficients": coefficients, "centre": centre, "prior": log_frequencies(*labelled)}
        for layer, (gamma, delta) in enumerate(modulation):
            adapted |= {f"gamma.{layer}": gamma, f"delta.{layer}": delta}
        return adapted

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *shape"]) -> Float[Tensor, "queries ways"]:
        """Scaled nearness to each prototype of the modulated features."""
        modulation = [
            (adapted[f"gamma.{layer}"], adapted[f"delta.{layer}"]) for layer in range(len(self.network.modulated))
        ]
        features = self.network(images, modulation) - adapted["centre"]
        return self.log_scale.exp() * features @ adapted["coefficients"] + adapted["prior"]


def describe(
    features: Float[Tensor, "samples features"], support: Support, blocks: tuple[int, ...]
) -> Float[Tensor, " description"]:
    """What a labelled set is like, whatever the order of its samples and classes and the scale of its features.

    For each block of features, its share of all spread, and how much of its own spread is between the classes; and the
    logarithm of a class's mean weight.
    """
    members = memberships(support.labels, support.weights, support.ways)
    counts = members.sum(0).clamp(min=SMALLEST)
    means = class_means(features, support.labels, support.weights, support.ways)
    between = block_sums((means - means.mean(0)).square(), blocks).mean(0)
    residuals = block_sums((features - means[support.labels]).square(), blocks)
    within = ((members / counts).T @ residuals).mean(0)
    spread = between + within
    spread = spread + FLOOR * spread.mean() + SMALLEST
    return torch.cat([(spread / spread.mean()).log(), between / spread, counts.mean().log()[None]])
