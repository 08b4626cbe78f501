"""Encoders in folders: those that `medshot train-encoder` writes and those that come with medshot."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from medshot.encoders import lite0
from medshot.encoders.encoder import Architecture, Encoder, TrainingImages, Weights
from medshot.errors import StorageError
from medshot.storage import read_arrays, read_json, write_arrays, write_json

ARCHITECTURES: dict[str, Architecture] = {"lite0": lite0.ARCHITECTURE}
FORMAT: Literal[1] = 1
RECORD = "encoder.json"
WEIGHTS = "encoder.safetensors"
IMAGES = "training_images.safetensors"
ROWS = ("hashes", "fingerprints")


class EncoderFolder(BaseModel):
    """The JSON file of an encoder's folder."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1]
    version: str
    name: str = Field(pattern="^[a-z0-9-]+$")
    network: str
    arrays: dict[str, str]
    training: dict[str, Any]


def write_encoder(
    folder: Path,
    name: str,
    network: str,
    weights: Weights,
    training_images: Mapping[str, np.ndarray],
    training: Mapping[str, Any],
) -> None:
    """Write an encoder into an existing folder, the JSON file last: a folder without it is not finished.

    Args:
        folder: an existing folder.
        name: of the encoder: small letters, digits and hyphens.
        network: a key of `ARCHITECTURES`.
        weights: of the network; float16 is read as float32.
        training_images: `hashes` and `fingerprints` of the images that it was trained on, as uint8 `(images, 32)`.
        training: a record of the training that JSON can hold.
    """
    arrays = {
        WEIGHTS: {key: value.detach().cpu().numpy() for key, value in weights.items()},
        IMAGES: {key: training_images[key] for key in ROWS},
    }
    digests = {file: write_arrays(folder / file, content) for file, content in arrays.items()}
    record = EncoderFolder(
        format=FORMAT,
        version=version("medshot"),
        name=name,
        network=network,
        arrays=digests,
        training=dict(training),
    )
    write_json(folder / RECORD, record.model_dump())


def read_record(folder: Path) -> EncoderFolder:
    """Read and check the JSON file of an encoder's folder.

    Raises:
        StorageError: it is missing, damaged, of another format, or of a network that this version lacks.
    """
    path = folder / RECORD
    if not path.is_file():
        raise StorageError(f"{folder} is not a finished encoder (it has no {RECORD}); check the path.")
    content = read_json(path)
    if content.get("format") != FORMAT or content.get("network") not in ARCHITECTURES:
        raise StorageError(
            f"{path} has format {content.get('format')} and network '{content.get('network')}' (medshot "
            f"{content.get('version', 'unknown')}), and this version reads format {FORMAT} and network "
            f"{', '.join(ARCHITECTURES)}; train the encoder again with this version, or update medshot."
        )
    try:
        record = EncoderFolder(**content)
    except (ValueError, TypeError) as error:
        raise StorageError(f"{path} does not describe an encoder; it was changed or damaged, copy it again.") from error
    if set(record.arrays) != {WEIGHTS, IMAGES}:
        raise StorageError(f"{path} must record {WEIGHTS} and {IMAGES} alone; it was changed, copy the folder again.")
    return record


def read_encoder(folder: Path) -> Encoder:
    """Return the encoder of a folder; its arrays are read and compared with the recorded hashes when they are needed.

    Raises:
        StorageError: the JSON file is missing, damaged, or of another format.
    """
    record = read_record(folder)
    architecture = ARCHITECTURES[record.network]
    path, sha256 = folder / WEIGHTS, record.arrays[WEIGHTS]

    def build(weights: Weights) -> nn.Module:
        try:
            return architecture.build(weights)
        except RuntimeError as error:
            raise StorageError(f"{path} does not hold weights of '{record.network}'; train it again.") from error

    checked = Architecture(architecture.input_spec, architecture.blocks, architecture.version, build)
    return checked.encoder(
        sha256, lambda: _weights(path, sha256), cache(lambda: _images(folder / IMAGES, record.arrays[IMAGES]))
    )


def _weights(path: Path, sha256: str) -> dict[str, Tensor]:
    arrays = read_arrays(path, sha256)
    return {
        name: torch.from_numpy(array.astype(np.float32) if array.dtype == np.float16 else array.copy())
        for name, array in arrays.items()
    }


def _images(path: Path, sha256: str) -> TrainingImages:
    arrays = read_arrays(path, sha256)
    if set(arrays) != set(ROWS) or any(
        rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != 32 for rows in arrays.values()
    ):
        raise StorageError(f"{path} must hold {' and '.join(ROWS)}, 32 bytes a row; train the encoder again.")
    return arrays


def packaged(folder: Path = Path(__file__).parent) -> dict[str, Encoder]:
    """Return the encoders that come with medshot, by the names of their folders."""
    return {path.parent.name: read_encoder(path.parent) for path in sorted(folder.glob(f"*/{RECORD}"))}
