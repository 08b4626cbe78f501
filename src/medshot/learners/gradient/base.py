"""The inner loop, and the base of learners that adapt a network and a linear head by gradient steps."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from medshot.errors import InputError
from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.features import (
    BIAS,
    WEIGHT,
    apply_head,
    is_head,
    learned_logarithm,
    mean_feature,
    new_head,
    weighted_cross_entropy,
)
from medshot.learners.kinds import NetworkLearner
from medshot.learners.run import Gradient
from medshot.tasks import Support

Parameters = dict[str, Tensor]
TaskLoss = Callable[[Parameters, int], Float[Tensor, ""]]
Rule = Callable[[Parameters], Parameters]

CONVERGED = 1e-3


def inner_loop(
    task_loss: TaskLoss,
    rule: Rule,
    parameters: Parameters,
    *,
    steps: int,
    order: int = 1,
    max_steps: int | None = None,
    first: Collection[str] | None = None,
) -> Parameters:
    """Return θ after θ ← θ − rule(∇_θ L_t(θ)) for t = 0, 1, …

    Args:
        task_loss: L_t(θ) from θ and the number t of the step, by which it may choose a minibatch.
        rule: updates, which are subtracted, from gradients; by the names of their parameters.
        parameters: where θ starts. Under vmap the first step works on them as they are, shared by all tasks.
        steps: number of steps.
        order: 2 back-propagates through the gradients, 1 treats them as constants.
        max_steps: the maximum number of steps, if given. After the first `steps`, a task stops once its loss falls by
            less than a thousandth per step, and a step that raised the loss is taken back.
        first: the only names that change in the first step, if the others are known to have no gradient yet.
    """
    active, before, previous = torch.tensor(True), torch.tensor(torch.inf), parameters
    for step in range(max_steps or steps):
        free = {name: value for name, value in parameters.items() if step or first is None or name in first}
        gradients, loss = _gradients(task_loss, parameters, free, step, order)
        updates = rule(gradients)
        stepped = {name: value - updates[name] for name, value in free.items()}
        if step >= steps:
            if step > steps:
                parameters = step_back(previous, parameters, active & ~(loss <= before))
                free = parameters
            active = active & (before - loss > CONVERGED * loss)
            stepped = {name: torch.where(active, value, free[name]) for name, value in stepped.items()}
        previous, parameters, before = parameters, parameters | stepped, loss.detach()
    if max_steps is not None and max_steps > steps:
        with torch.no_grad():
            rose = active & ~(task_loss(parameters, max_steps) <= before)
        parameters = step_back(previous, parameters, rose)
    return parameters


def step_back(previous: Parameters, parameters: Parameters, rose: Bool[Tensor, ""]) -> Parameters:
    """Return the previous parameters if the loss rose after the last step, and these otherwise."""
    return {name: torch.where(rose, previous[name], value) for name, value in parameters.items()}


def _gradients(
    task_loss: TaskLoss, parameters: Parameters, free: Parameters, step: int, order: int
) -> tuple[Parameters, Tensor]:
    """Return ∇ L_t with respect to `free`, and L_t; without a graph of their own if `order` is 1."""
    with torch.set_grad_enabled(order == 2 and torch.is_grad_enabled()):
        return grad_and_value(lambda free: task_loss(parameters | free, step))(free)


HEAD = (WEIGHT, BIAS)
CENTRE = "centre"


class GradientLearner(NetworkLearner):
    """A base network and a linear head that is made for each task; a subclass writes `adapt_one`.

    Features enter the head less the support's mean, so that a head that starts at zero first moves along the
    differences between classes. If only the head adapts, each image is embedded once.

    Args:
        input_spec: what it takes of each image.
        width: channels of the base network, or units of its bottleneck.
        steps: inner steps.

    Attributes:
        adapt_parameters: "all" if the inner loop changes base network and head, "head" if it changes only the head.

    Raises:
        InputError: there are no steps.
    """

    family = "Meta-GD"
    gradient: Gradient = None
    adapt_parameters: Literal["all", "head"] = "all"

    def __init__(self, input_spec: InputSpec, *, width: int, steps: int) -> None:
        super().__init__(input_spec, width=width)
        if steps < 1:
            raise InputError(f"steps is {steps}; give 1 or more.")
        self.steps = steps

    def embed(self, images: Float[Tensor, "images *image"]) -> Float[Tensor, "images *embedded"]:
        """Return the base network's features if only the head adapts, and the images otherwise."""
        return images if self.adapt_parameters == "all" else self.network(images)

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """Return the logits of the adapted base network and head."""
        return apply_head(adapted, self.features(adapted, images) - adapted[CENTRE])

    def adapting(self) -> Parameters:
        """Return the base network's parameters that the inner loop changes."""
        return dict(self.network.named_parameters()) if self.adapt_parameters == "all" else {}

    def start(self, support: Support) -> Parameters:
        """Return θ₀: the parameters that adapt, and a head of equal rows, one per class."""
        return self.adapting() | new_head(support, self.network.features)

    def features(self, parameters: Parameters, images: Tensor) -> Float[Tensor, "samples features"]:
        """Return the base network's features under those of its parameters that are given."""
        if self.adapt_parameters == "head":
            return images
        base = {name: value for name, value in parameters.items() if not is_head(name) and name != CENTRE}
        return functional_call(self.network, base, (images,))

    def with_centre(self, parameters: Parameters, support: Support) -> Adapted:
        """Return the parameters, and the support's mean feature under them."""
        embedded = replace(support, images=self.features(parameters, support.images))
        return parameters | {CENTRE: mean_feature(embedded)}

    def task_loss(self, *minibatches: Support) -> TaskLoss:
        """Return L_task: the cross-entropy on the support, or on each of several minibatches in turn."""

        def loss(parameters: Parameters, step: int) -> Tensor:
            batch = minibatches[step % len(minibatches)]
            embedded = replace(batch, images=self.features(parameters, batch.images))
            logits = apply_head(parameters, embedded.images - mean_feature(embedded))
            return weighted_cross_entropy(logits, batch.labels, batch.weights)

        return loss


ON_PIXELS, ON_FEATURES = 100, 300
"""The head's rate in units of the network's. On an encoder's features, of norm 4, five steps from zero at rate 3 come
to the loss and accuracy of scikit-learn's `LogisticRegression(C=1)`."""


def first_rates(adapting: Iterable[str], input_spec: InputSpec, learning_rate: float) -> dict[str, float]:
    """Return the first rate of each parameter tensor: those of the network that adapt, then of the head.

    Raises:
        InputError: `learning_rate` is not a number above 0.
    """
    if not 0 < learning_rate < math.inf:
        raise InputError(f"learning_rate is {learning_rate}; give a finite number above 0.")
    factor = ON_PIXELS if input_spec.is_grid else ON_FEATURES
    return dict.fromkeys(adapting, learning_rate) | dict.fromkeys(HEAD, factor * learning_rate)


def learned_logarithms(values: Mapping[str, float]) -> nn.ParameterDict:
    """Return the logarithm of each value as a parameter, by its name's `key`."""
    return nn.ParameterDict({key(name): learned_logarithm(value) for name, value in values.items()})


def key(name: str) -> str:
    """Return a parameter's name without dots, which `ParameterDict` does not take in keys."""
    return name.replace(".", "/")


class Adam:
    """Adam (Kingma and Ba, 2015, algorithm 1, with its defaults); it has a state, so every adaptation needs its own.

    Args:
        learning_rate: its α.
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate, self.step = learning_rate, 0
        self.first: dict[str, Tensor | float] = {}
        self.second: dict[str, Tensor | float] = {}

    def __call__(self, gradients: Parameters) -> Parameters:
        """Return the updates of the next step."""
        self.step += 1
        updates = {}
        for name, gradient in gradients.items():
            first = self.first[name] = 0.9 * self.first.get(name, 0.0) + 0.1 * gradient
            second = self.second[name] = 0.999 * self.second.get(name, 0.0) + 0.001 * gradient.square()
            root = (second / (1 - 0.999**self.step)).sqrt() + 1e-8
            updates[name] = self.learning_rate / (1 - 0.9**self.step) * first / root
        return updates
