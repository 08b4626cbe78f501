"""Write and read run folders and model folders, and their records.

A folder holds `*.safetensors` for arrays and one JSON file for the rest, with the SHA-256 of every array file.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator

from medshot.encoders.inputs import InputRecord, input_from_record
from medshot.errors import StorageError
from medshot.imaging import InputSpec
from medshot.imaging.inputs import StrictRecord
from medshot.storage import read_arrays, read_json, write_arrays, write_json
from medshot.tasks import TaskRecord
from medshot.unfinished import why_not

FORMAT = 2
NOTHING_FOUND = "Found nothing to learn"
"""The start of a model's explanation if its support shows no difference between the classes."""
LEARNER = "learner.safetensors"
IMAGES = "training_images.safetensors"


class TrainingRecord(StrictRecord):
    """The record of a learner's meta-training."""

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


class LearnerRecord(StrictRecord):
    """The record from which a learner is built again, and of its meta-training."""

    name: str
    settings: dict[str, Any]
    input: InputRecord
    training: TrainingRecord | None = None

    @property
    def input_spec(self) -> InputSpec:
        """Return what the learner takes of each image.

        Raises:
            InputError: its encoder is not the one of this installation.
        """
        return input_from_record(self.input)


class ModelRecord(StrictRecord):
    """The task that the learner of a model folder is adapted to."""

    classes: list[Any] = Field(min_length=2)
    images_per_class: list[int]
    intensity: dict[str, tuple[float, float]]
    feature_names: list[str] = Field(default_factory=list)
    explanation: str = ""
    support: list[str] = Field(default_factory=list, description="content hashes of the images it was fitted on")
    purpose: str

    @model_validator(mode="after")
    def _one_count_per_class(self) -> "ModelRecord":
        if len(self.images_per_class) != len(self.classes):
            raise ValueError("one count per class is needed")
        return self


class FolderRecord(StrictRecord):
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
        arrays: named arrays for each file name.
        model: the task, for a model folder.
    """
    digests = {name: write_arrays(folder / name, content) for name, content in arrays.items()}
    record = FolderRecord(format=FORMAT, version=version("medshot"), learner=learner, arrays=digests, model=model)
    content = record.model_dump()
    if model and not model.support:  # a table, or a model of an earlier version, which is written again as it was
        del content["model"]["support"]
    write_json(folder / f"{kind}.json", content)


def read_folder(folder: Path, kind: Literal["run", "model"]) -> FolderRecord:
    """Read and check the JSON file of a run or model folder.

    Raises:
        StorageError: it is missing, damaged, or of another format version.
    """
    path = folder / f"{kind}.json"
    if not path.is_file():
        raise StorageError(why_not(folder, kind))
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
        raise StorageError(f"{path} does not describe a {kind}; it was changed or damaged, make it again.") from error


def read_checked(folder: Path, record: FolderRecord, name: str) -> dict[str, np.ndarray]:
    """Read the arrays of one file of the folder, and compare its SHA-256 with the recorded one."""
    if name not in record.arrays:
        raise StorageError(f"{folder} records no {name}; it was changed or damaged, make it again.")
    return read_arrays(folder / name, record.arrays[name])


def parameters_of(learner: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return a learner's parameters as arrays."""
    return {name: value.detach().cpu().numpy() for name, value in learner.state_dict().items()}
