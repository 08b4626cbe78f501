"""MAML and its variants, each different in one thing: the order of gradients, what adapts, the rates or the start."""

from collections.abc import Collection
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.features import BIAS, WEIGHT, class_means, mean_feature
from medshot.learners.gradient.base import (
    HEAD,
    GradientLearner,
    Parameters,
    first_rates,
    inner_loop,
    key,
    learned_logarithms,
)
from medshot.learners.run import Gradient
from medshot.learners.seeding import Randomness
from medshot.tasks import Support


class Maml(GradientLearner):
    """Model-agnostic meta-learning (Finn et al., 2017, algorithm 2), back-propagated through the inner loop.

    θ ← θ − η ∇_θ L_task(θ) for `steps` steps from the learned θ₀; the meta-gradient is that of the query loss at the
    end. η is learned, one rate for each parameter tensor, after MAML++ (Antoniou et al., 2019, where each step has its
    own as well). The head starts at zero, so that the network has no gradient in the first step, which changes only the
    head. Inductive; `adapt` costs `steps` forward and backward passes over the support.

    Args:
        input_spec: what it takes of each image.
        width: channels of the base network, or units of its bottleneck.
        steps: inner steps.
        learning_rate: where η starts for the base network; the head's starts at 100 times that on pixels and 300 times
            on features.
    """

    name = "maml"
    summary = "a few gradient steps from learned initial parameters, with learned rates"
    paper = "Finn et al., ICML 2017"
    cost = "5 gradient steps of network and head"
    gradient: Gradient = "exact"
    order = 2
    first: Collection[str] | None = HEAD

    def __init__(
        self,
        input_spec: InputSpec,
        *,
        width: int = 64,
        steps: int = 5,
        learning_rate: float = 0.01,
    ) -> None:
        super().__init__(input_spec, width=width, steps=steps)
        self.learning_rate = learning_rate
        self.first_rates = first_rates(self.adapting(), input_spec, learning_rate)
        self.learn_rates()

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return network and head after the inner loop, and the support's mean feature."""
        start, loss = self.start(support), self.task_loss(support)
        adapted = inner_loop(loss, self.updates, start, steps=self.steps, order=self.order, first=self.first)
        return self.with_centre(adapted, support)

    def updates(self, gradients: Parameters) -> Parameters:
        """Return η ∇_θ L_task."""
        return {name: self.rate(name) * gradient for name, gradient in gradients.items()}

    def learn_rates(self) -> None:
        """Make the parameters that `rate` reads."""
        self.log_rates = learned_logarithms(self.first_rates)

    def rate(self, name: str) -> Tensor:
        """Return η of the parameter tensor of that name."""
        return self.log_rates[key(name)].exp()


class Fomaml(Maml):
    """First-order MAML (Finn et al., 2017, section 5.2): the meta-gradient takes the inner gradients as constants.

    With the rates learned as in `Maml`. Inductive; `adapt` costs the same.
    """

    name = "fomaml"
    summary = "MAML back-propagated past the inner gradients"
    gradient = "first-order"
    order = 1


class Anil(Maml):
    """Almost no inner loop (Raghu et al., 2020): MAML whose inner loop changes only the head.

    The base network is learned across tasks only, so each image is embedded once. The head's rates are learned.
    Inductive; `adapt` costs one forward pass over the support and `steps` gradient steps of the head.
    """

    name = "anil"
    summary = "MAML of the head alone, on features learned across tasks"
    paper = "Raghu et al., ICLR 2020"
    cost = "5 gradient steps of the head"
    adapt_parameters = "head"


class MetaSgd(Maml):
    """Meta-SGD (Li et al., 2017): MAML with a learned rate for every single parameter, of either sign.

    θ ← θ − α ∘ ∇_θ L_task(θ). In the head, which is made for each task, every feature has a rate that is shared by all
    classes, and so has the bias. What is learned is α in units of its first value. Inductive; `adapt` costs
    as much as MAML's.
    """

    name = "meta-sgd"
    summary = "MAML with a learned rate for every parameter"
    paper = "Li et al., 2017"

    def learn_rates(self) -> None:
        """Make α, in units of its first value: ones."""
        shapes = {name: value.shape for name, value in self.adapting().items()}
        shapes |= dict.fromkeys(HEAD, torch.Size()) | {WEIGHT: torch.Size([self.network.features])}
        self.rates = nn.ParameterDict({key(name): nn.Parameter(torch.ones(shape)) for name, shape in shapes.items()})

    def rate(self, name: str) -> Tensor:
        """Return α of the parameter tensor of that name; for the head's weight one per feature."""
        return self.first_rates[name] * self.rates[key(name)]


def prototype_head(support: Support) -> dict[str, Float[Tensor, "ways *features"]]:
    """Return weight 2 μ_c and bias −|μ_c|² (Snell et al., 2017, equation 8; Triantafillou et al., 2020, section 3).

    With them the logit of x is −|x − μ_c|² but for |x|², which all classes have in common.

    Args:
        support: with features for images.
    """
    means = class_means(support)
    return {WEIGHT: 2 * means, BIAS: -means.square().sum(1)}


class ProtoMaml(Maml):
    """Proto-MAML (Triantafillou et al., 2020, section 3): the head starts at weight 2 μ_c and bias −|μ_c|².

    μ_c is the mean of class c's support features under θ₀, less the mean of all. The meta-gradient goes through that
    start as through the inner loop, whose rates are learned as in `Maml`. Inductive; `adapt` costs one forward pass
    more than MAML's.
    """

    name = "proto-maml"
    summary = "MAML whose head starts at the class means"
    paper = "Triantafillou et al., ICLR 2020"
    first = None

    def start(self, support: Support) -> Parameters:
        """Return θ₀ and the head of a prototypical network."""
        start = self.adapting()
        embedded = replace(support, images=self.features(start, support.images))
        return start | prototype_head(replace(embedded, images=embedded.images - mean_feature(embedded)))
