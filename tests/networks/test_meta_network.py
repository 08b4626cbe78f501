from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import functional_call, grad, vmap

from medshot.networks import MetaNetwork, meta_network


@pytest.fixture
def network() -> MetaNetwork:
    return trained(0)


def trained(seed: int) -> MetaNetwork:
    """Make a meta-network in double precision that is no longer zero."""
    torch.manual_seed(seed)
    network = MetaNetwork().double()
    torch.nn.init.normal_(network.output.weight, std=0.3)
    torch.nn.init.normal_(network.output.bias, std=0.3)
    return network


def plain(network: MetaNetwork, inputs: Tensor) -> Tensor:
    return torch.tanh(network.output(torch.relu(network.hidden(inputs.unsqueeze(-1)))).squeeze(-1))


class Plain(MetaNetwork):
    """The meta-network, evaluated plainly for inputs of any size."""

    def forward(self, inputs: Tensor) -> Tensor:
        return plain(self, inputs)


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


def test_published_size():
    assert sum(parameter.numel() for parameter in MetaNetwork().parameters()) == 385


@pytest.mark.parametrize("count", [10, 10_000])
def test_starts_at_zero_everywhere_yet_can_learn(count: int):
    network = MetaNetwork()
    inputs = 100 * torch.randn(count)
    value = network(inputs)
    assert bool((value == 0).all())
    assert bool((network.propose(inputs) == 0).all())
    value.sum().backward()
    assert network.output.weight.grad is not None
    assert bool((network.output.weight.grad != 0).any())


@pytest.mark.parametrize(
    "shape",
    [(), (0,), (7,), (3, 5), (meta_network.LARGE,), (2, 3, meta_network.LARGE), (meta_network.BLOCK + 1,)],
)
def test_acts_on_each_coordinate_of_any_shape(network: MetaNetwork, shape: tuple[int, ...]):
    inputs = random(*shape)
    with torch.no_grad():
        found, proposed = network(inputs), network.propose(inputs)
    assert found.shape == proposed.shape == shape
    some = torch.arange(inputs.numel())[:: -(-inputs.numel() // 10_000) or 1]
    expected = plain(network, inputs.flatten()[some])
    for values in (found, proposed):
        torch.testing.assert_close(values.flatten()[some], expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(values.flatten()[-1:], plain(network, inputs.flatten()[-1:]), rtol=0, atol=1e-12)


def test_takes_transposed_tensors(network: MetaNetwork):
    inputs = random(40, 50).T
    torch.testing.assert_close(network(inputs), plain(network, inputs), rtol=0, atol=1e-12)
    torch.testing.assert_close(network.propose(inputs), network(inputs).detach(), rtol=0, atol=1e-12)


@given(
    seed=st.integers(0, 1000),
    scale=st.sampled_from([1e-6, 1e-3, 1.0, 1e3]),
    count=st.sampled_from([1, 50, 3000]),
)
@settings(max_examples=25, deadline=None)
def test_parameter_gradient_is_that_of_the_plain_network(seed: int, scale: float, count: int):
    network = trained(seed)
    gradient, weight = scale * random(count), random(count)
    expected = torch.autograd.grad((weight * plain(network, gradient)).sum(), list(network.parameters()))
    found = network.parameter_gradient(gradient, weight)
    assert list(found) == [name for name, _ in network.named_parameters()]
    for one, other in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


def test_parameter_gradient_adds_up_over_blocks_and_leaves_the_network_alone(network: MetaNetwork):
    gradient, weight = random(meta_network.BLOCK + 37), random(meta_network.BLOCK + 37)
    with torch.no_grad():
        in_blocks = network.parameter_gradient(gradient, weight)
    parts = [network.parameter_gradient(gradient[part], weight[part]) for part in (slice(1000), slice(1000, None))]
    for name, found in in_blocks.items():
        torch.testing.assert_close(found, parts[0][name] + parts[1][name], rtol=1e-9, atol=1e-9)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_single_precision_sums_lose_nothing():
    single, double = trained(1).float(), trained(1)
    gradient, weight = torch.randn(500_000), torch.rand(500_000)
    found = single.parameter_gradient(gradient, weight)
    expected = double.parameter_gradient(gradient.double(), weight.double())
    for name in found:
        torch.testing.assert_close(found[name].double(), expected[name], rtol=1e-5, atol=1e-5 * 500_000**0.5)


@pytest.mark.parametrize("in_dim", [0, 1])
@pytest.mark.parametrize("count", [60, meta_network.LARGE + 60], ids=["plain", "piecewise"])
def test_second_order_meta_gradient_over_tasks_is_that_of_a_loop(network: MetaNetwork, count: int, in_dim: int):
    """Differentiating through an inner step guided by the meta-network, piecewise or plain."""

    def inner_loss(theta: Tensor, task: Tensor) -> Tensor:
        return torch.tanh(theta * task).square().sum()

    def outer_loss(used: MetaNetwork, phi: dict[str, Tensor], theta: Tensor, task: Tensor) -> Tensor:
        gradient = grad(inner_loss)(theta, task)
        return inner_loss(theta - 0.1 * (gradient + functional_call(used, phi, (gradient,))), task + 1)

    phi = {name: parameter.detach() for name, parameter in network.named_parameters()}
    theta, tasks = random(count), random(4, count)
    loop = [grad(partial(outer_loss, Plain()), argnums=(0, 1))(phi, theta, task) for task in tasks]
    both = grad(partial(outer_loss, network), argnums=(0, 1))
    of_phi, of_theta = vmap(both, in_dims=(None, None, in_dim))(phi, theta, tasks.movedim(0, in_dim))
    torch.testing.assert_close(of_theta, torch.stack([each[1] for each in loop]), rtol=1e-10, atol=1e-10)
    for name in phi:
        expected = torch.stack([each[0][name] for each in loop])
        torch.testing.assert_close(of_phi[name], expected, rtol=1e-10, atol=1e-10)


def test_meta_networks_can_differ_between_tasks(network: MetaNetwork):
    phi = {name: torch.stack([value.detach(), value.detach() + 0.1]) for name, value in network.named_parameters()}
    inputs = random(2, meta_network.LARGE)
    found = vmap(lambda phi, inputs: functional_call(network, phi, (inputs,)))(phi, inputs)
    for index in range(2):
        network.load_state_dict({name: value[index] for name, value in phi.items()})
        torch.testing.assert_close(found[index], plain(network, inputs[index]), rtol=0, atol=1e-12)
