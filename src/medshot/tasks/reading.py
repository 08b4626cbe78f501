"""Reading tasks from disk: class folders, CSV manifests, MedMNIST files, or a folder of any of these."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from medshot.errors import InputError
from medshot.imaging import MISSING, ArrayImages, FileImages, ImageSource, SeveralImages
from medshot.imaging.npz import StackedImages, read_medmnist_splits
from medshot.storage import printable_path
from medshot.tasks.manifest import read_manifest
from medshot.tasks.people import unnamed_patients
from medshot.tasks.searching import TaskLocation, found_tasks
from medshot.tasks.task import Task


def load_tasks(
    path: str | Path, *, label: str = "label", keep: Mapping[str, Sequence[str]] | None = None
) -> list[Task]:
    """Read every task at `path`.

    A folder that holds `task.csv` is that manifest; one whose sub-folders hold images is a task with one class per
    sub-folder; any other is searched for tasks one by one. If nothing names the patients, identical images are one
    patient and every other image is its own.

    Args:
        path: a CSV manifest, a MedMNIST `.npz` file, a folder of class folders, or a folder of any of these.
        label: the manifest column to take labels from.
        keep: for a manifest column, the values whose rows are kept.

    Raises:
        InputError: there is no task at `path`, or one of them cannot be used; the sentence names the file.
    """
    return [_task_at(location, label, keep) for location in found_tasks(Path(path), label)]


def task_from_files(
    name: str,
    images: Sequence[Path] | Mapping[str, Sequence[Path | None]],
    labels: Sequence[str],
    patients: Sequence[str] | None = None,
    dropped: int = 0,
) -> Task:
    """Make a task of image files, with labels and patients as text; classes are the sorted labels.

    Args:
        name: the name of the task.
        images: a file for each sample; or for each name of an image the file of each sample, None if it lacks it.
        labels: the class of each sample.
        patients: the patient of each sample; `unnamed_patients` if they are left out.
        dropped: the number of rows that had no label.
    """
    source = sample_images(images) if isinstance(images, Mapping) else FileImages(images)
    return _task(name, source, labels, patients or unnamed_patients(source), dropped)


def sample_images(images: Mapping[str, Sequence[Path | None]]) -> FileImages | SeveralImages:
    """Make a source of samples: of several images each, or of one if there is one name and no sample lacks it.

    Args:
        images: for each name of an image the file of each sample, None if it lacks it.
    """
    there = {name: [path for path in of_name if path] for name, of_name in images.items()}
    if len(images) == 1 and all(len(there[name]) == len(images[name]) for name in images):
        return FileImages(next(iter(there.values())))
    present = {name: np.array([path is not None for path in of_name]) for name, of_name in images.items()}
    rows = {name: np.where(is_there, is_there.cumsum() - 1, MISSING) for name, is_there in present.items()}
    kept = [name for name in images if there[name]]
    return SeveralImages({name: FileImages(there[name]) for name in kept}, {name: rows[name] for name in kept})


def read_archive(path: Path) -> tuple[StackedImages, list[str], list[str]]:
    """Read the images of a MedMNIST archive, and the label and the split of each as text.

    Raises:
        InputError: the archive is of another kind, or labels are below 0.
    """
    splits = read_medmnist_splits(path)
    images, labels = (np.concatenate([pair[k] for pair in splits.values()]) for k in (0, 1))
    if labels.min() < 0:
        raise InputError(f"{path} holds labels below 0 ({labels.min()}); give labels that count from 0.")
    of_splits = np.repeat(list(splits), [len(of_split) for _, of_split in splits.values()])
    return images, [str(value) for value in labels], of_splits.tolist()


def _task_at(location: TaskLocation, label: str, keep: Mapping[str, Sequence[str]] | None) -> Task:
    if location.class_folders is not None:
        return _from_class_folders(location, location.class_folders)
    if location.is_archive:
        images, labels, _ = read_archive(location.path)
        return _task(location.name, ArrayImages(images), labels)
    return _from_manifest(location, label, keep)


def _from_manifest(location: TaskLocation, label: str, keep: Mapping[str, Sequence[str]] | None) -> Task:
    manifest = read_manifest(location.path, label=label, keep=keep)
    manifest.refuse_problems()
    labels = manifest.columns[label]
    if len(set(labels)) < 2:
        raise InputError(
            f"{location.path} has the single label '{labels[0]}'; a task needs images of two or more classes."
        )
    return task_from_files(location.name, manifest.images(), labels, manifest.patients, manifest.unlabelled)


def _from_class_folders(location: TaskLocation, folders: Mapping[str, list[Path]]) -> Task:
    if len(folders) < 2:
        raise InputError(
            f"{location.path} has images only in the class folder '{next(iter(folders))}'; a task needs two or more "
            "classes."
        )
    labels = [printable_path(name) for name, images in folders.items() for _ in images]
    return task_from_files(location.name, [image for images in folders.values() for image in images], labels)


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
