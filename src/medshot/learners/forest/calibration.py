"""Class probabilities of a forest, corrected for what so few samples and trees can say."""

from jaxtyping import Float
from torch import Tensor


def calibrated(
    probabilities: Float[Tensor, "queries ways"], temperature: Float[Tensor, ""], smoothing: Float[Tensor, ""]
) -> Float[Tensor, "queries ways"]:
    """Logits τ log((p + ε) / (1 + K ε)) of the K classes.

    The order of the classes stays as it is. ε keeps a class that no tree has voted for from being impossible; the
    larger it is, the nearer are all classes to 1 / K. τ above 1 makes up for averaging, which leaves a forest less sure
    than it should be (Niculescu-Mizil and Caruana, ICML 2005).

    Args:
        probabilities: of every query.
        temperature: τ, positive.
        smoothing: ε, positive.
    """
    return temperature * ((probabilities + smoothing) / (1 + probabilities.shape[1] * smoothing)).log()
