"""Settings of training an encoder: how long, on which batches, and which parameters."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from medshot.encoders.lite0 import Lite0
from medshot.errors import InputError
from medshot.training.pretraining.objectives import OBJECTIVES

RANK = 8


class LowRank(nn.Module):
    """A weight plus a change of low rank that starts at zero (Hu et al., LoRA, ICLR 2022, equation 3).

    Args:
        weight: the weight of a convolution of 1 × 1, `(channels out, channels in, 1, 1)`.
    """

    def __init__(self, weight: Float[Tensor, "out channels 1 1"]) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(RANK, weight.shape[1]) / weight.shape[1] ** 0.5)
        self.up = nn.Parameter(torch.zeros(weight.shape[0], RANK))

    def forward(self, weight: Float[Tensor, "out channels 1 1"]) -> Float[Tensor, "out channels 1 1"]:
        """Return the changed weight."""
        return weight + (self.up @ self.down)[:, :, None, None]


def train_modulation(network: Lite0, frozen: int) -> None:
    """Train only scale and shift of batch norm in every channel (FiLM; Perez et al., AAAI 2018, equation 1)."""
    network.unfreeze(frozen)
    for module in network.modules():
        if not isinstance(module, nn.BatchNorm2d):
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)


def train_low_rank(network: Lite0, frozen: int) -> None:
    """Train a change of low rank to every convolution of 1 × 1 after the frozen blocks; `fold` adds it."""
    network.unfreeze(frozen)
    changed = [module for module in network.modules() if isinstance(module, nn.Conv2d) and _is_pointwise(module)]
    network.requires_grad_(False)
    for module in changed:
        parametrize.register_parametrization(module, "weight", LowRank(module.weight))


def fold(network: Lite0) -> None:
    """Add the changes of low rank to the weights."""
    for module in list(network.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)


PARAMETERS: Mapping[str, Callable[[Lite0, int], None]] = {
    "all": Lite0.unfreeze,
    "modulation": train_modulation,
    "low-rank": train_low_rank,
}


def _is_pointwise(module: nn.Conv2d) -> bool:
    return module.kernel_size == (1, 1) and module.groups == 1 and module.weight.requires_grad


@dataclass(frozen=True)
class EncoderSettings:
    """The settings of training an encoder.

    Args:
        objective: a key of `OBJECTIVES`.
        parameters: the parameters that are trained, a key of `PARAMETERS`.
        steps: of AdamW (Loshchilov and Hutter, 2019).
        tasks: tasks in the batch of a step.
        shots: support patients per class of each of them.
        queries: query patients per class of each of them.
        ways: the most classes of each of them.
        size: side of the training pictures in pixels; the encoder serves larger ones afterwards.
        frozen: number of the network's first blocks that are not trained.
        learning_rate: of the encoder; rises over the first twentieth of the steps, then falls to zero along a cosine.
        head_rate: learning rate of the objective's own parameters.
        weight_decay: of AdamW.
        kept: share of the weights before training in the weighted mean that is written.
        checkpoint_every: steps between checkpoints.
        seed: decides every draw.

    Raises:
        InputError: a number is out of range, or there is no such objective or choice of parameters.
    """

    objective: str = "supervised"
    parameters: str = "all"
    steps: int = 600
    tasks: int = 4
    shots: int = 3
    queries: int = 3
    ways: int = 3
    size: int = 128
    frozen: int = 3
    learning_rate: float = 0.0003
    head_rate: float = 0.003
    weight_decay: float = 0.01
    kept: float = 0.5
    checkpoint_every: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise InputError(f"objective is '{self.objective}', but must be one of {', '.join(OBJECTIVES)}.")
        if self.parameters not in PARAMETERS:
            raise InputError(f"parameters is '{self.parameters}', but must be one of {', '.join(PARAMETERS)}.")
        least = {"steps": 1, "tasks": 1, "shots": 1, "queries": 1, "ways": 2, "size": 32, "frozen": 0, "seed": 0}
        for name, bound in (least | {"checkpoint_every": 1}).items():
            if getattr(self, name) < bound:
                raise InputError(f"{name} is {getattr(self, name)}, but must be {bound} or more.")
        for name in ("learning_rate", "head_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name} is {getattr(self, name)}, but must be a positive number.")
        if not 0 <= self.weight_decay < math.inf:
            raise InputError(f"weight_decay is {self.weight_decay}, but must be 0 or more.")
        if not 0 <= self.kept < 1:
            raise InputError(f"kept is {self.kept}, but must be from 0 to below 1.")

    def share_of_rate(self, step: int) -> float:
        """Return the factor on the learning rates at a step."""
        rising = max(1, self.steps // 20)
        if step < rising:
            return (step + 1) / rising
        return 0.5 * (1 + math.cos(math.pi * (step - rising) / (self.steps - rising)))
