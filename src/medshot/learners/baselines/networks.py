"""Fine-tuning of a base network that was trained across tasks, whole or its last block: what METAL must beat."""

import math
from typing import Any

import torch
from torch import Tensor

from medshot.imaging import GridInput, ImageInput, InputSpec
from medshot.learners.base import Adapted
from medshot.learners.baselines.linear import VIEWS, draw_views, views_of
from medshot.learners.features import new_head
from medshot.learners.gradient.base import CENTRE, Adam, GradientLearner, Parameters, inner_loop, mean_feature
from medshot.learners.gradient.maml import prototype_head
from medshot.learners.seeding import Randomness
from medshot.tasks import Support


class Finetune(GradientLearner):
    """Pre-training across tasks as a prototypical network, then fine-tuning on the support (Hu et al., 2022).

    The meta-loss is that of prototypical networks (Snell et al., 2017): while meta-training, `adapt` gives the head
    that classifies by the nearest class mean, and nothing is fine-tuned. In evaluation mode Adam (Kingma and Ba, 2015)
    goes on from that head, and changes network and head on augmented views of the support in turn; features have no
    views but themselves. Dumoulin et al. (2021) found such transfer hard to beat. Inductive; `adapt` costs `steps`
    passes over the support.

    Args:
        input_spec: what it takes of each image.
        width: channels of the base network, or units of its bottleneck.
        steps: full-batch steps of Adam.
        learning_rate: Adam's.
        views: how many augmented views of the support are gone through in turn.
    """

    name = "finetune"
    family = "baseline"
    summary = "a prototypical network's base network, fine-tuned on the support"
    paper = "Hu et al., CVPR 2022"
    cost = "25 steps of Adam over the whole network"
    gradient = "exact"
    randomised = True

    def __init__(
        self,
        input_spec: InputSpec = ImageInput(channels=1, size=64),
        *,
        width: int = 64,
        steps: int = 25,
        learning_rate: float = 0.001,
        views: int = 8,
    ) -> None:
        super().__init__(input_spec, width=width, steps=steps)
        self.learning_rate, self.views = learning_rate, views

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return super().settings() | {"learning_rate": self.learning_rate, "views": self.views}

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """Views of the support, for fine-tuning."""
        return {} if self.training else draw_views(support, self.input_spec, self.views, generator)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """The prototypes' head and the support's mean feature; in evaluation mode all of it fine-tuned."""
        features = self.features({}, support.images)
        centre = mean_feature(features, support)
        head = prototype_head(features - centre, support)
        if self.training:
            return head | {CENTRE: centre}
        start, loss = self.adapting() | head, self.task_loss(*views_of(support, randomness))
        return self.with_centre(inner_loop(loss, Adam(self.learning_rate), start, steps=self.steps), support)


class FinetuneLast(Finetune):
    """As `Finetune`, but only the last block of the network and the head are fine-tuned.

    That is the last block of convolutions on pixels, and the way out of the bottleneck on features. Inductive; `adapt`
    costs `steps` passes over the support.
    """

    name = "finetune-last"
    summary = "a prototypical network's base network, its last block fine-tuned on the support"
    cost = "25 steps of Adam over the last block"

    def adapting(self) -> Parameters:
        """The parameters of the network's last block."""
        named = super().adapting()
        last = list(named)[-1].rsplit(".", 2 if isinstance(self.input_spec, GridInput) else 1)[0]
        return {name: value for name, value in named.items() if name.startswith(f"{last}.")}


class Scratch(GradientLearner):
    """METAL's base network and a linear head, trained by Adam (Kingma and Ba, 2015) from a random start.

    Every task gets its own random initial parameters, seeded by its support, and augmented views of its support in
    turn; features have no views but themselves. Inductive; nothing is meta-trained; `adapt` costs `steps` passes over
    the support.

    Args:
        input_spec: what it takes of each image.
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
        input_spec: InputSpec = ImageInput(channels=1, size=64),
        *,
        width: int = 64,
        steps: int = 25,
        learning_rate: float = 0.005,
        views: int = 8,
    ) -> None:
        super().__init__(input_spec, width=width, steps=steps)
        self.learning_rate, self.views = learning_rate, views
        self.network.requires_grad_(False)

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return super().settings() | {"learning_rate": self.learning_rate, "views": self.views}

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """Random initial parameters, and views of the support."""
        initial = {name: _initial(name, value, generator).to(value) for name, value in self.adapting().items()}
        return initial | draw_views(support, self.input_spec, self.views, generator)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Network and head after `steps` steps of Adam, and the support's mean feature."""
        start = {name: value for name, value in randomness.items() if name != VIEWS}
        start |= new_head(support, self.network.features)
        loss = self.task_loss(*views_of(support, randomness))
        return self.with_centre(inner_loop(loss, Adam(self.learning_rate), start, steps=self.steps), support)


def _initial(name: str, value: Tensor, generator: torch.Generator) -> Tensor:
    """He's uniform start (He et al., 2015); the identity for normalisation; zero what starts there by design."""
    if value.ndim == 1:
        return torch.full(value.shape, float(name.endswith("weight")))
    bound = math.sqrt(6 / value[0].numel()) if value.any() else 0.0
    return torch.empty(value.shape).uniform_(-bound, bound, generator=generator)
