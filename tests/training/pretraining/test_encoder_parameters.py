"""Training few parameters of an encoder changes nothing else, and ends in the weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medshot.encoders.folder import WEIGHTS
from medshot.encoders.lite0 import Lite0, imagenet_weights
from medshot.simulated import simulate
from medshot.storage import read_arrays
from medshot.training.pretraining import PARAMETERS, EncoderSettings, train_encoder_into
from medshot.training.pretraining.settings import fold

TASKS = [simulate(family, seed=seed, patients=4, size=40) for seed, family in enumerate(("chest", "brain"), 1)]
SMALL = EncoderSettings(steps=3, tasks=2, shots=1, queries=1, size=32, head_rate=0.01, kept=0.0)


@pytest.mark.parametrize("name", ["modulation", "low-rank"])
def test_few_parameters_change_what_they_may_and_nothing_else(tmp_path, name):
    settings = replace(SMALL, parameters=name)
    train_encoder_into(tmp_path / "encoder", TASKS, settings)
    before, after = imagenet_weights(), read_arrays(tmp_path / "encoder" / WEIGHTS)
    network = Lite0(before).network
    pointwise = {f"{key}.weight" for key, module in network.named_modules() if _is_pointwise(module)}
    norms = {key for key, module in network.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    frozen = ("_conv_stem.", "_bn0.", *(f"_blocks.{block}." for block in range(SMALL.frozen)))
    assert set(after) == set(network.state_dict())
    for key, value in after.items():
        owner, _, kind = key.rpartition(".")
        free = key in pointwise if name == "low-rank" else owner in norms and kind in ("weight", "bias")
        same = np.array_equal(value, before[key].half().numpy() if value.dtype == np.float16 else before[key].numpy())
        assert same != (free and not key.startswith(frozen)), key


def _is_pointwise(module: torch.nn.Module) -> bool:
    return isinstance(module, torch.nn.Conv2d) and module.kernel_size == (1, 1)


def test_a_change_of_low_rank_starts_at_zero_and_is_added_by_folding():
    network, pixels = Lite0(imagenet_weights()), 255 * torch.rand(2, 3, 64, 64)
    plain, names = network.last(pixels), set(network.state_dict())
    PARAMETERS["low-rank"](network, 3)
    assert torch.equal(network.last(pixels), plain)
    few = [parameter for parameter in network.parameters() if parameter.requires_grad]
    assert sum(map(torch.Tensor.numel, few)) < 0.1 * sum(map(torch.Tensor.numel, network.parameters()))
    with torch.no_grad():
        for parameter in few:
            parameter += 0.01 * torch.randn_like(parameter)
    changed = network.last(pixels)
    fold(network)
    assert set(network.state_dict()) == names
    assert torch.allclose(network.last(pixels), changed)
    assert not torch.allclose(changed, plain)
