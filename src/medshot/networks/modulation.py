"""Feature-wise linear modulation (FiLM; Perez et al., 2018): a scale and a shift for each channel of a layer."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

Modulation = Sequence[tuple[Float[Tensor, " _"], Float[Tensor, " _"]]]


def modulate(
    values: Float[Tensor, "batch channels *spatial"], by: tuple[Tensor, Tensor] | None
) -> Float[Tensor, "batch channels *spatial"]:
    """(1 + γ) ⊙ values + δ along the channels; the values themselves where `by` is None.

    Args:
        values: of one layer.
        by: γ and δ, each `(channels,)`; zeros change nothing.
    """
    if by is None:
        return values
    scale, shift = (part.view(-1, *[1] * (values.ndim - 2)) for part in by)
    return values * (1 + scale) + shift
