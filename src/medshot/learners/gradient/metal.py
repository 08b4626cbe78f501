"""METAL: a meta-network steers the updates of a base network, trained by cross-validation loss across tasks."""

import math
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from medshot.errors import InputError
from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted, Learner, weighted_cross_entropy
from medshot.learners.content import Drawn
from medshot.learners.head import BIAS, WEIGHT, apply_head, is_head, new_head
from medshot.learners.meta_training import update_on
from medshot.networks import MetaNetwork, base_network
from medshot.tasks import Support, Task

Parameters = dict[str, Tensor]
CENTRE = "centre"
SMALLEST = 1e-8
CONVERGED = 1e-3


class Metal(Learner):
    """METAL over a convolutional base network and a linear head that is made for each task.

    Inductive; `adapt` costs `max_steps` forward and backward passes over the support (of the head alone where
    `adapt_parameters` is "head"). The symbols of the published equations (docs/metal.md) and where they are:

    =============  =====================================================================================
    f, θ_base      `network` and the task's head; θ₀, where every task starts, is `network`'s parameters
    m, θ_meta = φ  `meta_network`, 385 parameters, applied to each coordinate
    L_task         `weighted_cross_entropy` on the support
    L_cv           `loss` on the episodes that `draw_folds` deals
    g              ∇_θ L_task(support); r is its root mean square over one parameter tensor
    Δθ_meta        r · m(g / r)
    Δθ_base        g + β · Δθ_meta, equation 4
    β              `beta`, learned
    η              `log_rates`, learned: one rate for each parameter tensor, shared by all classes of a head
    α              the outer loop's learning rate (0.001)
    =============  =====================================================================================

    One inner step is θ ← θ − η (g + β r m(g / r)). m starts at zero, so training begins as plain gradient descent.
    The head has a row per class and all rows start equal, at zero; features enter it less the support's mean.

    Args:
        shape: the images it takes.
        width: channels of the base network.
        steps: inner steps while meta-training.
        max_steps: inner steps of `adapt` in evaluation mode, which after `steps` stops a task once its support loss
            falls by less than a thousandth per step.
        order: 2 back-propagates through the inner loop's gradients, 1 past them.
        adapt_parameters: "all" changes base network and head, "head" the head alone.
        learning_rate: where η starts for the base network; the head's starts at 100 times that.
        beta: where β starts.
    """

    name = "metal"
    family = "Meta-GD"
    summary = "a meta-network steers the inner updates of a base network; trained by cross-validation loss"
    paper = "METAL (docs/metal.md)"
    cost = "5 to 10 gradient steps of the head"
    cross_validated = True

    def __init__(
        self,
        shape: InputShape = ImageShape(channels=1, size=64),
        *,
        width: int = 64,
        steps: int = 5,
        max_steps: int = 10,
        order: Literal[1, 2] = 1,
        adapt_parameters: Literal["all", "head"] = "head",
        learning_rate: float = 0.01,
        beta: float = 0.1,
    ) -> None:
        super().__init__(shape)
        if order not in (1, 2) or adapt_parameters not in ("all", "head"):
            raise InputError(
                f"order is {order} and adapt_parameters '{adapt_parameters}'; give 1 or 2, and all or head."
            )
        if not (learning_rate > 0 and math.isfinite(learning_rate) and math.isfinite(beta)):
            raise InputError(
                f"learning_rate is {learning_rate} and beta {beta}; give finite numbers, the rate above 0."
            )
        if not 1 <= steps <= max_steps:
            raise InputError(f"steps is {steps} and max_steps {max_steps}; give 1 or more and at least as many.")
        self.width, self.steps, self.max_steps, self.order = width, steps, max_steps, order
        self.adapt_parameters, self.learning_rate, self.start_beta = adapt_parameters, learning_rate, beta
        self.network = base_network(shape, width)
        self.meta_network = MetaNetwork()
        adapted = [name for name, _ in self.network.named_parameters()] if adapt_parameters == "all" else []
        rates = dict.fromkeys(adapted, learning_rate) | dict.fromkeys((WEIGHT, BIAS), 100 * learning_rate)
        self.log_rates = nn.ParameterDict(
            {_key(name): nn.Parameter(torch.tensor(math.log(rate))) for name, rate in rates.items()}
        )
        self.beta = nn.Parameter(torch.tensor(beta))
        self.gradient = "exact" if order == 2 else "first-order"

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {
            "width": self.width,
            "steps": self.steps,
            "max_steps": self.max_steps,
            "order": self.order,
            "adapt_parameters": self.adapt_parameters,
            "learning_rate": self.learning_rate,
            "beta": self.start_beta,
        }

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images *embedded"]:
        """The base network's features where only the head adapts."""
        return images if self.adapt_parameters == "all" else self.network(images)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """The inner loop: base network and head after adaptation, and the support's mean feature."""
        parameters = self._start(support)

        def task_loss(parameters: Parameters) -> Tensor:
            features = self._features(parameters, support.images)
            logits = apply_head(parameters, features - _centre(features, support.weights))
            return weighted_cross_entropy(logits, support.labels, support.weights)

        gradient_and_loss = grad_and_value(task_loss)
        active = torch.ones((), dtype=torch.bool, device=support.weights.device)
        before = torch.full((), torch.inf, dtype=support.weights.dtype, device=support.weights.device)
        for step in range(self.steps if self.training else self.max_steps):
            gradients, loss = gradient_and_loss(parameters)
            if step >= self.steps:
                active = active & (before - loss > CONVERGED * loss)
            before = loss.detach()
            updates = self._updates(gradients)
            parameters = {name: torch.where(active, value - updates[name], value) for name, value in parameters.items()}
        features = self._features(parameters, support.images)
        return parameters | {CENTRE: _centre(features, support.weights)}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """Logits of the adapted base network and head."""
        return apply_head(adapted, self._features(adapted, images) - adapted[CENTRE])

    def update(
        self, task: Task, *, shots: int = 5, steps: int = 10, learning_rate: float = 0.001, seed: int = 0
    ) -> None:
        """Go on learning from a new task: meta steps on that task's own cross-validation loss.

        Args:
            task: the new task; its labelled patients are dealt into folds anew at every step.
            shots: labelled patients per class to adapt on in a fold.
            steps: meta steps.
            learning_rate: α.
            seed: of the draws.

        Raises:
            TooFewPatients: a class has fewer than two patients, so that the loss is undefined.
        """
        update_on(self, task, shots=shots, steps=steps, learning_rate=learning_rate, seed=seed)
        self.remember([task])

    def _start(self, support: Support) -> Parameters:
        """θ₀: the learned parameters that adapt, and a head of equal rows, one per class."""
        base = dict(self.network.named_parameters()) if self.adapt_parameters == "all" else {}
        return base | new_head(support, self.network.features)

    def _features(self, parameters: Parameters, images: Tensor) -> Float[Tensor, "samples features"]:
        if self.adapt_parameters == "head":
            return images
        base = {name: value for name, value in parameters.items() if not is_head(name) and name != CENTRE}
        return functional_call(self.network, base, (images,))

    def _updates(self, gradients: Parameters) -> Parameters:
        """η (g + β r m(g / r)) for every parameter tensor, with one call of the meta-network for all of them."""
        if self.order == 1:
            gradients = {name: gradient.detach() for name, gradient in gradients.items()}
        sizes = {name: (gradient.square().mean() + SMALLEST**2).sqrt() for name, gradient in gradients.items()}
        scaled = torch.cat([(gradients[name] / size).flatten() for name, size in sizes.items()])
        proposals = self.meta_network(scaled).split([gradient.numel() for gradient in gradients.values()])
        return {
            name: self.log_rates[_key(name)].exp() * (gradient + self.beta * sizes[name] * proposal.view_as(gradient))
            for (name, gradient), proposal in zip(gradients.items(), proposals, strict=True)
        }


def _key(name: str) -> str:
    """`ParameterDict` takes no dots in its keys."""
    return name.replace(".", "/")


def _centre(features: Tensor, weights: Tensor) -> Float[Tensor, " features"]:
    return (features * weights[:, None]).sum(0) / weights.sum()
