"""Devices by name and settings in range; others are refused in one sentence."""

import pytest
import torch
from small_learners import tiny
from small_tasks import textured

from medshot.errors import InputError
from medshot.training import OuterSettings, resolve_device

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


def test_the_cpu_is_always_there():
    assert resolve_device("cpu") == torch.device("cpu")


def test_auto_is_a_device_that_works():
    assert torch.ones(2, device=resolve_device("auto")).sum().item() == 2


@pytest.mark.parametrize("name", ["", "gpu", "cuda:x", "tpu "])
def test_unknown_names_are_refused(name):
    with pytest.raises(InputError, match=f"^device is '{name}', but must be auto, cpu, cuda or mps"):
        resolve_device(name)


@pytest.mark.parametrize(
    "name", ["cpu:1", "meta", "cuda:99", *(pytest.param(n, marks=without_cuda) for n in ("cuda", "cuda:0"))]
)
def test_devices_that_are_not_there_are_refused(name):
    with pytest.raises(InputError, match=f"^device is '{name}', but this machine has no such device"):
        resolve_device(name)


@without_cuda
def test_meta_training_on_a_missing_device_is_refused_before_anything_happens():
    with pytest.raises(InputError, match="no such device"):
        tiny("metal").meta_fit([textured(0)], device="cuda", report=lambda event: pytest.fail(str(event)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"validate_every": 0},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=f"^{next(iter(wrong))} is "):
        OuterSettings(**wrong)
