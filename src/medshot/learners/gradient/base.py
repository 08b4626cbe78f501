"""What learners share that adapt a base network and a linear head by gradient steps."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value

from medshot.errors import InputError
from medshot.imaging import GridInput, InputSpec
from medshot.learners.base import Adapted, Learner
from medshot.learners.features import BIAS, WEIGHT, apply_head, is_head, new_head, weighted_cross_entropy
from medshot.networks import base_network
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
    """θ after θ ← θ − rule(∇_θ L_t(θ)) for t = 0, 1, …

    Args:
        task_loss: L_t(θ) from θ and the number t of the step, by which it may choose a minibatch.
        rule: updates, which are subtracted, from gradients; by the names of their parameters.
        parameters: where θ starts. Under vmap the first step works on them as they are, shared by all tasks.
        steps: number of steps.
        order: 2 back-propagates through the gradients, 1 past them.
        max_steps: where it is given, there may be as many steps; after `steps` of them a task stops once its loss falls
            by less than a thousandth per step.
        first: the names that alone change in the first step, where the others are known to have no gradient yet.
    """
    active, before = torch.tensor(True), torch.tensor(torch.inf)
    for step in range(max_steps or steps):
        free = {name: value for name, value in parameters.items() if step or first is None or name in first}
        gradients, loss = _gradients(task_loss, parameters, free, step, order)
        updates = rule(gradients)
        stepped = {name: value - updates[name] for name, value in free.items()}
        if step >= steps:
            active = active & (before - loss > CONVERGED * loss)
            stepped = {name: torch.where(active, value, free[name]) for name, value in stepped.items()}
        parameters, before = parameters | stepped, loss.detach()
    return parameters


def _gradients(
    task_loss: TaskLoss, parameters: Parameters, free: Parameters, step: int, order: int
) -> tuple[Parameters, Tensor]:
    """∇ L_t with respect to `free`, and L_t; without a graph of their own where `order` is 1."""
    with torch.set_grad_enabled(order == 2 and torch.is_grad_enabled()):
        return grad_and_value(lambda free: task_loss(parameters | free, step))(free)


HEAD = (WEIGHT, BIAS)
CENTRE = "centre"


class GradientLearner(Learner):
    """A base network and a linear head that is made for each task; a subclass writes `adapt_one`.

    Features enter the head less the support's mean, so that a head that starts at zero first moves along the
    differences between classes. Where the head alone adapts, each image is embedded once.

    Args:
        input_spec: what it takes of each image.
        width: channels of the base network, or units of its bottleneck.
        steps: inner steps.

    Attributes:
        adapt_parameters: "all" where the inner loop changes base network and head, "head" where the head alone.

    Raises:
        InputError: there are no steps.
    """

    family = "Meta-GD"
    adapt_parameters: Literal["all", "head"] = "all"

    def __init__(self, input_spec: InputSpec, *, width: int, steps: int) -> None:
        super().__init__(input_spec)
        if steps < 1:
            raise InputError(f"steps is {steps}; give 1 or more.")
        self.width, self.steps = width, steps
        self.network = base_network(input_spec, width)

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width, "steps": self.steps}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images *embedded"]:
        """The base network's features where only the head adapts."""
        return images if self.adapt_parameters == "all" else self.network(images)

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """Logits of the adapted base network and head."""
        return apply_head(adapted, self.features(adapted, images) - adapted[CENTRE])

    def adapting(self) -> Parameters:
        """The base network's parameters that the inner loop changes."""
        return dict(self.network.named_parameters()) if self.adapt_parameters == "all" else {}

    def start(self, support: Support) -> Parameters:
        """θ₀: the parameters that adapt, and a head of equal rows, one per class."""
        return self.adapting() | new_head(support, self.network.features)

    def features(self, parameters: Parameters, images: Tensor) -> Float[Tensor, "samples features"]:
        """The base network's features under those of its parameters that are given."""
        if self.adapt_parameters == "head":
            return images
        base = {name: value for name, value in parameters.items() if not is_head(name) and name != CENTRE}
        return functional_call(self.network, base, (images,))

    def with_centre(self, parameters: Parameters, support: Support) -> Adapted:
        """The parameters, and the support's mean feature under them."""
        return parameters | {CENTRE: mean_feature(self.features(parameters, support.images), support)}

    def task_loss(self, *minibatches: Support) -> TaskLoss:
        """L_task: the cross-entropy on the support, or on each of several minibatches in turn."""

        def loss(parameters: Parameters, step: int) -> Tensor:
            seen = minibatches[step % len(minibatches)]
            features = self.features(parameters, seen.images)
            logits = apply_head(parameters, features - mean_feature(features, seen))
            return weighted_cross_entropy(logits, seen.labels, seen.weights)

        return loss


def mean_feature(features: Float[Tensor, "samples features"], support: Support) -> Float[Tensor, " features"]:
    """The mean under the support's weights."""
    return (features * support.weights[:, None]).sum(0) / support.weights.sum()


ON_PIXELS, ON_FEATURES = 100, 300
"""The head's rate in units of the network's. On an encoder's features, of norm 4, five steps from zero at rate 3 come
to the loss and accuracy of scikit-learn's `LogisticRegression(C=1)`."""


def first_rates(adapting: Iterable[str], input_spec: InputSpec, learning_rate: float) -> dict[str, float]:
    """Where the rate of each parameter tensor starts: of those of the network that adapt, then of the head.

    Raises:
        InputError: `learning_rate` is not a number above 0.
    """
    if not 0 < learning_rate < math.inf:
        raise InputError(f"learning_rate is {learning_rate}; give a finite number above 0.")
    factor = ON_PIXELS if isinstance(input_spec, GridInput) else ON_FEATURES
    return dict.fromkeys(adapting, learning_rate) | dict.fromkeys(HEAD, factor * learning_rate)


def learned_logarithms(values: Mapping[str, float]) -> nn.ParameterDict:
    """The logarithm of each value as a parameter, by its name's `key`."""
    return nn.ParameterDict({key(name): nn.Parameter(torch.tensor(math.log(value))) for name, value in values.items()})


def key(name: str) -> str:
    """`ParameterDict` takes no dots in its keys."""
    return name.replace(".", "/")


class Adam:
    """Adam (Kingma and Ba, 2015, algorithm 1, with its defaults); it remembers, so every adaptation takes its own.

    Args:
        learning_rate: its α.
    """

    def __init__(self, learning_rate: float) -> None:
        self.learning_rate, self.step = learning_rate, 0
        self.first: dict[str, Tensor | float] = {}
        self.second: dict[str, Tensor | float] = {}

    def __call__(self, gradients: Parameters) -> Parameters:
        """The updates of the next step."""
        self.step += 1
        updates = {}
        for name, gradient in gradients.items():
            first = self.first[name] = 0.9 * self.first.get(name, 0.0) + 0.1 * gradient
            second = self.second[name] = 0.999 * self.second.get(name, 0.0) + 0.001 * gradient.square()
            root = (second / (1 - 0.999**self.step)).sqrt() + 1e-8
            updates[name] = self.learning_rate / (1 - 0.9**self.step) * first / root
        return updates
