"""Provenance: what a run records about the tasks that it was trained on."""

import json
from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from jaxtyping import UInt8
from pydantic import BaseModel, ConfigDict

from medshot.encoders import reader_of
from medshot.imaging import InputSpec
from medshot.tasks.task import Task

MARKS = 32
"""The number of hashes of its images by which a task is recognised."""


class TaskRecord(BaseModel):
    """A task that was trained on."""

    model_config = ConfigDict(extra="forbid")

    name: str
    source: str
    classes: list[str]
    images: int
    patients: int


def task_records(tasks: Sequence[Task]) -> list[TaskRecord]:
    """Describe the tasks that were trained on, for the record of a run."""
    return [
        TaskRecord(
            name=task.name,
            source=task.source,
            classes=list(task.classes),
            images=len(task),
            patients=len(np.unique(task.patients)),
        )
        for task in tasks
    ]


def training_images(tasks: Sequence[Task], shape: InputSpec) -> dict[str, UInt8[np.ndarray, "_ bytes"]]:
    """Return what identifies images of tasks: every image's content hash, and a fingerprint for each sample."""
    hashes = [bytes.fromhex(digest) for task in tasks for of_one in task.hashes_of_each() for digest in of_one]
    reader = reader_of(shape)
    prints = [reader.fingerprints(task.images)[task.rows] for task in tasks]
    return {
        "hashes": np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(len(hashes), -1),
        "fingerprints": np.concatenate(prints),
    }


def digest_of(task: Task) -> str:
    """Return a digest of a task's images, labels and patients, on which training depends."""
    content = [task.hashes(), task.classes, task.labels.tolist(), task.patient_codes.tolist(), task.flip]
    return sha256(json.dumps(content).encode()).hexdigest()


def marks_of(task: Task) -> tuple[str, ...]:
    """Return what identifies a task's images under any name: the first digits of the smallest content hashes.

    Tasks that share most of their images share marks, since their smallest hashes are mostly the same
    (Broder, On the resemblance and containment of documents, 1997).
    """
    return tuple(sorted({digest[:8] for of_one in task.hashes_of_each() for digest in of_one})[:MARKS])
