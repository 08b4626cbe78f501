"""Exact evaluation, piece by piece, of a network of one input, one hidden ReLU layer and one output.

Such a network is piecewise linear. With n hidden units, x -> w2 · relu(w1 x + b1) + b2 has at most n kinks,
one where each w1 x + b1 crosses zero, and is a straight line between them. One sort of the kinks and one
look-up per input then replace n products per input, and the result is the same function: nothing is
approximated.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor


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
        """The piece on which each input lies."""
        return torch.bucketize(inputs.detach().contiguous(), self.starts, right=True)

    def evaluate(self, inputs: Float[Tensor, "*shape"], piece: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The function's value at each input, given the piece on which it lies, in the inputs' precision."""
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
    """The pieces of x -> output_weight · relu(hidden_weight x + hidden_bias) + output_bias.

    A unit whose weight is zero has no kink: it is constant, and on all pieces or none. Exactly on its kink a
    unit counts as off, as in PyTorch, where the derivative of ReLU at zero is zero.
    """
    weight, bias = hidden_weight.flatten(), hidden_bias
    rising, falling = weight.detach() > 0, weight.detach() < 0
    kinks = -bias.detach() / weight.detach()
    infinity = torch.full_like(kinks, torch.inf)
    # Off on its kink, a rising unit comes on at the next number; a falling one goes off on the kink itself.
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
