"""Tasks that medical encoders are trained on: real data sets with all their labels, and simulated hospitals."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np

from benchmarks.common.tasks import arrays_of, kept_task
from medshot.imaging import ArrayImages, read
from medshot.simulated import simulate
from medshot.tasks import Task, load_tasks

CELL = 96
HOSPITALS = 6
FAMILIES = ("chest", "brain", "ecg", "spine_xray", "spine_mri")


def encoder_tasks(data: Path, kept: Path, sources: Sequence[str]) -> list[Task]:
    """Return all tasks of these data sets and the simulated ones; tasks are kept in the folder `kept`."""
    tasks = [task for source in sources for task in MAKERS[source](data / source, kept)]
    return tasks + [_simulated(kept, family, seed) for family in FAMILIES for seed in range(1, HOSPITALS + 1)]


def sources_without(left_out: Sequence[str] = ()) -> list[str]:
    """Return all data sets but these."""
    return [source for source in MAKERS if source not in left_out]


def _labels(*columns: str, flip: bool = True) -> Callable[[Path, Path], list[Task]]:
    """Return a maker of one task per label column of a manifest; classes of fewer than 12 patients are left out."""

    def make(folder: Path, kept: Path) -> list[Task]:
        tasks = []
        for column in columns:
            with (folder / "task.csv").open(newline="") as file:
                rows = {(row[column], row["patient"]) for row in csv.DictReader(file)}
            found = [value for value, _ in rows if value]
            values = sorted({value for value in found if found.count(value) >= 12})
            (task,) = load_tasks(folder / "task.csv", label=column, keep={column: values})
            tasks.append(replace(task, name=f"{folder.name} {column}", source=folder.name, flip=flip))
        return tasks

    return make


def _glioma(folder: Path, kept: Path) -> list[Task]:
    """Return tumour or none, and for slices with a tumour the histology, the grade and the methylation cluster."""
    (tumour,) = _labels("label")(folder, kept)
    with (folder / "volumes.csv").open(newline="") as file:
        known = {row["patient"]: row for row in csv.DictReader(file)}
    shown = tumour.labels != tumour.classes.index("none")
    tasks = [tumour]
    for column in ("histology", "grade", "methylation_cluster"):
        values = np.array([known.get(str(patient), {}).get(column, "") for patient in tumour.patients])
        classes = sorted(
            value for value in set(values[shown]) - {""} if len(set(tumour.patients[shown & (values == value)])) >= 12
        )
        chosen = np.flatnonzero(shown & np.isin(values, classes))
        tasks.append(
            replace(
                tumour,
                name=f"{folder.name} {column}",
                rows=tumour.rows[chosen],
                labels=np.array([classes.index(value) for value in values[chosen]]),
                classes=tuple(classes),
                patients=tumour.patients[chosen],
            )
        )
    return tasks


def _cells(folder: Path, kept: Path) -> list[Task]:
    """Return blood cells cut out by their boxes, which count twice the pixels of the images."""

    def make() -> dict[str, np.ndarray]:
        pictures, labels, patients = [], [], []
        names = ("RBC", "WBC", "Platelets")
        for number, path in enumerate(sorted((folder / "annotations_xml").glob("*.xml"))):
            image = next((folder / "images").glob(f"{path.stem}.*"), None)
            if image is None:
                continue
            pixels = read(image).array[0]
            boxes = ElementTree.parse(path).getroot().findall("object")
            for box in boxes[:12]:
                left, top, right, bottom = (
                    int(float(box.findtext(f"bndbox/{side}") or 0)) // 2 for side in ("xmin", "ymin", "xmax", "ymax")
                )
                cell = pixels[max(0, top - 4) : bottom + 4, max(0, left - 4) : right + 4]
                if min(cell.shape[:2]) >= 8 and box.findtext("name") in names:
                    pictures.append(cv2.resize(cell, (CELL, CELL), interpolation=cv2.INTER_AREA))
                    labels.append(names.index(box.findtext("name") or ""))
                    patients.append(number)
        return {"images": np.stack(pictures), "labels": np.array(labels), "patients": np.array(patients)}

    return _kept(kept / "cells.safetensors", "blood_cells_bccd", ("RBC", "WBC", "Platelets"), make)


def _adrenals(folder: Path, kept: Path) -> list[Task]:
    """Return the mean of each volume along its three axes, as the three colours of an image."""

    def make() -> dict[str, np.ndarray]:
        (task,) = load_tasks(folder / f"{folder.name}.npz")
        volumes = task.images
        assert isinstance(volumes, ArrayImages)
        means = np.stack([volumes.array.mean(axis) for axis in (1, 2, 3)], axis=-1)
        largest = means.max((1, 2, 3), keepdims=True)
        pictures = (255 * means / np.maximum(largest, 1)).astype(np.uint8)
        return {"images": pictures[task.rows], "labels": task.labels, "patients": task.patient_codes}

    return _kept(kept / "adrenals.safetensors", "adrenalmnist3d_64", ("0", "1"), make)


def _growing(folder: Path, kept: Path) -> list[Task]:
    """Return slices of both scans of each patient: with much tumour, or with none."""

    def make() -> dict[str, np.ndarray]:
        pictures, labels, patients = [], [], []
        for number, path in enumerate(sorted(folder.glob("patient_*.npz"))):
            with np.load(path, allow_pickle=False) as arrays:
                for date in ("pre", "post"):
                    sizes = (arrays[f"{date}_mask"] > 0).sum((0, 1))
                    for slice_, size in enumerate(sizes):
                        if size == 0 or size > 60:
                            pictures.append(arrays[f"{date}_t1"][:, :, slice_])
                            labels.append(int(size > 0))
                            patients.append(number)
        return {"images": np.stack(pictures), "labels": np.array(labels), "patients": np.array(patients)}

    return _kept(kept / "growing.safetensors", "longitudinal_gbm_progression", ("none", "tumour"), make)


def _simulated(kept: Path, family: str, seed: int) -> Task:
    def make() -> dict[str, np.ndarray]:
        return arrays_of(simulate(family, seed=seed, patients=24, size=160, difficulty=0.15))

    path = kept / f"{family}-{seed}.safetensors"
    return kept_task(path, make, name=f"simulated {family} {seed}", source="simulated", flip=True)


def _kept(path: Path, source: str, classes: tuple[str, ...], make: Callable[[], dict[str, np.ndarray]]) -> list[Task]:
    return [kept_task(path, make, name=source, source=source, classes=classes, flip=True)]


MAKERS: Mapping[str, Callable[[Path, Path], list[Task]]] = {
    "brain_mri_4class": _labels("label"),
    "cxr_pneumonia_kermany": _labels("label"),
    "cxr_nih1000": _labels("label"),
    "medical_mnist_6class": _labels("label"),
    "lgg_mri_genomics": _glioma,
    "cxr_jsrt_nodule_lungmask": _labels("label", "finding", "sex"),
    "spine_xray_scoliosis": _labels("label"),
    "skin_ham10000_subset": _labels("label", "localization"),
    "ecg_12lead_images": _labels("label", flip=False),
    "blood_cells_bccd": _cells,
    "adrenalmnist3d_64": _adrenals,
    "longitudinal_gbm_progression": _growing,
}
