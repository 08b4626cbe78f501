"""Reading tasks from disk: class folders, CSV manifests, MedMNIST files, or a folder of any of these."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medshot.errors import InputError
from medshot.imaging import MISSING, ArrayImages, FileImages, ImageSource, SeveralImages
from medshot.imaging.npz import StackedImages, read_medmnist_splits
from medshot.storage import printable_path
from medshot.tasks.columns import LABEL, PATIENT, DataOptions
from medshot.tasks.joining import joined_manifest
from medshot.tasks.layouts import classes_are_patients, left_out_files, left_out_remark
from medshot.tasks.likeness import patient_like_columns
from medshot.tasks.manifest import Manifest, read_manifest
from medshot.tasks.people import files_of, patients_of_files, patients_remark
from medshot.tasks.searching import TaskLocation, found_tasks
from medshot.tasks.spelling import JOIN_ADVICE, joined, label_remarks
from medshot.tasks.task import Task


def load_tasks(
    path: str | Path,
    *,
    label: str = LABEL,
    keep: Mapping[str, Sequence[str]] | None = None,
    image: str | None = None,
    patient: str | None = None,
    join_labels: bool = False,
    table: str | Path | None = None,
) -> list[Task]:
    """Read every task at `path`.

    A folder that holds `task.csv` is that manifest; one whose sub-folders hold images is a task with one class per
    sub-folder, and with one patient per folder in these; any other is searched for tasks one by one. If nothing names
    the patients, identical images are one patient and every other image is its own. What was assumed is in `remarks` of
    each task.

    Args:
        path: a CSV manifest, a MedMNIST `.npz` file, a folder of class folders, or a folder of any of these.
        label: the manifest column to take labels from.
        keep: for a manifest column, the values whose rows are kept.
        image: the manifest column to take images from; `image`, or all `image:NAME`, if left out.
        patient: the manifest column to take patients from; one with a usual name, such as `patient_id`, if left out.
        join_labels: whether labels that differ only in how they are written are one, and `nan` or `None` counts as no
            label.
        table: a CSV with a row for each patient, if `path` is a folder of these patients' images.

    Raises:
        InputError: there is no task at `path`, or one of them cannot be used; the sentence names the file.
    """
    chosen = None if table is None else Path(table)
    return tasks_at(Path(path), DataOptions(label, keep or {}, image, patient, join_labels, chosen))


def tasks_at(path: Path, options: DataOptions) -> list[Task]:
    """Read every task at `path`; see `load_tasks`."""
    return [_task_at(location, options) for location in found_tasks(path, options)]


def manifest_at(location: TaskLocation, options: DataOptions) -> Manifest:
    """Read the manifest of a task, or join the images of its folder with its table."""
    if location.table is not None:
        return joined_manifest(location.path, location.table, options)
    return read_manifest(location.path, options)


def class_folder_labels(class_folders: Mapping[str, list[Path]], options: DataOptions) -> tuple[list[str], list[str]]:
    """Return the label of each image of class folders, and sentences on names that differ only in how they are written.

    Args:
        class_folders: for each class folder, its images.
        options: whether such names are one label.
    """
    labels = [printable_path(name) for name, images in class_folders.items() for _ in images]
    if options.join_labels:
        return joined(labels), []
    remarks = label_remarks(labels)
    return labels, [*remarks, JOIN_ADVICE] if remarks else []


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


def _task_at(location: TaskLocation, options: DataOptions) -> Task:
    if location.class_folders is not None:
        return _from_class_folders(location, location.class_folders, options)
    if location.is_archive:
        images, labels, _ = read_archive(location.path)
        array = ArrayImages(images)
        task = _task(location.name, array, labels, array.hashes(), "")
        return replace(task, remarks=(patients_remark(len(labels), 0, "The archive names no patients"),))
    return _from_manifest(location, options)


def _from_manifest(location: TaskLocation, options: DataOptions) -> Task:
    manifest = manifest_at(location, options)
    manifest.refuse_problems()
    if len(set(manifest.labels)) < 2:
        raise InputError(
            f"{manifest.path} has the single label '{manifest.labels[0]}'; a task needs images of two or more classes."
        )
    remarks = list(manifest.remarks)
    if alike := patient_like_columns(manifest.columns, manifest.roles):
        remarks.append(f"The column '{alike[0]}' looks like patients but is not used; choose with --patient COLUMN.")
    task = _task(
        location.name,
        sample_images(manifest.images()),
        manifest.labels,
        manifest.patients,
        f"{manifest.path.name} has no column '{PATIENT}'",
    )
    return replace(task, dropped=manifest.unlabelled, remarks=(*remarks, *task.remarks))


def _from_class_folders(location: TaskLocation, folders: Mapping[str, list[Path]], options: DataOptions) -> Task:
    labels, remarks = class_folder_labels(folders, options)
    if len(set(labels)) < 2:
        raise InputError(
            f"{location.path} has images only in the class folder '{next(iter(folders))}'; a task needs two or more "
            "classes."
        )
    images = [image for of_class in folders.values() for image in of_class]
    patients = None if location.patients is None else [location.patients[image] for image in images]
    remarks += location.remarks
    if counts := left_out_files(location.path, images):
        remarks.append(left_out_remark(counts))
    task = _task(location.name, FileImages(images), labels, patients, "Class folders name no patients")
    return replace(task, remarks=(*remarks, *task.remarks, *filter(None, [_classes_remark(task)])))


def _classes_remark(task: Task) -> str:
    return classes_are_patients(task.classes, list(map(len, task.members)), len(task))


def _task(
    name: str, images: ImageSource, labels: Sequence[str], patients: Sequence[str] | None, without_patients: str
) -> Task:
    """Make a task; if there are no patients, they are guessed, and a remark starts with the sentence on that."""
    remarks: tuple[str, ...] = ()
    if patients is None:
        patients, from_headers = patients_of_files(files_of(images), len(images))
        remarks = (patients_remark(len(images), from_headers, without_patients),)
    classes = sorted(set(labels))
    index = {name: number for number, name in enumerate(classes)}
    return Task(
        name=name,
        images=images,
        labels=np.array([index[value] for value in labels], dtype=np.int64),
        classes=tuple(classes),
        patients=np.array(patients),
        remarks=remarks,
    )
