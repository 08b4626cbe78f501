"""Finding the data sets in a folder: manifests, MedMNIST archives and class folders, and none mistaken for another."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from medshot.errors import InputError
from medshot.imaging import all_image_paths, image_paths
from medshot.imaging.folders import is_series
from medshot.imaging.formats import CSV, NPZ, has_name_of
from medshot.imaging.npz import is_medmnist
from medshot.storage import printable_path
from medshot.tasks.columns import DEFAULT_OPTIONS, IMAGE, DataOptions
from medshot.tasks.joining import find_table, patients_column_of
from medshot.tasks.layouts import are_patients, hold_classes
from medshot.tasks.manifest import header_of, is_manifest

FOLDER_MANIFEST = "task.csv"


@dataclass(frozen=True)
class TaskLocation:
    """The place of one task: a manifest, an archive, a folder with class folders, or a folder beside a table.

    Args:
        path: the manifest, the archive or the folder.
        class_folders: for each class folder of the folder, its images.
        patients: the patient of each of these images, if there is a folder for each within the class folders.
        table: the table that labels the patients of the folder.
        levels: how many folders it is below the one that was searched.
    """

    path: Path
    class_folders: Mapping[str, list[Path]] | None = None
    patients: Mapping[Path, str] | None = None
    table: Path | None = None
    levels: int = 0

    @property
    def name(self) -> str:
        """The name of the task."""
        path = self.path.resolve()
        if self.class_folders is not None or self.table is not None:
            return printable_path(path.name)
        return printable_path(path.parent.name if self.path.name == FOLDER_MANIFEST else self.path.stem)

    @property
    def remarks(self) -> list[str]:
        """Sentences on what its folders were taken for."""
        remarks = []
        if self.class_folders is not None and self.levels:
            some = ", ".join(f"'{printable_path(name)}'" for name in [*self.class_folders][:3])
            remarks.append(
                f"This folder is a task of its own, and its {len(self.class_folders)} folders ({some}) classes."
            )
        if self.patients is not None:
            first = next(iter(self.patients)).relative_to(self.path).parts[0]
            where = "below" if first in (self.class_folders or ()) else "above"
            remarks.append(f"The {len({*self.patients.values()})} folders {where} the class folders are its patients.")
        return remarks

    @property
    def is_manifest(self) -> bool:
        """Whether it is a manifest."""
        return self.class_folders is None and self.table is None and not self.is_archive

    @property
    def is_archive(self) -> bool:
        """Whether it is an `.npz` file."""
        return self.class_folders is None and self.table is None and has_name_of(self.path, NPZ)


def found_tasks(path: Path, options: DataOptions = DEFAULT_OPTIONS) -> list[TaskLocation]:
    """Find every task at `path`, one or more; none of them is read.

    Args:
        path: a manifest, a MedMNIST archive, or a folder.
        options: the columns that a manifest must have, and a table that labels the patients of the folder.

    Raises:
        InputError: there is none, class folders are mixed with data sets of their own, or a table beside the folders
            names them as patients.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    if options.table is not None:
        return [TaskLocation(path, table=find_table(path, options.table))]
    if path.is_file():
        if not has_name_of(path, CSV, NPZ):
            raise InputError(f"{path} is not a task; give a folder, a .csv manifest or a MedMNIST .npz file.")
        return [TaskLocation(path)]
    try:
        found = _search(path, options)
    except OSError as error:
        raise InputError(f"{path} could not be searched ({error}); check that you may read it.") from error
    if all(location.class_folders is not None for location in found):
        refuse_table_of_patients(path, [child.name for child in path.iterdir() if child.is_dir()])
    if not found:
        raise InputError(
            f"{path} holds no task; expected class folders of images, a CSV with the columns "
            f"'{options.image or IMAGE}' and '{options.label}', or a MedMNIST .npz file{_other_tables(path)}."
        )
    for location in found:
        if location.class_folders is not None:
            refuse_table_of_patients(location.path, location.class_folders)
    return [replace(location, levels=len(location.path.relative_to(path).parts)) for location in found]


def _other_tables(folder: Path) -> str:
    """Return what the tables in the folder have instead, as an end of a sentence."""
    tables = _tables_in(folder)
    if not tables:
        return ""
    return f"; {tables[0].name} has {', '.join(header_of(tables[0]))}: choose with --image and --label, or give --table"


def _tables_in(folder: Path) -> list[Path]:
    """List the tables of a folder; none if it may not be read."""
    try:
        return sorted(child for child in folder.iterdir() if has_name_of(child, CSV) and child.is_file())
    except OSError:
        return []


def refuse_table_of_patients(folder: Path, class_folders: Collection[str]) -> None:
    """Raise InputError if a table in or beside the folder lists its sub-folders as patients, which are no classes."""
    for table in _tables_in(folder) + _tables_in(folder.resolve().parent):
        column = patients_column_of(table, class_folders)
        if column:
            others = [name for name in header_of(table) if name != column]
            choice = others[0] if len(others) == 1 else f"COLUMN (one of {', '.join(others)})"
            raise InputError(
                f"{printable_path(folder)} holds {len(class_folders)} folders that {table.name} lists in its column "
                f"'{column}', so they are patients, not classes; give --table {printable_path(table)} --label {choice}."
            )


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


def _search(folder: Path, options: DataOptions) -> list[TaskLocation]:
    """Find the data sets of a folder: the one that it is, or those in it."""
    if (folder / FOLDER_MANIFEST).is_file():
        return [TaskLocation(folder / FOLDER_MANIFEST)]
    children = _Children()
    for child in sorted(child for child in folder.iterdir() if not child.name.startswith(".")):
        if child.is_dir():
            _add_folder(children, child, options)
        elif has_name_of(child, NPZ) or (has_name_of(child, CSV) and is_manifest(child, options)):
            children.found.append(TaskLocation(child))
    if not children.classes:
        return _by_patients(folder, children)
    others = [location for location in children.found if _is_data_set(location, options)]
    manifests = [location for location in others if location.path.parent == folder and location.is_manifest]
    if len(children.classes) == 1 and manifests == others and manifests and not children.series:
        return manifests  # and the one folder holds their images
    if others or children.series:
        raise _mixture(folder, children.classes, [location.path for location in others] + children.series)
    return [TaskLocation(folder, children.classes)]


def _by_patients(folder: Path, children: _Children) -> list[TaskLocation]:
    """Return the data sets that were found, or the one task whose class folders hold a folder for each patient."""
    within: dict[str, set[str]] = {}
    for location in children.found:
        if location.class_folders is None or location.patients is not None:
            return children.found
        first, *below = location.path.relative_to(folder).parts
        within.setdefault(first, set()).update(below[:1] or location.class_folders)
    names = {name: sorted(inside) for name, inside in within.items()}
    above = hold_classes(names)  # the patients are above the classes
    if children.series or not (above or are_patients(names)):
        return children.found
    classes: dict[str, list[Path]] = {}
    patients: dict[Path, str] = {}
    for first, inside in names.items():
        for second in inside:
            label, patient = (second, first) if above else (first, second)
            images = all_image_paths(folder / first / second)
            classes.setdefault(label, []).extend(images)
            patients |= dict.fromkeys(images, patient)
    return [TaskLocation(folder, dict(sorted(classes.items())), patients)]


def _add_folder(children: _Children, child: Path, options: DataOptions) -> None:
    """Add a sub-folder: a data set, or a folder of them; an image; or a class."""
    inside = _search(child, options)
    sets = [location for location in inside if _is_data_set(location, options)]
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


def _is_data_set(location: TaskLocation, options: DataOptions) -> bool:
    """Whether this can only be a data set of its own, and no volume and no folder of masks."""
    if location.class_folders is not None:
        return len(location.class_folders) > 1
    if location.is_archive:
        return is_medmnist(location.path)
    return location.path.name == FOLDER_MANIFEST or is_manifest(location.path, options)


def _mixture(folder: Path, classes: Mapping[str, list[Path]], others: list[Path]) -> InputError:
    names, first = ", ".join(f"'{printable_path(name)}'" for name in [*classes][:3]), others[0]
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    if has_name_of(first, CSV) and first.parent == folder:
        advice = f"give {first.name} by itself, or rename it to {FOLDER_MANIFEST} if it lists these images"
    else:
        advice = "give each data set by itself"
        if first.is_dir() and not is_series(first):
            advice += ", or, if the folders in it are patients, sort the images of all classes into such folders"
    kind = "DICOM series" if first.is_dir() and is_series(first) else "data set"
    return InputError(
        f"{printable_path(folder)} holds class folders of images ({names}) beside the {kind} "
        f"{printable_path(first.relative_to(folder))}{more}; {advice}."
    )
