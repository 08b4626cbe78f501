"""iMAML: a regularised inner problem, solved, and differentiated only at its solution."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import grad, vjp

from medshot.errors import InputError
from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.gradient.base import HEAD, GradientLearner, Parameters, inner_loop, key, learned_logarithms
from medshot.learners.seeding import Randomness
from medshot.tasks import Support

Vector = Float[Tensor, " coordinates"]
Objective = Callable[..., Float[Tensor, ""]]

FIRST_RATE = 0.1
SMALLEST = 1e-30


class Minimum(torch.autograd.Function):
    """u* = argmin_u f(u, inputs), differentiable in the inputs, at a cost in memory that does not grow with the steps.

    Forward, gradient steps find u* from zero without a graph. Backward, by the implicit function theorem applied to
    ∇_u f(u*, inputs) = 0, the gradient v with respect to u* becomes −(∂∇_u f / ∂inputs)ᵀ H⁻¹ v with H the Hessian of
    f, solved by conjugate gradients. f must have curvature of about 1 or more in every direction, as a regularised loss
    has in units of its regularisation.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(objective: Objective, coordinates: int, steps: int, solver_steps: int, *inputs: Tensor) -> Tensor:
        """Return u*, of that many coordinates, after `steps` gradient steps."""
        start = {"u": inputs[0].new_zeros(coordinates)}

        def loss(parameters: Parameters, step: int) -> Tensor:
            return objective(parameters["u"], *inputs)

        return inner_loop(loss, BarzilaiBorwein(FIRST_RATE), start, steps=steps)["u"]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep the minimum and the inputs."""
        ctx.objective, _, _, ctx.solver_steps, *tensors = inputs
        ctx.save_for_backward(output, *tensors)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        """Return −(∂∇_u f / ∂inputs)ᵀ H⁻¹ slope, for the inputs of floating point."""
        minimum, *inputs = ctx.saved_tensors
        gradient = grad(ctx.objective)
        hessian = vjp(lambda u: gradient(u, *inputs), minimum)[1]
        solution = conjugate_gradients(lambda direction: hessian(direction)[0], slope, ctx.solver_steps)
        wanted = [place for place, value in enumerate(inputs) if value.is_floating_point()]

        def stationarity(*values: Tensor) -> Tensor:
            given = dict(zip(wanted, values, strict=True))
            return gradient(minimum, *(given.get(place, value) for place, value in enumerate(inputs)))

        found = vjp(stationarity, *(inputs[place] for place in wanted))[1](-solution)
        gradients = dict(zip(wanted, found, strict=True))
        return None, None, None, None, *(gradients.get(place) for place in range(len(inputs)))


class BarzilaiBorwein:
    """Gradient steps of a length that follows from the last two gradients (Barzilai and Borwein, 1988, equation 6).

    The length is s·y / y·y, with s the last step and y the change of the gradient over it, if the curvature s·y is
    positive; at most 1, which is the longest if all curvature is 1 or more. It has a state, so every minimisation needs
    its own.

    Args:
        first: length of the first step, and of those at which the curvature is not positive.
    """

    def __init__(self, first: float) -> None:
        self.first = first
        self.last: tuple[Parameters, Parameters] | None = None

    def __call__(self, gradients: Parameters) -> Parameters:
        """Return the updates of the next step."""
        length: float | Tensor = self.first
        if self.last:
            before, updates = self.last
            changes = {name: gradient - before[name] for name, gradient in gradients.items()}
            curvature = -torch.stack([(updates[name] * change).sum() for name, change in changes.items()]).sum()
            square = torch.stack([change.square().sum() for change in changes.values()]).sum()
            length = torch.where(curvature > 0, curvature / (square + SMALLEST), self.first).clamp(max=1.0)
        updates = {name: length * gradient for name, gradient in gradients.items()}
        self.last = gradients, updates
        return updates


def conjugate_gradients(product: Callable[[Vector], Vector], target: Vector, steps: int) -> Vector:
    """Return x with A x = target, after some steps of conjugate gradients (Hestenes and Stiefel, 1952) from zero.

    It stops once it has converged, or once a direction shows that A is not positive definite.

    Args:
        product: A times a vector.
        target: the right-hand side.
        steps: more than there are coordinates are of no use.
    """
    solution, residual, direction = torch.zeros_like(target), target, target
    square = residual @ residual
    going = square > SMALLEST
    for _ in range(steps):
        image = product(direction)
        curvature = direction @ image
        going = going & (curvature > SMALLEST) & (square > SMALLEST)
        length = torch.where(going, square / torch.where(going, curvature, 1.0), 0.0)
        solution, residual = solution + length * direction, residual - length * image
        before, square = square, residual @ residual
        direction = residual + square / (before + SMALLEST) * direction
    return solution


ON_PIXELS, ON_FEATURES = (100.0, 0.2), (2.0, 0.04)
"""The first λ of network and head: the smallest at which ten steps and five of the solver come near the true
meta-gradient (cosine 0.98 or more)."""


class Imaml(GradientLearner):
    """Implicit MAML (Rajeswaran et al., 2019, equations 3 and 6).

    θ* = argmin_θ L_task(θ) + Σ λ/2 |θ − θ₀|², found by `steps` gradient steps without a graph. The meta-gradient is
    (I + H/λ)⁻¹ ∇L_query(θ*), with H the Hessian of L_task at θ*, by conjugate gradients on products with H: it depends
    on the solution and not on the way there, and its memory not on the number of steps. λ is learned, by the same
    theorem, one for each parameter tensor; the head, which starts at zero for each task, has a smaller one. All is
    solved in u = √λ (θ − θ₀), in which every λ is 1. Inductive; `adapt` costs `steps` forward and backward passes over
    the support.

    Args:
        input_spec: what it takes of each image.
        width: channels of the base network, or units of its bottleneck.
        steps: inner steps, enough to come near the minimum.
        solver_steps: of conjugate gradients.
        regularisation: factor on the first λ: 100 (network) and 0.2 (head) on pixels, 2 and 0.04 on features.

    Raises:
        InputError: a number is out of range.
    """

    name = "imaml"
    summary = "MAML with a regularised inner problem and its implicit meta-gradient"
    paper = "Rajeswaran et al., NeurIPS 2019"
    cost = "10 gradient steps of network and head"
    gradient = "implicit"

    def __init__(
        self,
        input_spec: InputSpec,
        *,
        width: int = 64,
        steps: int = 10,
        solver_steps: int = 5,
        regularisation: float = 1.0,
    ) -> None:
        super().__init__(input_spec, width=width, steps=steps)
        if solver_steps < 1 or not 0 < regularisation < math.inf:
            raise InputError(
                f"solver_steps is {solver_steps} and regularisation {regularisation}; give 1 or more, and a finite "
                "number above 0."
            )
        self.solver_steps, self.regularisation = solver_steps, regularisation
        of_network, of_head = ON_PIXELS if input_spec.is_grid else ON_FEATURES
        strengths = dict.fromkeys(self.adapting(), of_network) | dict.fromkeys(HEAD, of_head)
        self.log_strengths = learned_logarithms({name: regularisation * value for name, value in strengths.items()})

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return θ*, and the support's mean feature under it."""
        start = self.start(support)
        units = {name: (-0.5 * self.log_strengths[key(name)]).exp() for name in start}

        def objective(u: Tensor, images: Tensor, labels: Tensor, weights: Tensor, *tensors: Tensor) -> Tensor:
            """Return L_task + |u|²/2, from tensors only: a closure's have no derivative and no task axis here."""
            halves = tensors[: len(start)], tensors[len(start) :]
            values, scales = (dict(zip(start, half, strict=True)) for half in halves)
            loss = self.task_loss(Support(images, labels, weights, support.ways))
            return loss(moved(values, scales, u), 0) + 0.5 * u.square().sum()

        coordinates = sum(value.numel() for value in start.values())
        sides = support.images, support.labels, support.weights
        u = Minimum.apply(
            objective, coordinates, self.steps, self.solver_steps, *sides, *start.values(), *units.values()
        )
        return self.with_centre(moved(start, units, u), support)


def moved(start: Parameters, units: Parameters, u: Tensor) -> Parameters:
    """Return θ = θ₀ + u / √λ, with the coordinates of u in the order of the parameters."""
    parts = u.split([value.numel() for value in start.values()])
    return {
        name: value + units[name] * part.view_as(value)
        for (name, value), part in zip(start.items(), parts, strict=True)
    }
