"""The parts of the inner loop: rules, solvers, and the minimum as a function."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from medshot.learners.gradient.base import Adam, inner_loop
from medshot.learners.gradient.imaml import Minimum, conjugate_gradients

SEEDS = st.integers(0, 2**31)


def curved(seed: int, size: int = 6) -> tuple[Tensor, Tensor]:
    """Return a positive definite matrix with eigenvalues of 1 or more, and a vector."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return root @ root.T + torch.eye(size), torch.randn(size, generator=generator, dtype=torch.float64)


@given(st.lists(st.floats(0.05, 3), min_size=3, max_size=9), st.integers(1, 3))
def test_steps_beyond_the_fixed_ones_never_raise_the_loss(rates, steps):
    """A learned rule may overshoot at any step; a rate above 1 does so on this parabola."""

    def loss(parameters: dict[str, Tensor], step: int = 0) -> Tensor:
        return parameters["x"].square().sum()

    def after(**many) -> float:
        rule = iter(rates)
        start = {"x": torch.ones(1, dtype=torch.float64)}
        return loss(inner_loop(loss, lambda g: {"x": next(rule) * g["x"]}, start, **many)).item()

    steps = min(steps, len(rates) - 1)
    losses = [after(steps=count) for count in range(steps, len(rates) + 1)]
    found = after(steps=steps, max_steps=len(rates))
    assert found <= losses[0]
    best = next((k for k in range(1, len(losses)) if losses[k] > losses[k - 1]), len(losses)) - 1
    assert found in losses[: best + 1], "a step was kept after which the loss rose"


@settings(max_examples=20)
@given(SEEDS)
def test_adam_takes_the_steps_of_torch(seed):
    matrix, target = curved(seed)
    start = {"x": target.clone(), "y": torch.ones(2, dtype=torch.float64)}

    def loss(parameters: dict[str, Tensor], step: int = 0) -> Tensor:
        return parameters["x"] @ matrix @ parameters["x"] + (step + 1) * parameters["y"].cos().sum()

    adapted = inner_loop(loss, Adam(0.03), start, steps=7)
    theirs = {name: value.clone().requires_grad_() for name, value in start.items()}
    optimizer = torch.optim.Adam(theirs.values(), lr=0.03)
    for step in range(7):
        optimizer.zero_grad()
        loss(theirs, step).backward()
        optimizer.step()
    for name, value in theirs.items():
        torch.testing.assert_close(adapted[name], value.detach(), atol=1e-12, rtol=1e-9)


@settings(max_examples=20)
@given(SEEDS)
def test_conjugate_gradients_solve_and_stay_where_they_are(seed):
    matrix, target = curved(seed)
    for steps in (12, 40):
        solution = conjugate_gradients(lambda vector: matrix @ vector, target, steps)
        torch.testing.assert_close(matrix @ solution, target, atol=1e-8, rtol=0)


def test_conjugate_gradients_stop_at_a_direction_of_negative_curvature():
    target = torch.ones(3, dtype=torch.float64)
    assert torch.equal(conjugate_gradients(lambda vector: -vector, target, 5), torch.zeros(3, dtype=torch.float64))


@settings(max_examples=10)
@given(SEEDS)
def test_a_minimum_is_where_the_gradient_is_zero_and_has_the_derivative_of_the_formula(seed):
    matrix, target = curved(seed)
    matrix = matrix / torch.linalg.matrix_norm(matrix, 2) * 20 + torch.eye(6)
    matrix.requires_grad_()
    target.requires_grad_()

    def objective(u: Tensor, matrix: Tensor, target: Tensor) -> Tensor:
        return 0.5 * u @ matrix @ u - target @ u

    found = Minimum.apply(objective, 6, 100, 20, (matrix + matrix.T) / 2, target)
    expected = torch.linalg.solve((matrix + matrix.T) / 2, target)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    weight = torch.linspace(-1, 1, 6, dtype=torch.float64)
    slopes = [torch.autograd.grad(solved @ weight, (matrix, target)) for solved in (found, expected)]
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("order", [1, 2])
def test_the_second_order_inner_loop_alone_has_a_gradient_through_its_gradients(order):
    start = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    adapted = inner_loop(
        lambda parameters, step: parameters["x"] ** 3,
        lambda gradients: {name: 0.1 * value for name, value in gradients.items()},
        {"x": start},
        steps=1,
        order=order,
    )
    adapted["x"].backward()
    assert start.grad.item() == pytest.approx(1 - 0.1 * 6 * 2.0 if order == 2 else 1.0)
    assert adapted["x"].item() == pytest.approx(2.0 - 0.1 * 3 * 4.0)
