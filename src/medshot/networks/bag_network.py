"""A base network over bags: attention pools several instances of a sample into one vector of features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.imaging import FeatureInput
from medshot.imaging.inputs import StrictRecord
from medshot.networks.feature_network import FeatureNetwork, Modulation


@dataclass(frozen=True)
class BagInput(FeatureInput):
    """Bags of feature vectors, `(instances, 1 + features)`.

    The first column is the initial weight of an instance, 0 if it is missing.

    Args:
        blocks: number of features in each block of an instance.
        kinds: the kind of each instance; equal kinds are treated alike.
    """

    is_bag: ClassVar[bool] = True
    is_table: ClassVar[bool] = False
    kinds: tuple[str, ...] = ("instance",)

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Return the number of instances, and that of their features with the weight before them."""
        return len(self.kinds), 1 + sum(self.blocks)

    def describe(self) -> str:
        """Return "bags"."""
        return "bags"

    def to_record(self) -> StrictRecord:
        """Raise TypeError: no folder holds a learner of bags that come from no encoder."""
        raise TypeError(f"{type(self).__name__} cannot be recorded")


class AttentionPooling(nn.Module):
    """The mean of the instances that are present, weighted by attention that is learned across tasks.

    z = Σ a_i x_i, a_i ∝ c_i exp(wᵀ tanh(V x_i) + b_kind(i)) (Ilse, Tomczak & Welling, Attention-based Deep Multiple
    Instance Learning, ICML 2018, equations 7 and 8, with a bias for each kind, and the initial weight c_i of the
    instance). w and b start at zero, so that meta-training begins at the mean under c. A missing instance has weight 0,
    and the weights of the others still sum to 1, so that the scale of z does not change.

    Args:
        input_spec: the bags it takes.
        width: rows of V.
    """

    def __init__(self, input_spec: BagInput, width: int = 32) -> None:
        super().__init__()
        names = list(dict.fromkeys(input_spec.kinds))
        self.kinds = [names.index(kind) for kind in input_spec.kinds]
        self.hidden = nn.Linear(sum(input_spec.blocks), width, bias=False)
        self.output = nn.Linear(width, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(len(names)))
        nn.init.zeros_(self.output.weight)

    def forward(self, bags: Float[Tensor, "batch instances entries"]) -> Float[Tensor, "batch features"]:
        """Return the pooled features of each bag."""
        there, instances = bags[..., 0], bags[..., 1:]
        scores = self.output(torch.tanh(self.hidden(instances)))[..., 0] + self.bias[self.kinds]
        return (weights(scores, there)[..., None] * instances).sum(-2)


def weights(
    scores: Float[Tensor, "batch instances"], there: Float[Tensor, "batch instances"]
) -> Float[Tensor, "batch instances"]:
    """Return the softmax over the instances times their initial weights; all zero for padding, which has none."""
    scores = scores.masked_fill(there == 0, torch.finfo(scores.dtype).min)
    powers = (scores - scores.amax(-1, keepdim=True)).exp() * there
    return powers / powers.sum(-1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)


class BagNetwork(nn.Module):
    """Attention pooling of bags, then a `FeatureNetwork`.

    Args:
        input_spec: the bags it takes.
        width: units of the bottleneck.
    """

    def __init__(self, input_spec: BagInput, width: int = 64) -> None:
        super().__init__()
        self.input_spec = input_spec
        self.pooling = AttentionPooling(input_spec)
        self.network = FeatureNetwork(input_spec, width)
        self.features, self.modulated = self.network.features, self.network.modulated

    def forward(
        self, bags: Float[Tensor, "batch instances entries"], modulation: Modulation | None = None
    ) -> Float[Tensor, "batch features"]:
        """Return the pooled features of each bag, changed by the bottleneck."""
        return self.network(self.pooling(bags), modulation)


def mean_of_present(bags: Float[Tensor, "batch instances entries"]) -> Float[Tensor, "batch features"]:
    """Return the mean of the present instances, weighted by their first column, for learners without a network."""
    there, instances = bags[..., 0], bags[..., 1:]
    return (weights(torch.zeros_like(there), there)[..., None] * instances).sum(-2)


class SetEncoder(nn.Module):
    """A network of one hidden layer that computes γ and δ of every layer that is modulated (Requeima et al., 2019).

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
        """Return γ and δ of each layer."""
        parts = self.output(self.activation(self.hidden(description))).split(self.sizes)
        return list(zip(parts[::2], parts[1::2], strict=True))
