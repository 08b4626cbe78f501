"""METAL's meta-network: a rule from each coordinate of a gradient to a change of that coordinate."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class Pieces:
    """The lines of a piecewise-linear function; piece i reaches from `starts[i - 1]` to before `starts[i]`.

    Slopes and intercepts are in double precision, so that the sums over millions of inputs which a backward
    pass makes lose nothing. They are differentiable functions of the network's parameters, and everything
    done with them here is made of differentiable operations: gradients of any order, `torch.func` and `vmap`
    work as with the plain network.
    """

    starts: Float[Tensor, " kinks"]
    slopes: Float64[Tensor, " kinks+1"]
    intercepts: Float64[Tensor, " kinks+1"]

    def find(self, inputs: Float[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """Return the piece on which each input lies."""
        return torch.bucketize(inputs.detach().contiguous(), self.starts, right=True)

    def evaluate(self, inputs: Float[Tensor, "*shape"], piece: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the function's value at each input, given the piece on which it lies, in the inputs' precision."""
        flat = piece.flatten()
        slope, intercept = self.slopes.gather(0, flat), self.intercepts.gather(0, flat)
        value = slope * inputs.flatten().double() + intercept
        return value.to(inputs.dtype).reshape(inputs.shape)


def linear_pieces(
    hidden_weight: Float[Tensor, "units 1"],
    hidden_bias: Float[Tensor, " units"],
    output_weight: Float[Tensor, "1 units"],
    output_bias: Float[Tensor, "1"],
) -> Pieces:
    """Return the pieces of x -> output_weight · relu(hidden_weight x + hidden_bias) + output_bias.

    A unit of weight zero has no kink: it is constant, active on all pieces or on none. Exactly on its kink a
    unit counts as inactive, as in PyTorch, where the derivative of ReLU at zero is zero.
    """
    weight, bias = hidden_weight.flatten(), hidden_bias
    rising, falling = weight.detach() > 0, weight.detach() < 0
    kinks = -bias.detach() / weight.detach()
    infinity = torch.full_like(kinks, torch.inf)
    # A unit is inactive on its kink: a rising one becomes active at the next number, a falling one ends at the kink.
    starts = torch.where(rising, torch.nextafter(kinks, infinity), torch.where(falling, kinks, infinity))
    starts, order = starts.sort()
    rank = order.argsort()
    passed = torch.arange(len(rank) + 1, device=rank.device)[:, None] > rank
    on = torch.where(rising, passed, torch.where(falling, ~passed, bias.detach() > 0)).double()
    output = output_weight.flatten().double()
    return Pieces(
        starts=starts,
        slopes=on @ (output * weight.double()),
        intercepts=on @ (output * bias.double()) + output_bias.double(),
    )


UNITS = 128

LARGE = 1024
"""The number of inputs from which the piecewise evaluation is faster than the plain one."""

BLOCK = 2**20
"""Inputs evaluated at once if no graph is kept: about 50 MB in addition to the result, and few thread starts."""


class MetaNetwork(nn.Module):
    """Dense(128)-ReLU-Dense(1)-tanh on one input, applied to each coordinate of a tensor: 385 parameters.

    The last layer starts at zero, so the network is zero everywhere and an inner loop guided by it starts as
    plain gradient descent: meta-training begins at a rule that is known to work instead of at a random one.
    The hidden layer starts at random, so the last layer has a gradient from the first step on, and the hidden
    layer from the second.

    A tensor of many coordinates is evaluated piece by piece (`linear_pieces`), a small one plainly; both are
    the same function with the same gradients, up to rounding.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(1, UNITS)
        self.output = nn.Linear(UNITS, 1)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, inputs: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the network's value, from -1 to 1, at each coordinate; differentiable any number of times."""
        if inputs.numel() < LARGE:
            return torch.tanh(self.output(torch.relu(self.hidden(inputs[..., None])))[..., 0])
        pieces = self._pieces()
        return torch.tanh(pieces.evaluate(inputs, pieces.find(inputs)))

    @torch.no_grad()
    def propose(self, gradient: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return the same as `forward`, without a graph and block by block, so that it needs little memory."""
        pieces = self._pieces()
        blocks = gradient.flatten().split(BLOCK)
        proposal = torch.empty(gradient.numel(), dtype=gradient.dtype, device=gradient.device)
        for block, result in zip(blocks, proposal.split(BLOCK), strict=True):
            torch.tanh(pieces.evaluate(block, pieces.find(block)), out=result)
        return proposal.reshape(gradient.shape)

    def parameter_gradient(
        self, gradient: Float[Tensor, "*shape"], weight: Float[Tensor, "*shape"]
    ) -> dict[str, Tensor]:
        """Return the gradient of Σ weight · forward(gradient) with respect to each parameter, by its name.

        This is what a first-order meta step needs: with θ' = θ − η (g + β m(g)) and a loss L at θ', the
        gradient of L with respect to the meta-network is that of Σ weight · m(g) at weight = −η β ∂L/∂θ'. On
        one piece the network is one line under the tanh, so two sums per piece hold all that the inputs
        contribute, and they are taken block by block, in double precision.
        """
        parameters = {name: value.detach().requires_grad_() for name, value in self.named_parameters()}
        with torch.enable_grad():
            pieces = linear_pieces(*parameters.values())
        for_slopes, for_intercepts = torch.zeros_like(pieces.slopes), torch.zeros_like(pieces.intercepts)
        with torch.no_grad():
            for inputs, factor in zip(gradient.flatten().split(BLOCK), weight.flatten().split(BLOCK), strict=True):
                piece = pieces.find(inputs)
                slope = 1 - torch.tanh(pieces.evaluate(inputs, piece)).double().square()
                share = factor.double() * slope
                for_intercepts += torch.bincount(piece, share, UNITS + 1)
                for_slopes += torch.bincount(piece, share * inputs, UNITS + 1)
        gradients = torch.autograd.grad(
            (pieces.slopes, pieces.intercepts), list(parameters.values()), (for_slopes, for_intercepts)
        )
        return dict(zip(parameters, gradients, strict=True))

    def _pieces(self) -> Pieces:
        return linear_pieces(self.hidden.weight, self.hidden.bias, self.output.weight, self.output.bias)
