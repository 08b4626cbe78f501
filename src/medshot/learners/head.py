"""The linear head that is made for each task: one row per class, all rows starting equal.

Rows that start equal make any number of classes work and make relabelling the support relabel the output. They start
at zero: any other common row would add the same to every logit and change neither loss nor gradient.
"""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from medshot.tasks import Support

WEIGHT, BIAS = "head.weight", "head.bias"


def new_head(support: Support, features: int) -> dict[str, Float[Tensor, "ways *features"]]:
    """The head every task starts from: weight `(ways, features)` and bias `(ways,)`, zero."""
    weight = support.weights.new_zeros(support.ways, features)
    return {WEIGHT: weight, BIAS: weight.new_zeros(support.ways)}


def apply_head(
    parameters: Mapping[str, Tensor], features: Float[Tensor, "samples features"]
) -> Float[Tensor, "samples ways"]:
    """Logits of the head among `parameters`."""
    return features @ parameters[WEIGHT].T + parameters[BIAS]


def is_head(name: str) -> bool:
    """Whether a parameter of that name belongs to the head."""
    return name in (WEIGHT, BIAS)
