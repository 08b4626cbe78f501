"""CSV manifests: `image,label[,patient]` in any of the usual dialects, one row per labelled image."""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medshot.errors import InputError
from medshot.imaging import parted

MANIFEST_SUFFIXES = frozenset({".csv", ".tsv"})
DELIMITERS = ",;\t|"
IMAGE = "image"
NAMED = f"{IMAGE}:"


@dataclass(frozen=True)
class Manifest:
    """The labelled rows of one manifest.

    Args:
        images: for each name of an image, its path in each sample, resolved against the manifest's folder; None where a
            sample lacks it. The name of the only column is "". `scan.npz#flair` is the array of that name.
        labels: label of each image, as text.
        patients: patient of each image, as text, or None where the manifest has no such column.
        dropped: how many rows had an empty label.
    """

    images: dict[str, list[Path | None]]
    labels: list[str]
    patients: list[str] | None
    dropped: int


def is_manifest(path: Path, label: str = "label") -> bool:
    """Whether the file's first line is a header with the columns `image`, or `image:NAME`, and `label`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return delimiter_of(file.readline(1 << 16), label) is not None
    except (OSError, UnicodeDecodeError):
        return False


def read_manifest(path: Path, *, label: str = "label", keep: Mapping[str, Sequence[str]] | None = None) -> Manifest:
    """Read a manifest with a header; any of `,;|` or tab between columns, with or without BOM, quoted or not.

    Args:
        path: the CSV file; image paths in it are relative to its folder.
        label: the column to take labels from.
        keep: for a column, the values whose rows are kept.

    Raises:
        InputError: a column is missing, a row is ragged or stands twice, an image is missing, or nothing is left.
    """
    rows = _rows(path, label, keep or {})
    labelled = [(number, row) for number, row in rows if row[label].strip()]
    if not labelled:
        raise InputError(f"{path} has no row with a label in column '{label}'; check --label and --keep.")
    return Manifest(
        _images_of(path, labelled),
        [row[label].strip() for _, row in labelled],
        _patients(path, labelled),
        len(rows) - len(labelled),
    )


def read_images(path: Path) -> dict[str, list[Path | None]]:
    """The images of a manifest with or without labels: for each name of an image, its path in each sample.

    Raises:
        InputError: there is no column of images, a row is ragged or stands twice, or an image is missing.
    """
    rows = _rows(path, None, {})
    if not rows:
        raise InputError(f"{path} has no rows below its first line; name an image in each.")
    return _images_of(path, rows)


def read_patients(path: Path) -> list[str] | None:
    """The patient of each sample of a manifest with or without labels; None where it has no such column.

    Raises:
        InputError: a row names none, and what `read_images` refuses.
    """
    rows = _rows(path, None, {})
    return _patients(path, rows) if rows else None


def _images_of(path: Path, rows: list[tuple[int, dict[str, str]]]) -> dict[str, list[Path | None]]:
    """For each name of an image, its path in each row, all of which exist."""
    names = {column: column.removeprefix(IMAGE).removeprefix(":") for column in image_columns(rows[0][1])}
    images = {name: _paths(path, column, rows) for column, name in names.items()}
    _refuse_missing(path, [image for of_name in images.values() for image in of_name if image])
    return images


def image_columns(columns: Iterable[str]) -> list[str]:
    """The columns that name images: `image`, or else all `image:NAME`."""
    columns = list(columns)
    return [IMAGE] if IMAGE in columns else [column for column in columns if column.startswith(NAMED)]


def _paths(path: Path, column: str, rows: list[tuple[int, dict[str, str]]]) -> list[Path | None]:
    """The image of each row; InputError where a row names none that must, or one that stands before."""
    first_seen: dict[str, int] = {}
    images: list[Path | None] = []
    for number, row in rows:
        image = row[column].strip()
        if not image and (column == IMAGE or not any(row[other].strip() for other in image_columns(row))):
            raise InputError(f"{path} line {number} names no image; fill in the image column or remove the row.")
        same = os.path.normpath(image)
        if image and same in first_seen:
            raise InputError(
                f"{path} line {number} names {image} a second time (first on line {first_seen[same]}); "
                "remove one of the two rows."
            )
        first_seen[same] = number
        images.append(path.parent / image if image else None)
    return images


def _refuse_missing(path: Path, images: list[Path]) -> None:
    # Path.exists raises where a name is too long for the file system
    missing = [image for image in images if not os.path.exists(parted(image)[0])]  # noqa: PTH110
    if missing:
        raise InputError(
            f"{path} names {missing[0]}, which does not exist ({len(missing)} of {len(images)} images are missing); "
            "correct the paths, they are relative to the manifest."
        )


def _rows(path: Path, label: str | None, keep: Mapping[str, Sequence[str]]) -> list[tuple[int, dict[str, str]]]:
    """The rows that `keep` keeps, with their line numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} could not be read ({error.strerror}); check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it as CSV in UTF-8.") from error
    if "\0" in text:
        raise InputError(f"{path} is not UTF-8 text (it holds NUL bytes); save it as CSV in UTF-8.")
    delimiter = delimiter_of(text.split("\n", 1)[0], label)
    if delimiter is None:
        wanted = "column 'image'" if label is None else f"columns 'image' and '{label}'"
        raise InputError(f"{path} has no {wanted} in its first line; name them there or choose with --label.")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip() for name in reader.fieldnames or []]
        if len(set(header)) < len(header):
            raise InputError(f"{path} has two columns of the same name; rename one.")
        if IMAGE in header and any(name.startswith(NAMED) for name in header):
            raise InputError(f"{path} has a column '{IMAGE}' beside columns '{NAMED}NAME'; name all images or one.")
        for column in keep:
            if column not in header:
                raise InputError(f"{path} has no column '{column}' to keep by; it has {', '.join(header)}.")
        reader.fieldnames = header
        rows = []
        for row in reader:
            if None in row or None in row.values():
                raise InputError(
                    f"{path} line {reader.line_num} has another number of fields than the header; quote fields that "
                    "hold the delimiter."
                )
            if all(row[column].strip() in values for column, values in keep.items()):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise InputError(f"{path} line {reader.line_num} is not valid CSV ({error}); correct its quotes.") from error
    return rows


def delimiter_of(header: str, label: str | None) -> str | None:
    """The delimiter under which the header has the columns `image` and, where one is asked for, `label`."""
    for delimiter in DELIMITERS:
        try:
            columns = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
        except csv.Error:
            continue
        if image_columns(columns) and (label is None or label in columns):
            return delimiter
    return None


def _patients(path: Path, rows: list[tuple[int, dict[str, str]]]) -> list[str] | None:
    if "patient" not in rows[0][1]:
        return None
    for number, row in rows:
        if not row["patient"].strip():
            raise InputError(
                f"{path} line {number} names no patient; fill in the column, or remove it if every image is a patient."
            )
    return [row["patient"].strip() for _, row in rows]
