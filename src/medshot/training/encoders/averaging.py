"""What training across tasks taught, without forgetting what the network could do before."""

from torch import Tensor

from medshot.errors import MedshotError
from medshot.networks.encoders.encoder import Weights


def averaged(start: Weights, trained: Weights, kept: float) -> dict[str, Tensor]:
    """The weights on the line from those before training to those after it, as they are written: in float16.

    A network that is trained further is better at what it is trained on and worse at the rest; one on the way between
    keeps most of both (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022, equation 1).

    Args:
        start: before training; may hold more.
        trained: after it.
        kept: how much of the start, 0 to 1.

    Raises:
        MedshotError: a weight is too large for float16.
    """
    found = {}
    for name, value in trained.items():
        if value.is_floating_point():
            value = (kept * start[name].to(value) + (1 - kept) * value).half()
            if not value.isfinite().all():
                raise MedshotError(f"Weights '{name}' grew too large for float16; lower the learning rate.")
        found[name] = value
    return found
