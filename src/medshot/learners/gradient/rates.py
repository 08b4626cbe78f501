"""Inner learning rates: where they start, and how they are learned."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import nn

from medshot.errors import InputError
from medshot.imaging import GridShape, InputShape
from medshot.learners.gradient.base import HEAD

ON_PIXELS, ON_FEATURES = 100, 300
"""The head's rate in units of the network's. On an encoder's features, of norm 4, five steps from zero at rate 3 come
to the loss and accuracy of scikit-learn's `LogisticRegression(C=1)`."""


def first_rates(adapting: Iterable[str], shape: InputShape, learning_rate: float) -> dict[str, float]:
    """Where the rate of each parameter tensor starts: of those of the network that adapt, then of the head.

    Raises:
        InputError: `learning_rate` is not a number above 0.
    """
    if not 0 < learning_rate < math.inf:
        raise InputError(f"learning_rate is {learning_rate}; give a finite number above 0.")
    factor = ON_PIXELS if isinstance(shape, GridShape) else ON_FEATURES
    return dict.fromkeys(adapting, learning_rate) | dict.fromkeys(HEAD, factor * learning_rate)


def learned_logarithms(values: Mapping[str, float]) -> nn.ParameterDict:
    """The logarithm of each value as a parameter, by its name's `key`."""
    return nn.ParameterDict({key(name): nn.Parameter(torch.tensor(math.log(value))) for name, value in values.items()})


def key(name: str) -> str:
    """`ParameterDict` takes no dots in its keys."""
    return name.replace(".", "/")
