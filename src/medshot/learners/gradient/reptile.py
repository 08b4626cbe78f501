"""Reptile: the learned parameters move towards the adapted parameters of each task."""

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.gradient.base import HEAD, GradientLearner, Parameters, first_rates, inner_loop
from medshot.learners.seeding import Randomness
from medshot.tasks import Episodes, Support


class Reptile(GradientLearner):
    """Reptile (Nichol et al., 2018, algorithm 2): the meta-gradient is θ₀ − θ_T, given to the outer loop's Adam.

    θ_T is the result of `steps` inner steps that take support and query in turn as two minibatches of one task: only
    steps on different minibatches make θ₀ − θ_T more than the gradient of joint training, namely one that also rewards
    gradients that agree between minibatches (section 5.1). The first step changes only the head, which starts at zero
    for each task. `scores` returns the query loss after adaptation to the support, as for any learner, and gives it the
    gradient of ½ |θ₀ − θ_T|² with θ_T constant. The rates are not learned. Inductive; `adapt` costs `steps` forward and
    backward passes over the support.

    Args:
        input_spec: what it takes of each image.
        width: channels of the base network, or units of its bottleneck.
        steps: inner steps.
        learning_rate: of the base network; the head's is 100 times that on pixels and 300 times on features.
    """

    name = "reptile"
    summary = "moves the parameters towards those that gradient steps on each task reach"
    paper = "Nichol et al., 2018"
    cost = "5 gradient steps of network and head"
    gradient = "first-order"

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
        self.rates = first_rates(self.adapting(), input_spec, learning_rate)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return network and head after the inner loop, and the support's mean feature."""
        return self.with_centre(self.adapted_parameters(support), support)

    def scores(self, episodes: Episodes) -> tuple[Float[Tensor, " tasks"], Float[Tensor, " tasks"]]:
        """Return the query loss and accuracy of each task; the gradient of the loss is θ₀ − θ_T."""
        with torch.no_grad():
            losses, accuracies = super().scores(episodes)
        if torch.is_grad_enabled():
            moved = self._moved(episodes)
            losses = losses + (moved - moved.detach())
        return losses, accuracies

    def _moved(self, episodes: Episodes) -> Float[Tensor, " tasks"]:
        """Return ½ |θ₀ − θ_T|² of each task, over the base network's parameters, with θ_T constant."""

        with torch.no_grad():
            found = self.engine.map(self.adapted_parameters, episodes.support, episodes.query)
        squares = [(found[name] - value).square().flatten(1).sum(1) for name, value in self.adapting().items()]
        return 0.5 * torch.stack(squares).sum(0)

    def adapted_parameters(self, *minibatches: Support) -> Parameters:
        """Return θ_T after steps on the minibatches in turn."""
        start = self.start(minibatches[0])
        return inner_loop(self.task_loss(*minibatches), self._updates, start, steps=self.steps, first=HEAD)

    def _updates(self, gradients: Parameters) -> Parameters:
        return {name: self.rates[name] * gradient for name, gradient in gradients.items()}
