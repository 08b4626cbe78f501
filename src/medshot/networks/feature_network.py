"""A small base network over features of an encoder that stays as it is."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from medshot.imaging import FeatureShape
from medshot.networks.modulation import Modulation, modulate


class FeatureNetwork(nn.Module):
    """A learned weight for each block of features, and a bottleneck beside it (Houlsby et al., 2019).

    z = w ⊙ x + U relu(V (w ⊙ x)). The weights start at 1 and U at zero, so that meta-training begins at the encoder's
    own features and departs from them only as far as other tasks say.

    Args:
        shape: the features it takes.
        width: units of the bottleneck.
    """

    def __init__(self, shape: FeatureShape, width: int = 64) -> None:
        super().__init__()
        self.shape = shape
        self.features = sum(shape.blocks)
        self.modulated: Sequence[int] = (len(shape.blocks), width)
        self.log_weights = nn.Parameter(torch.zeros(len(shape.blocks)))
        self.down = nn.Linear(self.features, width)
        self.up = nn.Linear(width, self.features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(
        self, features: Float[Tensor, "batch features"], modulation: Modulation | None = None
    ) -> Float[Tensor, "batch features"]:
        """The weighted features, moved by the bottleneck."""
        weights = self.log_weights.exp()
        first, second = modulation or (None, None)
        weights = modulate(weights[None], first)[0]
        weighted = features * self._spread(weights)
        return weighted + self.up(functional.relu(modulate(self.down(weighted), second)))

    def _spread(self, weights: Float[Tensor, " blocks"]) -> Float[Tensor, " features"]:
        """Each block's weight once for each of its features."""
        return torch.cat([weight.expand(size) for weight, size in zip(weights, self.shape.blocks, strict=True)])
