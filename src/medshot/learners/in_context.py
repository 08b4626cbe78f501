"""In-context learning: a transformer reads the support beside the query and is never fitted to a task."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.imaging import FeatureInput, ImageInput, InputSpec
from medshot.learners.base import Adapted, Learner
from medshot.learners.closed_form.ridge import (
    PENALTY,
    SCALE,
    block_products,
    block_sizes,
    block_spread,
    block_sums,
    ridge_regression,
)
from medshot.learners.features import SMALLEST, class_means, log_frequencies, memberships
from medshot.learners.seeding import Randomness
from medshot.networks import base_network
from medshot.networks.bag_network import SetEncoder
from medshot.networks.in_context import InContextTransformer
from medshot.tasks import Support


class Context(Learner):
    """An in-context transformer (as CAML; Fifty et al., 2024) that starts as ridge regression.

    The logits of a query are those of ridge regression on the support plus what the transformer says of it, which
    begins at zero. The transformer sees no features but the likeness of samples to each other, block by block, so that
    what a dozen data sets teach it holds for another; see `medshot.networks.in_context`. Inductive; `adapt` costs one
    forward pass over the support, quadratic in its size, and each query is linear in it.

    Args:
        input_spec: the images it takes.
        width: channels of the base network.
    """

    name = "context"
    family = "Meta-NN"
    summary = "a transformer reads how the labelled images and each new one are alike"
    paper = "Fifty et al., ICLR 2024"
    cost = "one forward pass"
    gradient = "exact"

    def __init__(self, input_spec: InputSpec = ImageInput(channels=1, size=64), *, width: int = 64) -> None:
        super().__init__(input_spec)
        self.width = width
        self.network = base_network(input_spec, width)
        self.blocks = input_spec.blocks if isinstance(input_spec, FeatureInput) else (self.network.features,)
        self.transformer = InContextTransformer(len(self.blocks))
        self.log_penalty = nn.Parameter(torch.tensor(math.log(PENALTY)))
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The base network's features."""
        return self.network(images)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
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


FLOOR = 1e-3
"""Of the mean spread: blocks without any, as dead channels are, then differ little in the logarithm."""


class Film(Learner):
    """CNAPs (Requeima et al., 2019) with the prototype head of Simple CNAPs (Bateni et al., 2020), spherical.

    A set encoder reads how far the support spreads between and within its classes, block by block of the base network's
    features, and says how every layer of the base network is to be scaled and shifted (FiLM; Perez et al., 2018) for
    this task; queries then go to the nearest class mean of the modulated features. Over features of an encoder this
    weighs its depths for the task. Inductive; `adapt` costs two forward passes over the support.

    Args:
        input_spec: the images it takes.
        width: channels of the base network.
    """

    name = "film"
    family = "Meta-NN"
    summary = "a set encoder reads the support and modulates the network for the task"
    paper = "Requeima et al., NeurIPS 2019"
    cost = "two forward passes"
    gradient = "exact"

    def __init__(self, input_spec: InputSpec = ImageInput(channels=1, size=64), *, width: int = 64) -> None:
        super().__init__(input_spec)
        self.width = width
        self.network = base_network(input_spec, width)
        self.blocks = block_sizes(self.network)
        self.set_encoder = SetEncoder(2 * len(self.blocks) + 1, self.network.modulated)
        self.log_penalty = nn.Parameter(torch.tensor(math.log(PENALTY)))
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width}

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
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
