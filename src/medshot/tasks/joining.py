"""A folder of images and a table of patients: each image gets the row that its folder, name or PatientID names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from medshot.errors import InputError
from medshot.imaging import all_image_paths, patient_of
from medshot.storage import printable_path
from medshot.tasks.columns import DataOptions, Roles, patient_columns, roles_of
from medshot.tasks.layouts import named_like_patients
from medshot.tasks.manifest import Manifest, header_of, read_manifest
from medshot.tasks.rows import Problem

_SHOWN = 3


def find_table(folder: Path, table: Path) -> Path:
    """Return the table of that path, or of that name in the folder; InputError if there is none."""
    if not folder.is_dir():
        raise InputError(f"--table is for a folder of images, but {folder} is none; leave it out.")
    for path in (table, folder / table):
        if path.is_file():
            return path
    raise InputError(f"{table} does not exist; check --table.")


def joined_manifest(folder: Path, table: Path, options: DataOptions) -> Manifest:
    """Return the rows of a table of patients for each of their images below a folder.

    An image belongs to the row whose patient is the name of one of the folders that it is in (the nearest first), its
    own name without the suffix, or the PatientID of its DICOM header.

    Args:
        folder: the folder of the images; the paths in the manifest are relative to it.
        table: the table; its column of patients is the one with a usual name, or the one with most of these names.
        options: the columns of labels and patients, and which rows are kept.

    Raises:
        InputError: the table cannot be read, or names none of the images.
    """
    images = all_image_paths(folder)
    if not images:
        raise InputError(f"{folder} holds no image; check the path.")
    names = [_names_of(image, folder) for image in images]
    options = _with_patients(table, options, names)
    rows = read_manifest(table, options, of_patients=True)
    row_of, problems = _row_of_patient(rows)
    found = [next((row_of[name] for name in of_one if name in row_of), -1) for of_one in names]
    left_out = sum(row < 0 for row in found)
    if left_out == len(images):
        raise InputError(
            f"{table} names none of the {len(images)} images in {folder}: its column '{rows.roles.patient}' has "
            f"{_some(list(row_of))}, the folders or PatientIDs are {_some([of_one[0] for of_one in names])}; choose "
            "with --patient."
        )
    remarks = [
        f"{len(images) - left_out} images were joined with {table.name} by '{rows.roles.patient}'.",
        *rows.remarks,
    ]
    if left_out:
        without = [
            printable_path(image.relative_to(folder)) for image, row in zip(images, found, strict=True) if row < 0
        ]
        remarks.append(f"{left_out} images have no row in {table.name} and were left out: {_some(without)}.")
    if unused := [patient for patient, row in row_of.items() if row not in {*found}]:
        remarks.append(f"{len(unused)} patients of {table.name} have no image: {_some(unused)}.")
    taken = [(image, row) for image, row in zip(images, found, strict=True) if row >= 0]
    column = next(name for name in ("image", "image file", "image path of the join") if name not in rows.columns)
    columns = {name: [values[row] for _, row in taken] for name, values in rows.columns.items()}
    columns[column] = [str(image.relative_to(folder)) for image, _ in taken]
    return replace(
        rows,
        columns=columns,
        lines=[rows.lines[row] for _, row in taken],
        problems=tuple(sorted((*rows.problems, *problems), key=lambda problem: problem.line)),
        roles=Roles((column,), rows.roles.label, rows.roles.patient),
        remarks=tuple(remarks),
        folder=folder,
    )


def patients_column_of(table: Path, names: Iterable[str]) -> str:
    """Return the column of a table that lists at least half of the names as patients; "" if there is none.

    A table of images repeats the names of classes, and a table of classes has no column with a few values for all.
    """
    wanted = set(names)
    try:
        header = [column for column in header_of(table) if column]
        columns = read_manifest(table, DataOptions(label=None, patient=header[0]), of_patients=True).columns
    except (InputError, IndexError):  # it is not about these images
        return ""
    held = {column: len(wanted & set(values)) for column, values in columns.items()}
    best = max(held, key=held.__getitem__)
    rows = len(columns[best])
    labelled = any(2 <= len(set(values)) <= rows / 2 for column, values in columns.items() if column != best)
    patients = patient_columns([best]) or named_like_patients(wanted) or labelled
    listed = len(wanted) > 1 and 2 * held[best] >= len(wanted) and rows <= 2 * len(set(columns[best]))
    return best if listed and patients else ""


def _names_of(image: Path, folder: Path) -> list[str]:
    """Return the names by which a table may name the patient of an image, the likeliest first."""
    above = [part.name for part in image.relative_to(folder).parents if part.name]
    own = [image.name] if image.is_dir() else [image.name.partition(".")[0], image.name]
    identity = patient_of(image, identity=True)
    return [*(own if image.is_dir() else []), *above, *own, *([identity] if identity else [])]


def _with_patients(table: Path, options: DataOptions, names: Sequence[Sequence[str]]) -> DataOptions:
    """Return the options with the column of patients, if it has no usual name that with most names of images."""
    header = header_of(table)
    if options.patient or roles_of(header, options).patient:
        return options
    present = {name for of_one in names for name in of_one}
    share = {
        column: _share(read_manifest(table, replace(options, patient=column), of_patients=True), present)
        for column in header
        if column and column != roles_of(header, options).label
    }
    best = max(share, key=share.__getitem__, default="")
    return replace(options, patient=best) if best and share[best] >= 0.5 else options


def _share(rows: Manifest, present: set[str]) -> float:
    values = set(rows.patients or ())
    return len(values & present) / max(1, len(values))


def _row_of_patient(rows: Manifest) -> tuple[Mapping[str, int], list[Problem]]:
    """Return the first row of each patient, and the rows that give a patient a second label."""
    row_of: dict[str, int] = {}
    problems = []
    for row, patient in enumerate(rows.patients or ()):
        first = row_of.setdefault(patient, row)
        if rows.labels[row] != rows.labels[first]:
            what = f"gives the patient another label than line {rows.lines[first]}; correct one of the two rows"
            problems.append(Problem(rows.lines[row], what))
    return row_of, problems


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f"'{name}'" for name in names[:_SHOWN]) + more
