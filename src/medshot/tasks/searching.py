"""Finding the data sets in a folder: manifests, MedMNIST archives and class folders, and none mistaken for another."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medshot.errors import InputError
from medshot.imaging import image_paths
from medshot.imaging.decoding import is_series
from medshot.imaging.formats import CSV, NPZ, has_name_of
from medshot.imaging.npz import is_medmnist
from medshot.storage import printable_path
from medshot.tasks.manifest import is_manifest

FOLDER_MANIFEST = "task.csv"


@dataclass(frozen=True)
class TaskLocation:
    """The place of one task: a manifest, an archive, or a folder with the images of each of its class folders."""

    path: Path
    class_folders: Mapping[str, list[Path]] | None = None

    @property
    def name(self) -> str:
        """The name of the task."""
        path = self.path.resolve()
        if self.class_folders is not None:
            return printable_path(path.name)
        return printable_path(path.parent.name if self.path.name == FOLDER_MANIFEST else self.path.stem)

    @property
    def is_archive(self) -> bool:
        """Whether it is an `.npz` file."""
        return self.class_folders is None and has_name_of(self.path, NPZ)


def found_tasks(path: Path, label: str = "label") -> list[TaskLocation]:
    """Find every task at `path`, one or more; none of them is read.

    Args:
        path: a manifest, a MedMNIST archive, or a folder.
        label: the column of labels that a manifest must have.

    Raises:
        InputError: there is none, or class folders are mixed with data sets of their own.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    if path.is_file():
        if not has_name_of(path, CSV, NPZ):
            raise InputError(f"{path} is not a task; give a folder, a .csv manifest or a MedMNIST .npz file.")
        return [TaskLocation(path)]
    try:
        found = _search(path, label)
    except OSError as error:
        raise InputError(f"{path} could not be searched ({error}); check that you may read it.") from error
    if not found:
        raise InputError(
            f"{path} holds no task; expected class folders of images, a CSV with the columns 'image' and '{label}', "
            "or a MedMNIST .npz file."
        )
    return found


@dataclass
class _Children:
    """The contents of a folder, by what they are.

    Args:
        classes: sub-folders of single images, with these.
        series: sub-folders that are one DICOM series, an image each.
        found: the data sets in the folder and its other sub-folders.
    """

    classes: dict[str, list[Path]] = field(default_factory=dict)
    series: list[Path] = field(default_factory=list)
    found: list[TaskLocation] = field(default_factory=list)


def _search(folder: Path, label: str) -> list[TaskLocation]:
    """Find the data sets of a folder: the one that it is, or those in it."""
    if (folder / FOLDER_MANIFEST).is_file():
        return [TaskLocation(folder / FOLDER_MANIFEST)]
    children = _Children()
    for child in sorted(child for child in folder.iterdir() if not child.name.startswith(".")):
        if child.is_dir():
            _add_folder(children, child, label)
        elif has_name_of(child, NPZ) or (has_name_of(child, CSV) and is_manifest(child, label)):
            children.found.append(TaskLocation(child))
    if not children.classes:
        return children.found
    others = [location for location in children.found if _is_data_set(location, label)]
    manifests = [location for location in others if location.path.parent == folder and not location.is_archive]
    if len(children.classes) == 1 and manifests == others and manifests and not children.series:
        return manifests  # and the one folder holds their images
    if others or children.series:
        raise _mixture(folder, children.classes, [location.path for location in others] + children.series)
    return [TaskLocation(folder, children.classes)]


def _add_folder(children: _Children, child: Path, label: str) -> None:
    """Add a sub-folder: a data set, or a folder of them; an image; or a class."""
    inside = _search(child, label)
    sets = [location for location in inside if _is_data_set(location, label)]
    if any(location.path.parent == child and location.class_folders is None for location in sets):
        children.found += inside
    elif is_series(child):
        children.series.append(child)
    elif images := image_paths(child):
        if sets:
            raise _mixture(child, {child.name: images}, [location.path for location in sets])
        children.classes[child.name] = images
    else:
        children.found += inside


def _is_data_set(location: TaskLocation, label: str) -> bool:
    """Whether this can only be a data set of its own, and no volume and no folder of masks."""
    if location.class_folders is not None:
        return len(location.class_folders) > 1
    if location.is_archive:
        return is_medmnist(location.path)
    return location.path.name == FOLDER_MANIFEST or is_manifest(location.path, label)


def _mixture(folder: Path, classes: Mapping[str, list[Path]], others: list[Path]) -> InputError:
    names, first = ", ".join(f"'{printable_path(name)}'" for name in [*classes][:3]), others[0]
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    if has_name_of(first, CSV) and first.parent == folder:
        advice = f"give {first.name} by itself, or rename it to {FOLDER_MANIFEST} if it lists these images"
    else:
        advice = "give each data set by itself"
    kind = "DICOM series" if first.is_dir() and is_series(first) else "data set"
    return InputError(
        f"{printable_path(folder)} holds class folders of images ({names}) beside the {kind} "
        f"{printable_path(first.relative_to(folder))}{more}; {advice}."
    )
