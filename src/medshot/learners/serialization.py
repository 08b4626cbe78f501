"""What a run folder and a model folder say of themselves, and writing and reading learners.

A folder holds `*.safetensors` for arrays and one JSON file for the rest, with the SHA-256 of every array file.
"""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from medshot.encoders import WHOLE, EncodedBagInput, EncodedInput
from medshot.errors import InputError, StorageError
from medshot.imaging import FeatureInput, ImageInput, InputSpec, VolumeInput
from medshot.storage import read_arrays, read_json, write_arrays, write_json
from medshot.tasks import TaskRecord

FORMAT = 2
LEARNER = "learner.safetensors"
IMAGES = "training_images.safetensors"

Encoded = TypeVar("Encoded", EncodedInput, EncodedBagInput)


class Strict(BaseModel):
    """Refuses what it does not know."""

    model_config = ConfigDict(extra="forbid")


class TrainingRecord(Strict):
    """How a learner was meta-trained."""

    date: str
    seed: int
    engine: str
    threads: int
    device: str
    torch: str
    steps: int
    best_step: int
    best_loss: float | None
    by_patients: bool
    settings: dict[str, Any]
    tasks: list[TaskRecord]


class PixelRecord(Strict):
    """A learner takes pixels."""

    channels: int = Field(ge=1, le=3)
    size: int = Field(ge=8, le=4096)


class VolumeRecord(Strict):
    """A learner takes voxels."""

    dimensions: Literal[3]
    channels: Literal[1]
    size: int = Field(ge=8, le=256)


class EncoderRecord(Strict):
    """A learner takes the features of an encoder, or of several, which are known by their hash."""

    encoder: str
    sha256: str
    cut: str = WHOLE


class BagRecord(EncoderRecord):
    """A learner takes bags of an encoder's features."""

    images: int = Field(ge=1)


class VectorRecord(Strict):
    """A learner takes feature vectors that it is given."""

    blocks: list[int]


InputRecord = PixelRecord | VolumeRecord | BagRecord | EncoderRecord | VectorRecord


def input_record(input_spec: InputSpec) -> InputRecord:
    """What is recorded of what a learner takes."""
    match input_spec:
        case ImageInput(channels=channels, size=size):
            return PixelRecord(channels=channels, size=size)
        case VolumeInput(channels=1, size=size):
            return VolumeRecord(dimensions=3, channels=1, size=size)
        case EncodedInput(encoder=encoder, cut=cut):
            return EncoderRecord(encoder=encoder, sha256=input_spec.sha256, cut=cut)
        case EncodedBagInput(encoder=encoder, cut=cut, images=images):
            return BagRecord(encoder=encoder, sha256=input_spec.sha256, cut=cut, images=images)
        case FeatureInput(blocks=blocks):
            return VectorRecord(blocks=list(blocks))
        case _:
            raise TypeError(f"{type(input_spec).__name__} cannot be recorded")


class LearnerRecord(Strict):
    """A learner as it stands in a folder: how to build it, and which arrays are its parameters."""

    name: str
    settings: dict[str, Any]
    input: InputRecord
    training: TrainingRecord | None = None

    @property
    def input_spec(self) -> InputSpec:
        """What the learner takes of each image.

        Raises:
            InputError: its encoder is not the one of this installation.
        """
        match self.input:
            case PixelRecord(channels=channels, size=size):
                return ImageInput(channels=channels, size=size)
            case VolumeRecord(channels=channels, size=size):
                return VolumeInput(channels=channels, size=size)
            case BagRecord(encoder=encoder, sha256=sha256, cut=cut, images=images):
                return _known(lambda: EncodedBagInput(encoder, cut, images), encoder, sha256)
            case EncoderRecord(encoder=encoder, sha256=sha256, cut=cut):
                return _known(lambda: EncodedInput(encoder, cut), encoder, sha256)
            case VectorRecord(blocks=blocks):
                return FeatureInput(tuple(blocks))


def _known(input_spec: Callable[[], Encoded], encoder: str, sha256: str) -> Encoded:
    """The shape; InputError where the encoder of that hash is not here."""
    try:
        found = input_spec()
    except InputError as error:
        raise InputError(
            f"It takes features of encoder '{encoder}' ({sha256[:12]}). {error} A folder that has moved is put back, "
            'or its new path written as "encoder" into the JSON file of the run or model.'
        ) from error
    if found.sha256 != sha256:
        raise InputError(
            f"The learner was trained on features of another version of encoder '{encoder}' "
            f"({sha256[:12]}, and here is {found.sha256[:12]}); install that one or train anew."
        )
    return found


class ModelRecord(Strict):
    """What a model folder adds: the task that its learner is adapted to."""

    classes: list[Any] = Field(min_length=2)
    images_per_class: list[int]
    intensity: dict[str, tuple[float, float]]
    feature_names: list[str] = []
    explanation: str = ""
    purpose: str

    @model_validator(mode="after")
    def _one_count_per_class(self) -> "ModelRecord":
        if len(self.images_per_class) != len(self.classes):
            raise ValueError("one count per class is needed")
        return self


class FolderRecord(Strict):
    """The JSON file of a run or model folder."""

    format: int
    version: str
    learner: LearnerRecord
    arrays: dict[str, str]
    model: ModelRecord | None = None


def write_folder(
    folder: Path,
    kind: Literal["run", "model"],
    learner: LearnerRecord,
    arrays: dict[str, dict[str, np.ndarray]],
    model: ModelRecord | None = None,
) -> None:
    """Write the array files, then the JSON file: a folder without it is not finished.

    Args:
        folder: an existing folder.
        kind: what it is; names the JSON file.
        learner: how to build the learner again.
        arrays: for each file name, its named arrays.
        model: what a model folder adds.
    """
    digests = {name: write_arrays(folder / name, content) for name, content in arrays.items()}
    record = FolderRecord(format=FORMAT, version=version("medshot"), learner=learner, arrays=digests, model=model)
    write_json(folder / f"{kind}.json", record.model_dump())


def read_folder(folder: Path, kind: Literal["run", "model"]) -> FolderRecord:
    """Read and check the JSON file of a run or model folder.

    Raises:
        StorageError: it is missing, damaged, or of another format version.
    """
    path = folder / f"{kind}.json"
    if not path.is_file():
        raise StorageError(f"{folder} is not a finished {kind} folder (it has no {path.name}); check the path.")
    content = read_json(path)
    if content.get("format") != FORMAT:
        raise StorageError(
            f"{path} has format {content.get('format')} (medshot {content.get('version', 'unknown')}), and this "
            f"version reads format {FORMAT}; make the {kind} again with this version."
        )
    try:
        record = FolderRecord(**content)
        if (record.model is not None) != (kind == "model"):
            raise ValueError(f"a {kind} is not described")
        return record
    except (ValueError, TypeError) as error:
        raise StorageError(f"{path} does not describe a {kind}; it was changed or damaged, make it anew.") from error


def read_checked(folder: Path, record: FolderRecord, name: str) -> dict[str, np.ndarray]:
    """The arrays of one file of the folder, after comparing its SHA-256 with the recorded one."""
    if name not in record.arrays:
        raise StorageError(f"{folder} records no {name}; it was changed or damaged, make it anew.")
    return read_arrays(folder / name, record.arrays[name])


def parameters_of(learner: torch.nn.Module) -> dict[str, np.ndarray]:
    """A learner's parameters as arrays."""
    return {name: value.detach().cpu().numpy() for name, value in learner.state_dict().items()}
