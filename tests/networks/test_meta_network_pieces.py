from collections.abc import Callable

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from medshot.networks.meta_network import linear_pieces

Parameters = list[Tensor]


def plain(inputs: Tensor, parameters: Parameters) -> Tensor:
    hidden_weight, hidden_bias, output_weight, output_bias = parameters
    return torch.relu(inputs[:, None] @ hidden_weight.T + hidden_bias) @ output_weight[0] + output_bias


def piecewise(inputs: Tensor, parameters: Parameters) -> Tensor:
    pieces = linear_pieces(*parameters)
    return pieces.evaluate(inputs, pieces.find(inputs))


@st.composite
def networks(draw: st.DrawFn, numbers: st.SearchStrategy[float]) -> Parameters:
    units = draw(st.integers(1, 12))

    def tensor(*shape: int) -> Tensor:
        count = torch.Size(shape).numel()
        values = draw(st.lists(numbers, min_size=count, max_size=count))
        return torch.tensor(values, dtype=torch.float64).reshape(shape).requires_grad_()

    return [tensor(units, 1), tensor(units), tensor(1, units), tensor(1)]


def vectors(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[Tensor]:
    return st.lists(numbers, min_size=1, max_size=20).map(
        lambda values: torch.tensor(values, dtype=torch.float64, requires_grad=True)
    )


# Powers of two make every kink exact: inputs lie on kinks, kinks coincide, and many units have none.
exact = st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0])
exact_inputs = st.sampled_from([0.0, -0.0, 1e-300, -1e-300, 1e6, -1e6] + [n / 4 for n in range(-18, 19)])
real = st.one_of(exact, st.floats(-3, 3, allow_subnormal=False))  # the kink of a subnormal bias rounds to zero
real_inputs = st.one_of(exact_inputs, st.floats(-1e3, 1e3))


def off_kinks(inputs: Tensor, parameters: Parameters) -> Tensor:
    """Return the inputs at which rounding cannot make a unit active or inactive."""
    weight, bias = parameters[0].detach()[:, 0], parameters[1].detach()
    product = inputs.detach()[:, None] * weight
    certain = (product + bias).abs() > 1e-9 * (product.abs() + bias.abs())
    certain |= (bias == 0) & ((weight == 0) | (inputs.detach()[:, None] == 0))
    return inputs.detach()[certain.all(1)].requires_grad_()


def derivatives(
    function: Callable[[Tensor, Parameters], Tensor], inputs: Tensor, parameters: Parameters
) -> list[Tensor]:
    """Return derivatives of a sum of tanh in inputs and parameters, then those of functions of these."""
    wanted = (inputs, *parameters)
    weights = torch.linspace(1, 2, len(inputs), dtype=inputs.dtype)
    value = (weights * torch.tanh(function(inputs, parameters))).sum()
    first = torch.autograd.grad(value, wanted, create_graph=True)
    of_inputs = (weights * first[0].sin()).sum()
    of_all = torch.cat([gradient.flatten() for gradient in first[1:]])
    # The cosine of a number of a million would make much of its last digit, which rounding decides.
    of_parameters = (of_all / of_all.detach().abs().max().clamp(min=1)).cos().sum()
    second = torch.autograd.grad(of_inputs, wanted, retain_graph=True, materialize_grads=True)
    mixed = torch.autograd.grad(of_parameters, wanted, materialize_grads=True)
    return [*first, *second, *mixed]


def assert_same_derivatives(inputs: Tensor, parameters: Parameters) -> None:
    expected = derivatives(plain, inputs, parameters)
    found = derivatives(piecewise, inputs, parameters)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10 * (1 + float(other.detach().abs().max())))


@settings(deadline=None)
@given(networks(exact), vectors(exact_inputs))
def test_same_value_and_derivatives_on_kinks_ties_and_flat_units(parameters: Parameters, inputs: Tensor):
    torch.testing.assert_close(piecewise(inputs, parameters), plain(inputs, parameters), rtol=1e-12, atol=1e-12)
    assert_same_derivatives(inputs, parameters)


@settings(deadline=None)
@given(networks(real), vectors(real_inputs))
def test_same_derivatives_off_kinks(parameters: Parameters, inputs: Tensor):
    inputs = off_kinks(inputs, parameters)
    if len(inputs):
        assert_same_derivatives(inputs, parameters)


@settings(deadline=None)
@given(networks(st.floats(-1e6, 1e6)), vectors(st.floats(-1e30, 1e30)))
def test_same_value_at_any_magnitude(parameters: Parameters, inputs: Tensor):
    size = plain(inputs.abs(), [parameter.abs() for parameter in parameters])
    difference = (piecewise(inputs, parameters) - plain(inputs, parameters)).abs()
    assert bool((difference <= 1e-13 * size).all())


@settings(deadline=None)
@given(networks(st.sampled_from([0.0, 5e-324, -5e-324, 1e-300, -1e-300, 1.0, -1.0])), vectors(exact_inputs))
def test_kinks_beyond_the_largest_number_leave_everything_finite(parameters: Parameters, inputs: Tensor):
    torch.testing.assert_close(piecewise(inputs, parameters), plain(inputs, parameters), rtol=1e-12, atol=1e-12)
    assert all(bool(derivative.isfinite().all()) for derivative in derivatives(piecewise, inputs, parameters))


def test_single_precision_is_as_exact_as_the_plain_network():
    torch.manual_seed(0)
    parameters = [torch.randn(shape) for shape in [(128, 1), (128,), (1, 128), (1,)]]
    inputs = 3 * torch.randn(20_000)
    truth = plain(inputs.double(), [parameter.double() for parameter in parameters])
    error = (piecewise(inputs, parameters) - truth).abs().max()
    assert error <= (plain(inputs, parameters) - truth).abs().max()
