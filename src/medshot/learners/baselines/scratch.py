"""The base network trained from scratch on the support alone: the second of the two baselines that any claim needs."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call, grad

from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted, Learner, weighted_cross_entropy
from medshot.learners.baselines.logistic import augmented_views
from medshot.learners.content import Drawn
from medshot.learners.head import apply_head, is_head, new_head
from medshot.networks import base_network
from medshot.tasks import Support


class Scratch(Learner):
    """METAL's base network and a linear head, trained by Adam (Kingma and Ba, 2015) from a random start.

    Every task gets its own random initial parameters, seeded by its support, and augmented views of its support in
    turn. Inductive; nothing is meta-trained; `adapt` costs `steps` passes over the support.

    Args:
        shape: the images it takes.
        width: channels of the network.
        steps: full-batch steps of Adam.
        learning_rate: Adam's.
        views: how many augmented views of the support are gone through in turn.
    """

    name = "scratch"
    family = "baseline"
    summary = "the same base network trained from scratch on the support"
    paper = "Kingma and Ba, 2015"
    cost = "25 steps of Adam over the whole network"
    randomised = True

    def __init__(
        self,
        shape: InputShape = ImageShape(channels=1, size=64),
        *,
        width: int = 64,
        steps: int = 25,
        learning_rate: float = 0.005,
        views: int = 8,
    ) -> None:
        super().__init__(shape)
        self.width, self.steps, self.learning_rate, self.views = width, steps, learning_rate, views
        self.network = base_network(shape, width).requires_grad_(False)

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {
            "width": self.width,
            "steps": self.steps,
            "learning_rate": self.learning_rate,
            "views": self.views,
        }

    def draw(self, support: Support, generator: torch.Generator) -> Drawn:
        """Random initial parameters, and the views of the support as `(support, views, channels, *spatial)`."""
        initial = {name: _initial(name, value, generator).to(value) for name, value in self.network.named_parameters()}
        count = self.views if isinstance(self.shape, ImageShape) else 1
        views = augmented_views(support, count, generator)["images"]
        return initial | {"views": views.unflatten(0, (count, -1)).transpose(0, 1)}

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """Network and head after `steps` steps of Adam."""
        views = drawn["views"]
        parameters = {name: value for name, value in drawn.items() if name != "views"}
        parameters |= new_head(support, self.network.features)

        def task_loss(parameters: dict[str, Tensor], images: Tensor) -> Tensor:
            logits = self.predict_one(parameters, images)
            return weighted_cross_entropy(logits, support.labels, support.weights)

        first = {name: torch.zeros_like(value) for name, value in parameters.items()}
        second = dict(first)
        for step in range(1, self.steps + 1):
            gradient = grad(task_loss)(parameters, views[:, step % views.shape[1]])
            rate = self.learning_rate * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            for name, slope in gradient.items():
                first[name] = 0.9 * first[name] + 0.1 * slope
                second[name] = 0.999 * second[name] + 0.001 * slope.square()
            parameters = {
                name: value - rate * first[name] / (second[name].sqrt() + 1e-8) for name, value in parameters.items()
            }
        return parameters

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """Logits of the trained network and head."""
        network = {name: value for name, value in adapted.items() if not is_head(name)}
        return apply_head(adapted, functional_call(self.network, network, (images,)))


def _initial(name: str, value: Tensor, generator: torch.Generator) -> Tensor:
    """He's uniform start for convolutions (He et al., 2015); the identity for normalisation."""
    if value.ndim == 1:
        return torch.full(value.shape, float(name.endswith("weight")))
    bound = math.sqrt(6 / value[0].numel())
    return torch.empty(value.shape).uniform_(-bound, bound, generator=generator)
