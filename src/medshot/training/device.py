"""Which device to work on."""

import torch

from medshot.errors import InputError


def resolve_device(name: str = "auto") -> torch.device:
    """The device of that name: "cpu", "cuda" (or "cuda:1"), "mps", or "auto" for the fastest there is.

    Raises:
        InputError: the name is unknown, or this machine has no such device.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device is '{name}', but must be auto, cpu, cuda or mps.") from error
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= counts.get(device.type, 0):
        raise InputError(f"device is '{name}', but this machine has no such device; use --device cpu or auto.")
    return device
