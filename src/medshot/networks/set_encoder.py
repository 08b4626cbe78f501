"""A set encoder: a description of a labelled set in, the modulation of a base network's layers out."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from medshot.networks.modulation import Modulation


class SetEncoder(nn.Module):
    """One hidden layer, then γ and δ of every layer that is modulated (Requeima et al., 2019).

    The last layer starts at zero, so that it begins by modulating nothing.

    Args:
        inputs: numbers that describe a set.
        layers: channels of each modulated layer.
        width: hidden units.
    """

    def __init__(self, inputs: int, layers: Sequence[int], width: int = 32) -> None:
        super().__init__()
        self.sizes = [size for channels in layers for size in (channels, channels)]
        self.hidden = nn.Linear(inputs, width)
        self.output = nn.Linear(width, sum(self.sizes))
        self.activation = nn.GELU()
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, description: Float[Tensor, " inputs"]) -> Modulation:
        """γ and δ of each layer."""
        parts = self.output(self.activation(self.hidden(description))).split(self.sizes)
        return list(zip(parts[::2], parts[1::2], strict=True))
