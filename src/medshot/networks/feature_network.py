"""A small base network over the features of a frozen encoder."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from medshot.imaging import FeatureInput

Modulation = Sequence[tuple[Float[Tensor, " _"], Float[Tensor, " _"]]]


def modulate(
    values: Float[Tensor, "batch channels *spatial"], by: tuple[Tensor, Tensor] | None
) -> Float[Tensor, "batch channels *spatial"]:
    """Return (1 + γ) ⊙ values + δ along the channels; the values themselves if `by` is None.

    Args:
        values: of one layer.
        by: γ and δ, each `(channels,)`; zeros change nothing.
    """
    if by is None:
        return values
    scale, shift = (part.view(-1, *[1] * (values.ndim - 2)) for part in by)
    return values * (1 + scale) + shift


WEIGHTS_PACE, BOTTLENECK_PACE = 10.0, 0.03
"""The factors by which the weights of the blocks and the bottleneck learn faster or slower than the rest.

A dozen data sets suffice to learn the weights of the blocks; a free map of thousands of features overfits them.
"""


class FeatureNetwork(nn.Module):
    """A learned weight for each block of features, and a bottleneck beside it (Houlsby et al., 2019).

    z = w ⊙ x + a U relu(V (w ⊙ x)) with w = exp(b ω). The weights start at 1 and U at zero, so that meta-training
    begins at the encoder's own features and departs from them only as far as other tasks ask; ω, U and V are learned,
    and b is large and a small, so that under Adam the weights learn fast and the bottleneck slowly.

    Args:
        input_spec: the features it takes.
        width: units of the bottleneck.
    """

    def __init__(self, input_spec: FeatureInput, width: int = 64) -> None:
        super().__init__()
        self.input_spec = input_spec
        self.features = sum(input_spec.blocks)
        self.modulated: Sequence[int] = (len(input_spec.blocks), width)
        self.log_weights = nn.Parameter(torch.zeros(len(input_spec.blocks)))
        self.down = nn.Linear(self.features, width)
        self.up = nn.Linear(width, self.features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(
        self, features: Float[Tensor, "batch features"], modulation: Modulation | None = None
    ) -> Float[Tensor, "batch features"]:
        """Return the weighted features, moved by the bottleneck."""
        weights = (WEIGHTS_PACE * self.log_weights).exp()
        first, second = modulation or (None, None)
        weights = modulate(weights[None], first)[0]
        weighted = features * self._spread(weights)
        moved = self.up(functional.relu(modulate(self.down(weighted), second)))
        return weighted + BOTTLENECK_PACE * moved

    def _spread(self, weights: Float[Tensor, " blocks"]) -> Float[Tensor, " features"]:
        """Return each block's weight once for each of its features."""
        return torch.cat([weight.expand(size) for weight, size in zip(weights, self.input_spec.blocks, strict=True)])
