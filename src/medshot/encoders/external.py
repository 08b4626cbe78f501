"""Encoders made from networks of other libraries, and their files on this machine."""

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
class ExternalModel:
    """A network of another library.

    Args:
        network: maps normalised `(images, 3, size, size)` to `(images, features)`.
        size: pixels per side.
        mean: of each colour, for pixels from 0 to 1, as the library's configuration gives it.
        deviation: likewise.
        configuration: everything else that features depend on besides the weights, such as the number of heads.
    """

    network: nn.Module
    size: int
    mean: Sequence[float]
    deviation: Sequence[float]
    configuration: Mapping[str, Any]


class Normalised(nn.Module):
    """An external network that takes pixels from 0 to 255, frozen."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, model: ExternalModel) -> None:
        super().__init__()
        self.network = model.network
        for name, values in (("mean", model.mean), ("deviation", model.deviation)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).reshape(3, 1, 1))
        self.float()
        self.requires_grad_(False)
        self.eval()

    def forward(self, pixels: Float[Tensor, "images 3 size size"]) -> Float[Tensor, "images *features"]:
        """Return the pooled features: one vector for each image, if the network can serve as an encoder.

        Args:
            pixels: RGB, from 0 (black) to 255.
        """
        return self.network((pixels / 255 - self.mean) / self.deviation)


def encoder_of(model: ExternalModel) -> Encoder:
    """Return the encoder that an external network makes; its hash covers the weights and the configuration.

    Raises:
        InputError: the network does not return one vector of finite numbers for each image.
    """
    network, spec = Normalised(model), ImageInput(channels=3, size=int(model.size))
    with torch.inference_mode():
        features = network(torch.full((2, *spec.dimensions), 127.0))
    if features.ndim != 2 or not features.isfinite().all():
        raise InputError(
            f"The network returns {tuple(features.shape)} for two images, but one finite vector each was expected."
        )
    configuration = json.dumps(model.configuration, sort_keys=True, default=str)
    size = f"ImageShape(channels=3, size={spec.size})"  # an old name of the class, which keeps hashes as they were
    digest = sha256(f"{_VERSION} {size} {type(model.network).__name__} {configuration}".encode())
    for name, value in network.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return Encoder(spec, (features.shape[1],), digest.hexdigest(), build=lambda: network)


def locate(name: str, file: str) -> Path:
    """Return a file of a folder, or of a repository in the cache of Hugging Face; no connection is opened.

    Raises:
        InputError: it is not on this machine; the message says how to fetch it.
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
    """Prevent the libraries of Hugging Face from opening a connection while this is open."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
