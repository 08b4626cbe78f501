"""Reading tasks from disk: class folders, CSV manifests, MedMNIST files, or a folder of any of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medshot.errors import InputError
from medshot.imaging import MISSING, ArrayImages, FileImages, ImageSource, SeveralImages, image_paths, read_medmnist
from medshot.storage import shown
from medshot.tasks.manifest import MANIFEST_SUFFIXES, is_manifest, read_manifest
from medshot.tasks.sampler import unnamed_patients
from medshot.tasks.task import Task

FOLDER_MANIFEST = "task.csv"


def load_tasks(
    path: str | Path, *, label: str = "label", keep: Mapping[str, Sequence[str]] | None = None
) -> list[Task]:
    """Read every task at `path`.

    A folder that holds `task.csv` is that manifest; one whose sub-folders hold images is a task with one class per
    sub-folder; any other is searched for tasks one by one. Where nothing names the patients, identical images are one
    patient and every other image is its own.

    Args:
        path: a CSV manifest, a MedMNIST `.npz` file, a folder of class folders, or a folder of any of these.
        label: the manifest column to take labels from.
        keep: for a manifest column, the values whose rows are kept.

    Raises:
        InputError: there is no task at `path`, or one of them cannot be used; the sentence names the file.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    tasks = [_task_at(place, label, keep) for place in places(path, label)]
    if not tasks:
        raise InputError(
            f"{path} holds no task; expected class folders of PNG, JPEG or TIFF images, a CSV with the columns "
            f"'image' and '{label}', or a MedMNIST .npz file."
        )
    return tasks


def task_from_files(
    name: str,
    images: Sequence[Path] | Mapping[str, Sequence[Path | None]],
    labels: Sequence[str],
    patients: Sequence[str] | None = None,
    dropped: int = 0,
) -> Task:
    """A task of image files with labels and patients as text; classes are the sorted labels.

    Args:
        name: of the task.
        images: a file for each sample; or for each name of an image the file of each sample, None where it lacks it.
        labels: the class of each sample.
        patients: the patient of each sample; `unnamed_patients` where they are left out.
        dropped: how many rows had no label.
    """
    source = sample_images(images) if isinstance(images, Mapping) else FileImages(images)
    return _task(name, source, labels, patients or unnamed_patients(source), dropped)


def sample_images(images: Mapping[str, Sequence[Path | None]]) -> FileImages | SeveralImages:
    """The images of samples: several of each, or one where there is a single name and no sample lacks it.

    Args:
        images: for each name of an image the file of each sample, None where it lacks it.
    """
    there = {name: [path for path in of_name if path] for name, of_name in images.items()}
    if len(images) == 1 and all(len(there[name]) == len(images[name]) for name in images):
        return FileImages(next(iter(there.values())))
    present = {name: np.array([path is not None for path in of_name]) for name, of_name in images.items()}
    rows = {name: np.where(is_there, is_there.cumsum() - 1, MISSING) for name, is_there in present.items()}
    kept = [name for name in images if there[name]]
    return SeveralImages({name: FileImages(there[name]) for name in kept}, {name: rows[name] for name in kept})


@dataclass(frozen=True)
class Place:
    """Where one task lies: a file, or a folder whose class folders hold these images."""

    path: Path
    class_folders: Mapping[str, list[Path]] | None = None


def places(path: Path, label: str = "label") -> list[Place]:
    """Every task at `path`, found and not read; none where there is none."""
    if path.is_file():
        return [Place(path)]
    if (path / FOLDER_MANIFEST).is_file():
        return [Place(path / FOLDER_MANIFEST)]
    children = sorted(child for child in path.iterdir() if not child.name.startswith("."))
    class_folders = {
        child.name: images
        for child in children
        if not (child / FOLDER_MANIFEST).is_file() and (images := _images_in(child))
    }
    if class_folders:
        return [Place(path, class_folders)]
    found = [
        child
        for child in children
        if child.is_dir()
        or child.suffix.lower() == ".npz"
        or (child.suffix.lower() in MANIFEST_SUFFIXES and is_manifest(child, label))
    ]
    return [place for child in found for place in places(child, label)]


def task_name(place: Place) -> str:
    """What the task there is called."""
    if place.class_folders is not None:
        return shown(place.path.resolve().name)
    return shown(place.path.resolve().parent.name if place.path.name == FOLDER_MANIFEST else place.path.stem)


def _task_at(place: Place, label: str, keep: Mapping[str, Sequence[str]] | None) -> Task:
    if place.class_folders is not None:
        return _from_class_folders(place, place.class_folders)
    return _from_file(place, label, keep)


def _from_file(place: Place, label: str, keep: Mapping[str, Sequence[str]] | None) -> Task:
    path = place.path
    if path.suffix.lower() == ".npz":
        images, labels = read_medmnist(path)
        if labels.min() < 0:
            raise InputError(f"{path} holds labels below 0 ({labels.min()}); give labels that count from 0.")
        return _task(task_name(place), ArrayImages(images), [str(value) for value in labels])
    if path.suffix.lower() in MANIFEST_SUFFIXES:
        return _from_manifest(place, label, keep)
    raise InputError(f"{path} is not a task; give a folder, a .csv manifest or a MedMNIST .npz file.")


def _from_manifest(place: Place, label: str, keep: Mapping[str, Sequence[str]] | None) -> Task:
    path = place.path
    manifest = read_manifest(path, label=label, keep=keep)
    if len(set(manifest.labels)) < 2:
        raise InputError(
            f"{path} has the single label '{manifest.labels[0]}'; a task needs images of two or more classes."
        )
    return task_from_files(task_name(place), manifest.images, manifest.labels, manifest.patients, manifest.dropped)


def _from_class_folders(place: Place, folders: Mapping[str, list[Path]]) -> Task:
    if len(folders) < 2:
        raise InputError(
            f"{place.path} has images only in the class folder '{next(iter(folders))}'; a task needs two or more "
            "classes."
        )
    labels = [shown(name) for name, images in folders.items() for _ in images]
    return task_from_files(task_name(place), [image for images in folders.values() for image in images], labels)


def _images_in(folder: Path) -> list[Path]:
    return image_paths(folder) if folder.is_dir() else []


def _task(
    name: str,
    images: ImageSource,
    labels: Sequence[str],
    patients: Sequence[str] | None = None,
    dropped: int = 0,
) -> Task:
    classes = sorted(set(labels))
    index = {name: number for number, name in enumerate(classes)}
    return Task(
        name=name,
        images=images,
        labels=np.array([index[value] for value in labels], dtype=np.int64),
        classes=tuple(classes),
        patients=np.array(patients or images.hashes()),
        dropped=dropped,
    )
