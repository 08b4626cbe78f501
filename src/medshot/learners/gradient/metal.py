"""METAL: a meta-network steers the updates of a base network, trained by cross-validation loss across tasks."""

import math
from typing import Any, Literal

import torch
from torch import nn

from medshot.errors import InputError
from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.gradient.base import GradientLearner, Parameters, first_rates, inner_loop, key, learned_logarithms
from medshot.learners.run import update_on
from medshot.learners.seeding import Randomness
from medshot.networks import MetaNetwork
from medshot.tasks import Support, Task

SMALLEST = 1e-8


class Metal(GradientLearner):
    """METAL over a base network and a linear head that is made for each task.

    Inductive; `adapt` costs `max_steps` forward and backward passes over the support (of only the head if
    `adapt_parameters` is "head"). The symbols of the published equations (docs/metal.md) in this code:

    =============  =====================================================================================
    f, θ_base      `network` and the task's head; θ₀, where every task starts, is `network`'s parameters
    m, θ_meta = φ  `meta_network`, 385 parameters, applied to each coordinate
    L_task         `weighted_cross_entropy` on the support
    L_cv           mean of `scores` on the episodes of `draw_folds`
    g              ∇_θ L_task(support); r is its root mean square over one parameter tensor
    Δθ_meta        r · m(g / r)
    Δθ_base        g + β · Δθ_meta, equation 4
    β              `beta`, learned
    η              `log_rates`, learned: one rate for each parameter tensor, shared by all classes of a head
    α              the outer loop's learning rate (0.001)
    =============  =====================================================================================

    One inner step is θ ← θ − η (g + β r m(g / r)). m starts at zero, so training begins as plain gradient descent.
    The head has a row per class, and all rows start at zero. The support's mean is subtracted from the features before
    the head.

    Args:
        input_spec: what it takes of each image.
        width: channels of the base network, or units of its bottleneck.
        steps: inner steps while meta-training.
        max_steps: inner steps of `adapt` in evaluation mode. After `steps` of them a task stops once its support loss
            falls by less than a thousandth per step; a step that raised the loss is taken back.
        order: 2 back-propagates through the inner loop's gradients, 1 treats them as constants.
        adapt_parameters: "all" changes base network and head, "head" only the head.
        learning_rate: where η starts for the base network; the head's starts at 100 times that on pixels and 300 times
            on features.
        beta: where β starts.
    """

    name = "metal"
    summary = "a meta-network steers the inner updates of a base network; trained by cross-validation loss"
    paper = "METAL (docs/metal.md)"
    cost = "5 to 10 gradient steps of the head"
    cross_validated = True

    def __init__(
        self,
        input_spec: InputSpec,
        *,
        width: int = 64,
        steps: int = 5,
        max_steps: int = 10,
        order: Literal[1, 2] = 1,
        adapt_parameters: Literal["all", "head"] = "head",
        learning_rate: float = 0.01,
        beta: float = 0.1,
    ) -> None:
        super().__init__(input_spec, width=width, steps=steps)
        if order not in (1, 2) or adapt_parameters not in ("all", "head"):
            raise InputError(
                f"order is {order} and adapt_parameters '{adapt_parameters}'; give 1 or 2, and all or head."
            )
        if not math.isfinite(beta):
            raise InputError(f"beta is {beta}; give a finite number.")
        if max_steps < steps:
            raise InputError(f"steps is {steps} and max_steps {max_steps}; give at least as many.")
        self.max_steps, self.order, self.adapt_parameters = max_steps, order, adapt_parameters
        self.learning_rate, self.first_beta = learning_rate, beta
        self.meta_network = MetaNetwork()
        self.log_rates = learned_logarithms(first_rates(self.adapting(), input_spec, learning_rate))
        self.beta = nn.Parameter(torch.tensor(beta))
        self.gradient = "exact" if order == 2 else "first-order"

    def settings(self) -> dict[str, Any]:
        """Return the keyword arguments that build this learner again: `beta` as it was given, before it was learned."""
        return super().settings() | {"beta": self.first_beta}

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return base network and head after the inner loop, and the support's mean feature."""
        parameters = inner_loop(
            self.task_loss(support),
            self._updates,
            self.start(support),
            steps=self.steps,
            order=self.order,
            max_steps=None if self.training else self.max_steps,
        )
        return self.with_centre(parameters, support)

    def update(
        self, task: Task, *, shots: int = 5, steps: int = 10, learning_rate: float = 0.001, seed: int = 0
    ) -> None:
        """Continue meta-training on a new task: meta steps on that task's own cross-validation loss.

        Args:
            task: the new task; its labelled patients are split into new folds at every step.
            shots: labelled patients per class to adapt on in a fold.
            steps: meta steps.
            learning_rate: α.
            seed: the seed of the folds.

        Raises:
            TooFewPatients: a class has fewer than two patients, so that the loss is undefined.
        """
        update_on(self, task, shots=shots, steps=steps, learning_rate=learning_rate, seed=seed)

    def _updates(self, gradients: Parameters) -> Parameters:
        """Return η (g + β r m(g / r)) for every parameter tensor, with one call of the meta-network for all of them."""
        sizes = {name: (gradient.square().mean() + SMALLEST**2).sqrt() for name, gradient in gradients.items()}
        scaled = torch.cat([(gradients[name] / size).flatten() for name, size in sizes.items()])
        proposals = self.meta_network(scaled).split([gradient.numel() for gradient in gradients.values()])
        return {
            name: self.log_rates[key(name)].exp() * (gradient + self.beta * sizes[name] * proposal.view_as(gradient))
            for (name, gradient), proposal in zip(gradients.items(), proposals, strict=True)
        }
