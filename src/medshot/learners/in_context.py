"""Learn in context: a network reads the support and is never fitted to a task."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.closed_form.ridge import (
    PENALTY,
    SCALE,
    block_products,
    block_sizes,
    block_spread,
    block_sums,
    ridge_regression,
)
from medshot.learners.features import SMALLEST, class_means, learned_logarithm, log_frequencies, memberships
from medshot.learners.kinds import NetworkLearner
from medshot.learners.seeding import Randomness
from medshot.networks.bag_network import SetEncoder
from medshot.networks.in_context import InContextTransformer
from medshot.tasks import Support


class Context(NetworkLearner):
    """An in-context transformer (as CAML; Fifty et al., 2024) that starts as ridge regression.

    The logits of a query are those of ridge regression on the support plus the transformer's, which begin at zero. The
    transformer's inputs are not features but the similarities of samples, block by block, so that it can learn from a
    dozen data sets and still be right on another; see `medshot.networks.in_context`. Inductive; `adapt` costs one
    forward pass over the support, quadratic in its size, and each query is linear in it.
    """

    name = "context"
    summary = "a transformer reads how the labelled images and each new one are alike"
    paper = "Fifty et al., ICLR 2024"
    cost = "one forward pass"

    def __init__(self, input_spec: InputSpec, *, width: int = 64) -> None:
        super().__init__(input_spec, width=width)
        self.blocks = input_spec.blocks or (self.network.features,)
        self.transformer = InContextTransformer(len(self.blocks))
        self.log_penalty = learned_logarithm(PENALTY)
        self.log_scale = learned_logarithm(SCALE)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the ridge regression of the support, and the keys and values that queries attend to."""
        members = memberships(support)
        coefficients, centre = ridge_regression(support.images, members, self.log_penalty.exp())
        centred = support.images - centre
        scaled = centred / block_spread(centred, support.weights, self.blocks)
        likeness = block_products(centred, scaled, self.blocks)
        return {
            "coefficients": coefficients,
            "centre": centre,
            "support": scaled,
            "weights": support.weights,
            "prior": log_frequencies(support),
            "memory": self.transformer.keys_and_values(likeness, members),
        }

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the ridge regression's logits, and what the transformer adds to them."""
        centred = images - adapted["centre"]
        likeness = block_products(centred, adapted["support"], self.blocks)
        added = self.transformer(likeness, adapted["memory"], adapted["weights"])
        return self.log_scale.exp() * centred @ adapted["coefficients"] + added + adapted["prior"]


FLOOR = 1e-3
"""A share of the mean spread, added to each block's: blocks of dead channels then differ little in the logarithm."""


class Film(NetworkLearner):
    """CNAPs (Requeima et al., 2019) whose head is ridge regression (R2D2; Bertinetto et al., 2019).

    A set encoder reads how far the support spreads between and within its classes, block by block of the base network's
    features, and predicts how every layer of the base network is scaled and shifted (FiLM; Perez et al., 2018) for this
    task; a ridge regression on the modulated features then classifies. Over features of an encoder this weighs its
    depths for the task. Inductive; `adapt` costs two forward passes over the support.
    """

    name = "film"
    summary = "a set encoder reads the support and modulates the network for the task"
    paper = "Requeima et al., NeurIPS 2019"
    cost = "two forward passes"

    def __init__(self, input_spec: InputSpec, *, width: int = 64) -> None:
        super().__init__(input_spec, width=width)
        self.blocks = block_sizes(self.network)
        self.set_encoder = SetEncoder(2 * len(self.blocks) + 1, self.network.modulated)
        self.log_penalty = learned_logarithm(PENALTY)
        self.log_scale = learned_logarithm(SCALE)

    def embed(self, images: Float[Tensor, "images *image"]) -> Float[Tensor, "images *embedded"]:
        """Return the images: the network is modulated for each task."""
        return images

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the modulation of every layer, and a ridge regression on the modulated features."""
        modulation = self.set_encoder(describe(self.network(support.images), support, self.blocks))
        features = self.network(support.images, modulation)
        coefficients, centre = ridge_regression(features, memberships(support), self.log_penalty.exp())
        adapted = {"coefficients": coefficients, "centre": centre, "prior": log_frequencies(support)}
        for layer, (gamma, delta) in enumerate(modulation):
            adapted |= {f"gamma.{layer}": gamma, f"delta.{layer}": delta}
        return adapted

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *shape"]) -> Float[Tensor, "queries ways"]:
        """Return the logits of the ridge regression on the modulated features."""
        modulation = [
            (adapted[f"gamma.{layer}"], adapted[f"delta.{layer}"]) for layer in range(len(self.network.modulated))
        ]
        features = self.network(images, modulation) - adapted["centre"]
        return self.log_scale.exp() * features @ adapted["coefficients"] + adapted["prior"]


def describe(
    features: Float[Tensor, "samples features"], support: Support, blocks: tuple[int, ...]
) -> Float[Tensor, " description"]:
    """Describe a labelled set in numbers that do not depend on the order of samples and classes or the features' scale.

    They are, for each block of features, its share of all spread, and how much of its own spread is between the
    classes; and the logarithm of a class's mean weight.
    """
    members = memberships(support)
    counts = members.sum(0).clamp(min=SMALLEST)
    means = class_means(replace(support, images=features))
    between = block_sums((means - means.mean(0)).square(), blocks).mean(0)
    residuals = block_sums((features - means[support.labels]).square(), blocks)
    within = ((members / counts).T @ residuals).mean(0)
    spread = between + within
    spread = spread + FLOOR * spread.mean() + SMALLEST
    return torch.cat([(spread / spread.mean()).log(), between / spread, counts.mean().log()[None]])
