"""The base network trained from scratch on the support alone: the second of the two baselines that any claim needs."""

import math
from typing import Any

import torch
from torch import Tensor

from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted
from medshot.learners.baselines.views import VIEWS, draw_views, views_of
from medshot.learners.content import Drawn
from medshot.learners.gradient.adam import Adam
from medshot.learners.gradient.base import GradientLearner
from medshot.learners.gradient.inner_loop import inner_loop
from medshot.learners.head import new_head
from medshot.tasks import Support


class Scratch(GradientLearner):
    """METAL's base network and a linear head, trained by Adam (Kingma and Ba, 2015) from a random start.

    Every task gets its own random initial parameters, seeded by its support, and augmented views of its support in
    turn; features have no views but themselves. Inductive; nothing is meta-trained; `adapt` costs `steps` passes over
    the support.

    Args:
        shape: what it takes of each image.
        width: channels of the network, or units of its bottleneck.
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
        super().__init__(shape, width=width, steps=steps)
        self.learning_rate, self.views = learning_rate, views
        self.network.requires_grad_(False)

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return super().settings() | {"learning_rate": self.learning_rate, "views": self.views}

    def draw(self, support: Support, generator: torch.Generator) -> Drawn:
        """Random initial parameters, and views of the support."""
        initial = {name: _initial(name, value, generator).to(value) for name, value in self.adapting().items()}
        return initial | draw_views(support, self.shape, self.views, generator)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """Network and head after `steps` steps of Adam, and the support's mean feature."""
        start = {name: value for name, value in drawn.items() if name != VIEWS}
        start |= new_head(support, self.network.features)
        loss = self.task_loss(*views_of(support, drawn))
        return self.with_centre(inner_loop(loss, Adam(self.learning_rate), start, steps=self.steps), support)


def _initial(name: str, value: Tensor, generator: torch.Generator) -> Tensor:
    """He's uniform start (He et al., 2015); the identity for normalisation; zero what starts there by design."""
    if value.ndim == 1:
        return torch.full(value.shape, float(name.endswith("weight")))
    bound = math.sqrt(6 / value[0].numel()) if value.any() else 0.0
    return torch.empty(value.shape).uniform_(-bound, bound, generator=generator)
