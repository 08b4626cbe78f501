"""Meta-gradients of learners that adapt by gradient steps, against formulas written out and against other libraries.

All is in double precision, on one small network.
"""

from collections.abc import Callable

import higher
import pytest
import torch
import torchopt
from small_learners import episodes, one_task, tiny
from small_tasks import SHAPE
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from medshot.learners import Learner, create
from medshot.learners.features import BIAS, WEIGHT
from medshot.learners.gradient.base import HEAD, key
from medshot.tasks import Support
from medshot.training import Engine

RATE = 0.05
Parameters = dict[str, Tensor]


def adapted_for_one_task(name: str, **settings) -> tuple[Learner, Support, Support]:
    """Return a learner in training mode, and a task's support and query."""
    batch = episodes(3)
    learner = tiny(name, learning_rate=RATE, **settings).train()
    return learner, one_task(batch.support, 2), one_task(batch.query, 2)


def loss_of(learner: Learner, parameters: Parameters, centred_by: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of network and head, with features minus the mean of those of `centred_by`."""
    base = {name: value for name, value in parameters.items() if name not in HEAD}
    features, support = (functional_call(learner.network, base, (part,)) for part in (images, centred_by))
    return cross_entropy((features - support.mean(0)) @ parameters[WEIGHT].T + parameters[BIAS], labels)


def start_of(learner: Learner) -> Parameters:
    zeros = torch.zeros(2, learner.network.features, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    return dict(learner.network.named_parameters()) | {WEIGHT: zeros, BIAS: bias}


def by_hand(
    learner: Learner, minibatches: list[Support], rate: Callable[[str], Tensor | float], steps: int, order: int
) -> tuple[Parameters, list[Parameters]]:
    """Return θ_T and the gradient of every step, by plain autograd; at order 1 gradients are constants."""
    parameters, gradients = start_of(learner), []
    for step in range(steps):
        seen = minibatches[step % len(minibatches)]
        loss = loss_of(learner, parameters, seen.images[0], seen.images[0], seen.labels[0])
        found = torch.autograd.grad(loss, list(parameters.values()), create_graph=order == 2, retain_graph=True)
        gradients.append(dict(zip(parameters, found, strict=True)))
        parameters = {name: value - rate(name) * gradients[-1][name] for name, value in parameters.items()}
    return parameters, gradients


def meta_gradients(learner: Learner, support: Support, query: Support) -> Parameters:
    classifier = learner.adapt(support)
    cross_entropy(classifier(query.images)[0], query.labels[0]).backward()
    return {name: value.grad for name, value in learner.named_parameters()}


def close(one: Tensor, other: Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(one, other, atol=tolerance, rtol=tolerance)


def test_the_first_order_meta_gradient_is_the_query_gradient_where_the_inner_loop_ends():
    learner, support, query = adapted_for_one_task("fomaml", steps=3)
    found = meta_gradients(learner, support, query)
    ended, gradients = by_hand(learner, [support], lambda name: learner.rate(name).detach(), 3, order=1)
    loss = loss_of(learner, ended, support.images[0], query.images[0], query.labels[0])
    slopes = dict(zip(ended, torch.autograd.grad(loss, list(ended.values())), strict=True))
    assert max(slope.abs().max() for slope in slopes.values()) > 1e-3
    for name, _ in learner.network.named_parameters():
        close(found[f"network.{name}"], slopes[name])
    for name, slope in slopes.items():
        moved = sum(of_step[name] for of_step in gradients)
        close(found[f"log_rates.{key(name)}"], -learner.rate(name).detach() * (slope * moved).sum())


@pytest.mark.parametrize("name", ["maml", "meta-sgd"])
def test_the_second_order_meta_gradient_is_that_of_plain_double_backward(name):
    learner, support, query = adapted_for_one_task(name, steps=3)
    found = meta_gradients(learner, support, query)
    learner.zero_grad()
    ended, _ = by_hand(learner, [support], learner.rate, 3, order=2)
    loss_of(learner, ended, support.images[0], query.images[0], query.labels[0]).backward()
    for label, value in learner.named_parameters():
        assert value.grad.abs().max() > 0, f"{label} has no gradient"
        close(found[label], value.grad)


def test_meta_sgd_has_a_rate_for_every_parameter_and_for_every_feature_of_the_head():
    learner = tiny("meta-sgd")
    for name, value in learner.network.named_parameters():
        assert learner.rate(name).shape == value.shape
    assert learner.rate(WEIGHT).shape == (learner.network.features,)
    assert learner.rate(BIAS).shape == ()


class Whole(nn.Module):
    """Network and head as one module, with features minus the mean over the images `centred_by`."""

    def __init__(self, network: nn.Module, features: int) -> None:
        super().__init__()
        self.network, self.head = network, nn.Linear(features, 2, dtype=torch.float64)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor, centred_by: Tensor) -> Tensor:
        return self.head(self.network(images) - self.network(centred_by).mean(0))


def with_higher(model: Whole, support: Support, query: Support, steps: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    with higher.innerloop_ctx(model, optimizer, copy_initial_weights=False) as (functional, inner):
        for _ in range(steps):
            inner.step(cross_entropy(functional(support.images[0], support.images[0]), support.labels[0]))
        cross_entropy(functional(query.images[0], support.images[0]), query.labels[0]).backward()


def with_torchopt(model: Whole, support: Support, query: Support, steps: int) -> None:
    inner = torchopt.MetaSGD(model, lr=RATE)
    for _ in range(steps):
        inner.step(cross_entropy(model(support.images[0], support.images[0]), support.labels[0]))
    cross_entropy(model(query.images[0], support.images[0]), query.labels[0]).backward()


@pytest.mark.parametrize("peer", [with_higher, with_torchopt])
def test_the_meta_gradients_of_maml_are_those_of_other_libraries(peer):
    learner, support, query = adapted_for_one_task("maml", steps=5)
    with torch.no_grad():
        for value in learner.log_rates.values():
            value.fill_(torch.tensor(RATE).log())
    found = meta_gradients(learner, support, query)
    learner.zero_grad()
    start = dict(learner.network.named_parameters())
    peer(Whole(learner.network, learner.network.features), support, query, 5)
    for name, value in start.items():
        assert value.grad.abs().max() > 1e-6
        close(found[f"network.{name}"], value.grad, 1e-7)


def test_leaving_out_what_the_first_step_cannot_change_changes_nothing():
    gradients = []
    for first in (HEAD, None):
        learner, support, query = adapted_for_one_task("maml", steps=3)
        learner.first = first
        gradients.append(meta_gradients(learner, support, query))
    for name, value in gradients[0].items():
        close(value, gradients[1][name])


def test_the_gradient_of_reptile_is_where_it_starts_less_where_it_ends():
    batch = episodes(3)
    learner = tiny("reptile", steps=4, learning_rate=RATE).train()
    losses, _ = learner.scores(batch)
    losses.sum().backward()
    expected = {name: torch.zeros_like(value) for name, value in learner.network.named_parameters()}
    for task in range(3):
        sides = [one_task(batch.support, task), one_task(batch.query, task)]
        ended, _ = by_hand(learner, sides, learner.rates.__getitem__, 4, order=1)
        for name, value in learner.network.named_parameters():
            expected[name] += (value - ended[name]).detach()
        adapted = learner.adapt(sides[0])
        close(losses[task], cross_entropy(adapted(sides[1].images)[0], sides[1].labels[0]))
    for name, value in learner.network.named_parameters():
        assert value.grad.abs().max() > 1e-6
        close(value.grad, expected[name])


def smooth() -> Learner:
    """Make an iMAML that converges, on a network without kinks: at a minimum on a kink no gradient is zero."""
    learner = tiny("imaml", steps=40, solver_steps=25, regularisation=0.05).train()
    for block in learner.network.blocks:
        block[2] = nn.Softplus()
    return learner


@pytest.mark.slow
def test_the_implicit_meta_gradient_equals_finite_differences_where_the_inner_loop_has_converged():
    learner, batch, step = smooth(), episodes(1), 1e-5
    learner.engine = Engine("vmap")
    learner.scores(batch)[0].mean().backward()
    generator = torch.Generator().manual_seed(1)
    for part in (learner.network.blocks[0], learner.network.blocks[3], learner.log_strengths):
        values = list(part.parameters())
        directions = [torch.randn(value.shape, generator=generator, dtype=value.dtype) for value in values]
        losses = []
        with torch.no_grad():
            for sign in (1, -2, 1):
                for value, direction in zip(values, directions, strict=True):
                    value += sign * step * direction
                losses.append(learner.scores(batch)[0].mean())
        expected = (losses[0] - losses[1]) / (2 * step)
        found = sum((value.grad * direction).sum() for value, direction in zip(values, directions, strict=True))
        assert found.abs() > 1e-6
        torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-4)


def test_the_implicit_meta_gradient_is_the_same_batched_and_in_a_loop():
    gradients = []
    for engine in (Engine("loop"), Engine("vmap")):
        learner = tiny("imaml", steps=6).train()
        learner.engine = engine
        learner.scores(episodes(3))[0].mean().backward()
        gradients.append([value.grad for value in learner.parameters()])
    for one, other in zip(*gradients, strict=True):
        close(one, other)


@pytest.mark.parametrize("engine", [Engine("loop"), Engine("vmap")])
def test_the_graph_of_imaml_does_not_grow_with_the_steps(engine):
    def nodes(name: str, steps: int) -> int:
        learner = tiny(name, steps=steps).train()
        learner.engine = engine
        seen, to_visit = set(), [learner.scores(episodes(2))[0].mean().grad_fn]
        while to_visit:
            node = to_visit.pop()
            if node is not None and node not in seen:
                seen.add(node)
                to_visit += [before for before, _ in node.next_functions]
        return len(seen)

    assert nodes("imaml", 2) == nodes("imaml", 8)
    assert nodes("maml", 2) < nodes("maml", 8)


def test_proto_maml_without_steps_is_a_prototypical_network():
    batch = episodes(3)
    learner = tiny("proto-maml", learning_rate=1e-30, stir=False)
    protonet = tiny("protonet")
    protonet.load_state_dict({**learner.network.state_dict(prefix="network."), "log_scale": torch.tensor(0.0)})
    close(
        learner.adapt(batch.support).probabilities(batch.query.images),
        protonet.adapt(batch.support).probabilities(batch.query.images),
    )


def test_a_seed_makes_equal_networks_for_all_that_start_alike():
    first = create("maml", input_spec=SHAPE, width=8, seed=3).network.state_dict()
    for name in ("fomaml", "anil", "meta-sgd", "reptile", "imaml", "proto-maml", "metal", "finetune"):
        other = create(name, input_spec=SHAPE, width=8, seed=3).network.state_dict()
        assert all(torch.equal(value, other[key]) for key, value in first.items())
