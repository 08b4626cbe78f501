"""The inner loop of every learner that adapts by gradient steps, a pure function over named parameters."""

from collections.abc import Callable, Collection

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import grad_and_value

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
