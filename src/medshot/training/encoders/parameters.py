"""Which parameters of an encoder are trained: all, or few that adapt the rest."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrize

from medshot.networks.encoders.lite0 import Lite0

RANK = 8


class LowRank(nn.Module):
    """A weight with a change of low rank added, none at first (Hu et al., LoRA, ICLR 2022, equation 3).

    Args:
        weight: of a convolution of 1 × 1, `(channels out, channels in, 1, 1)`.
    """

    def __init__(self, weight: Float[Tensor, "out channels 1 1"]) -> None:
        super().__init__()
        self.down = nn.Parameter(torch.randn(RANK, weight.shape[1]) / weight.shape[1] ** 0.5)
        self.up = nn.Parameter(torch.zeros(weight.shape[0], RANK))

    def forward(self, weight: Float[Tensor, "out channels 1 1"]) -> Float[Tensor, "out channels 1 1"]:
        """The changed weight."""
        return weight + (self.up @ self.down)[:, :, None, None]


def train_modulation(network: Lite0, frozen: int) -> None:
    """Scale and shift of every channel alone, as batch norm has them (FiLM; Perez et al., AAAI 2018, equation 1)."""
    network.unfreeze(frozen)
    for module in network.modules():
        if not isinstance(module, nn.BatchNorm2d):
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)


def train_low_rank(network: Lite0, frozen: int) -> None:
    """A change of low rank to every convolution of 1 × 1 behind the blocks that stay frozen; `fold` adds it up."""
    network.unfreeze(frozen)
    changed = [module for module in network.modules() if isinstance(module, nn.Conv2d) and _is_pointwise(module)]
    network.requires_grad_(False)
    for module in changed:
        parametrize.register_parametrization(module, "weight", LowRank(module.weight))


def fold(network: Lite0) -> None:
    """Put what was learned beside weights into the weights."""
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
