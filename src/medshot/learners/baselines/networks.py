"""Networks trained on the support by Adam: from meta-trained initial parameters, or from scratch."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.features import mean_feature, new_head
from medshot.learners.gradient.base import CENTRE, Adam, GradientLearner, Parameters, inner_loop
from medshot.learners.gradient.maml import prototype_head
from medshot.learners.seeding import VIEWS, Randomness, sample_views, views_of
from medshot.tasks import Support


class AdamLearner(GradientLearner):
    """A network and head that Adam (Kingma and Ba, 2015) trains on augmented views of the support in turn.

    Features have one view, which is themselves.

    Args:
        input_spec: what it takes of each image.
        width: channels of the network, or units of its bottleneck.
        steps: full-batch steps of Adam.
        learning_rate: Adam's.
        views: number of augmented views of the support.
    """

    family = "baseline"
    randomised = True

    def __init__(self, input_spec: InputSpec, *, width: int, steps: int, learning_rate: float, views: int) -> None:
        super().__init__(input_spec, width=width, steps=steps)
        self.learning_rate, self.views = learning_rate, views

    def trained_from(self, start: Parameters, support: Support, randomness: Randomness) -> Adapted:
        """Return network and head after `steps` steps of Adam, and the support's mean feature."""
        loss = self.task_loss(*views_of(support, randomness))
        return self.with_centre(inner_loop(loss, Adam(self.learning_rate), start, steps=self.steps), support)


class Finetune(AdamLearner):
    """Pre-training across tasks as a prototypical network, then fine-tuning on the support (Hu et al., 2022).

    The meta-loss is that of prototypical networks (Snell et al., 2017): while meta-training, `adapt` returns the head
    that classifies by the nearest class mean, and nothing is fine-tuned. In evaluation mode Adam starts at that head,
    and changes network and head. Dumoulin et al. (2021) found such transfer hard to beat. Inductive; `adapt` costs
    `steps` passes over the support.
    """

    name = "finetune"
    summary = "a prototypical network's base network, fine-tuned on the support"
    paper = "Hu et al., CVPR 2022"
    cost = "25 steps of Adam over the whole network"
    gradient = "exact"

    def __init__(
        self, input_spec: InputSpec, *, width: int = 64, steps: int = 25, learning_rate: float = 0.001, views: int = 8
    ) -> None:
        super().__init__(input_spec, width=width, steps=steps, learning_rate=learning_rate, views=views)

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """Sample views of the support, for fine-tuning."""
        return {} if self.training else sample_views(support, self.input_spec, self.views, generator)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the head of the class means and the support's mean feature; in evaluation mode fine-tuned."""
        embedded = replace(support, images=self.features({}, support.images))
        centre = mean_feature(embedded)
        head = prototype_head(replace(embedded, images=embedded.images - centre))
        if self.training:
            return head | {CENTRE: centre}
        return self.trained_from(self.adapting() | head, support, randomness)


class FinetuneLast(Finetune):
    """`Finetune`, but only the last block of the network and the head are fine-tuned.

    That is the last block of convolutions on pixels, and the bottleneck's last layer on features. Inductive; `adapt`
    costs `steps` passes over the support.
    """

    name = "finetune-last"
    summary = "a prototypical network's base network, its last block fine-tuned on the support"
    cost = "25 steps of Adam over the last block"

    def adapting(self) -> Parameters:
        """Return the parameters of the network's last block."""
        named = super().adapting()
        last = list(named)[-1].rsplit(".", 2 if self.input_spec.is_grid else 1)[0]
        return {name: value for name, value in named.items() if name.startswith(f"{last}.")}


class Scratch(AdamLearner):
    """METAL's base network and a linear head, trained by Adam (Kingma and Ba, 2015) from a random start.

    Every task gets its own random initial parameters, seeded by its support. Inductive; nothing is meta-trained;
    `adapt` costs `steps` passes over the support.
    """

    name = "scratch"
    summary = "the same base network trained from scratch on the support"
    paper = "Kingma and Ba, 2015"
    cost = "25 steps of Adam over the whole network"

    def __init__(
        self, input_spec: InputSpec, *, width: int = 64, steps: int = 25, learning_rate: float = 0.005, views: int = 8
    ) -> None:
        super().__init__(input_spec, width=width, steps=steps, learning_rate=learning_rate, views=views)
        self.network.requires_grad_(False)

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """Sample initial parameters, and views of the support."""
        initial = {name: _initial(name, value, generator).to(value) for name, value in self.adapting().items()}
        return initial | sample_views(support, self.input_spec, self.views, generator)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return network and head after `steps` steps of Adam, and the support's mean feature."""
        start = {name: value for name, value in randomness.items() if name != VIEWS}
        return self.trained_from(start | new_head(support, self.network.features), support, randomness)


def _initial(name: str, value: Tensor, generator: torch.Generator) -> Tensor:
    """Sample initial values (He et al., 2015); normalisation starts as the identity, and zeros stay zero."""
    if value.ndim == 1:
        return torch.full(value.shape, float(name.endswith("weight")))
    bound = math.sqrt(6 / value[0].numel()) if value.any() else 0.0
    return torch.empty(value.shape).uniform_(-bound, bound, generator=generator)
