"""What a network of another library must tell to become an encoder, and finding its files on this machine."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.encoders.encoder import Encoder
from medshot.errors import InputError
from medshot.imaging import ImageInput

_VERSION = "fitted to a square of RGB, (pixel / 255 - mean) / deviation, pooled features as one block, version 1"


@dataclass(frozen=True)
class Foreign:
    """A network of another library.

    Args:
        network: `(images, 3, size, size)`, normalised, to `(images, features)`.
        size: pixels per side.
        mean: of each colour, of pixels from 0 to 1, as the library's configuration has it.
        deviation: likewise.
        configuration: what else the features hang on beside the weights, such as the number of heads.
    """

    network: nn.Module
    size: int
    mean: Sequence[float]
    deviation: Sequence[float]
    configuration: Mapping[str, Any]


class Normalised(nn.Module):
    """A foreign network that takes pixels from 0 to 255, frozen."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, foreign: Foreign) -> None:
        super().__init__()
        self.network = foreign.network
        for name, values in (("mean", foreign.mean), ("deviation", foreign.deviation)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).reshape(3, 1, 1))
        self.float()
        self.requires_grad_(False)
        self.eval()

    def forward(self, pixels: Float[Tensor, "images 3 size size"]) -> Float[Tensor, "images *features"]:
        """The pooled features, one vector an image unless the network is unfit.

        Args:
            pixels: RGB, from 0 (black) to 255.
        """
        return self.network((pixels / 255 - self.mean) / self.deviation)


def encoder_of(foreign: Foreign) -> Encoder:
    """The encoder that a foreign network becomes, known by the bytes of its weights and its configuration.

    Raises:
        InputError: it gives no vector of finite numbers.
    """
    network, shape = Normalised(foreign), ImageInput(channels=3, size=int(foreign.size))
    with torch.inference_mode():
        features = network(torch.full((2, *shape.dimensions), 127.0))
    if features.ndim != 2 or not features.isfinite().all():
        raise InputError(f"It gives {tuple(features.shape)} for two images where one finite vector each was expected.")
    configuration = json.dumps(foreign.configuration, sort_keys=True, default=str)
    digest = sha256(f"{_VERSION} {shape} {type(foreign.network).__name__} {configuration}".encode())
    for name, value in network.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return Encoder(shape, (features.shape[1],), digest.hexdigest(), build=lambda: network)


def located(name: str, file: str) -> Path:
    """A file of a folder, or of a repository in the cache of Hugging Face; no connection is opened.

    Raises:
        InputError: it is not on this machine; the sentence says how to fetch it.
    """
    folder = Path(name)
    if folder.is_dir():
        if not (folder / file).is_file():
            raise InputError(f"{folder} has no {file}; give a folder with configuration and safetensors weights.")
        return folder / file
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, file)
    if not isinstance(found, str):
        raise InputError(
            f"{file} of {name} is not on this machine, and medshot downloads nothing by itself; fetch it once with "
            f"`hf download {name} --include '*.json' '*.safetensors'`, or give a folder that holds it."
        )
    return Path(found)


@contextmanager
def offline() -> Iterator[None]:
    """While it lasts, Hugging Face's libraries open no connection."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
