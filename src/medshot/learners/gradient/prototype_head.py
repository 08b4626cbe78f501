"""The linear head that is a prototypical network's classifier."""

from jaxtyping import Float
from torch import Tensor

from medshot.learners.head import BIAS, WEIGHT
from medshot.learners.prototypes import class_means
from medshot.tasks import Support


def prototype_head(
    features: Float[Tensor, "samples features"], support: Support
) -> dict[str, Float[Tensor, "ways *features"]]:
    """Weight 2 μ_c and bias −|μ_c|² (Snell et al., 2017, equation 8; Triantafillou et al., 2020, section 3).

    With them the logit of x is −|x − μ_c|² but for |x|², which all classes have in common.

    Args:
        features: of the support's images.
        support: their labels and weights.
    """
    means = class_means(features, support.labels, support.weights, support.ways)
    return {WEIGHT: 2 * means, BIAS: -means.square().sum(1)}
