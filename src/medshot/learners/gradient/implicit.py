"""The minimum of a function as a differentiable function of what the function depends on."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import grad, vjp

from medshot.learners.gradient.inner_loop import Parameters, inner_loop

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
        """u*, of that many coordinates, after `steps` gradient steps."""
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
        """−(∂∇_u f / ∂inputs)ᵀ H⁻¹ slope, for the inputs of floating point."""
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
    """Gradient steps of a length that the last two gradients tell (Barzilai and Borwein, 1988, equation 6).

    The length is s·y / y·y, with s the last step and y the change of the gradient over it, where the curvature s·y is
    positive; at most 1, which is the longest where all curvature is 1 or more. It remembers, so every minimisation
    takes its own.

    Args:
        first: length of the first step, and of those where the curvature is not positive.
    """

    def __init__(self, first: float) -> None:
        self.first = first
        self.last: tuple[Parameters, Parameters] | None = None

    def __call__(self, gradients: Parameters) -> Parameters:
        """The updates of the next step."""
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
    """x with A x = target, after some steps of conjugate gradients (Hestenes and Stiefel, 1952) from zero.

    It stays where it is once it is there, or once a direction shows that A is not positive definite.

    Args:
        product: A times a vector.
        target: the right-hand side.
        steps: at most as many as there are coordinates are of use.
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
