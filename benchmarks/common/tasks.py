"""Data sets of the benchmarks: folds, licences, and files of tasks that are slow to make."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from medshot.imaging import ArrayImages
from medshot.storage import read_arrays, read_json, write_arrays
from medshot.tasks import Task, load_tasks

_SETTINGS = read_json(Path(__file__).with_name("folds.json"))
FOLDS: Mapping[str, Sequence[str]] = _SETTINGS["folds"]
TOGETHER: Sequence[Sequence[str]] = _SETTINGS["together"]
"""Data sets that share images and must be in one fold."""
NAMES = tuple(name for names in FOLDS.values() for name in names)
FREE = (
    "brain_mri_4class",
    "cxr_pneumonia_kermany",
    "cxr_nih1000",
    "medical_mnist_6class",
    "ecg_12lead_images",
    "spine_xray_scoliosis",
    "blood_cells_bccd",
    "adrenalmnist3d_64",
    "longitudinal_gbm_progression",
)
"""Data sets with a licence for redistribution and commercial use; shipped encoders are trained only on these."""
QUICK = ("cxr_nih1000", "spine_xray_scoliosis", "cxr_jsrt_nodule_lungmask")
"""Small data sets, one of each kind of licence and fold, for --quick."""


def names_for(quick: bool) -> tuple[str, ...]:
    """Return the data sets that a benchmark goes over."""
    return QUICK if quick else NAMES


def read_task(data: Path, name: str) -> Task:
    """Return the one task of a data set."""
    (task,) = load_tasks(data / name)
    return task


def kept_task(
    path: Path,
    make: Callable[[], Mapping[str, np.ndarray]],
    *,
    name: str,
    source: str = "",
    classes: Sequence[str] | None = None,
    flip: bool = False,
) -> Task:
    """Return the task in the file `path`; if there is none, `make` makes images, labels and patients first."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, make())
    arrays = read_arrays(path)
    return Task(
        name=name,
        images=ArrayImages(arrays["images"]),
        labels=arrays["labels"],
        classes=tuple(classes or map(str, range(arrays["labels"].max() + 1))),
        patients=arrays["patients"],
        source=source,
        flip=flip,
    )


def arrays_of(task: Task) -> dict[str, np.ndarray]:
    """Return the arrays of a task in memory that `kept_task` writes."""
    assert isinstance(task.images, ArrayImages)
    return {"images": task.images.array[task.rows], "labels": task.labels, "patients": task.patient_codes}
