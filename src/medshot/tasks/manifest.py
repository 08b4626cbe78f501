"""The reader of manifests: `image,label[,patient]` in any usual dialect of CSV, one row per sample.

`load_tasks`, the audit and de-identification all read manifests here, so that they agree on every one of them.
"""

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from sys import intern
from typing import TextIO

from medshot.errors import InputError
from medshot.imaging import split_member
from medshot.imaging.formats import CSV
from medshot.storage import printable_path

MANIFEST_SUFFIXES = frozenset(CSV.suffixes)
DELIMITERS = ",;\t|"
IMAGE, PATIENT = "image", "patient"
NAMED = f"{IMAGE}:"
_HEADER_LIMIT = 1 << 16  # characters of the first line


@dataclass(frozen=True)
class Problem:
    """A problem in one row of a manifest.

    Args:
        line: its line in the file; of a row over several lines, the last.
        what: the rest of a sentence that starts with the file and the line, and ends with what to do.
        harmful: whether the manifest has to be corrected; otherwise the row has no label and is left out.
    """

    line: int
    what: str
    harmful: bool = True


@dataclass(frozen=True)
class Manifest:
    """The rows of a manifest that can be used, and the problems of the others.

    Args:
        path: the file; the paths of images in it are relative to its folder.
        delimiter: what is between its columns.
        columns: for each column, its value in each usable row, without surrounding spaces.
        lines: the line of each usable row.
        problems: why the other rows cannot be used, in the order of their lines.
    """

    path: Path
    delimiter: str
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int]
    problems: tuple[Problem, ...]

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def image_columns(self) -> list[str]:
        """The columns that name images: `image`, or all `image:NAME`."""
        return image_columns(self.columns)

    @property
    def unlabelled(self) -> int:
        """The number of rows that have no label and are left out."""
        return sum(not problem.harmful for problem in self.problems)

    @property
    def harmful(self) -> list[Problem]:
        """The problems that have to be corrected."""
        return [problem for problem in self.problems if problem.harmful]

    @property
    def patients(self) -> Sequence[str] | None:
        """The patient of each row, or None if the column is missing."""
        return self.columns.get(PATIENT)

    def images(self) -> dict[str, list[Path | None]]:
        """Return, for each name of an image, its path in each row, or None if the row lacks it.

        The name of the only column is "". `scan.npz#flair` is the array of that name.
        """
        folder = self.path.parent
        return {
            column.removeprefix(IMAGE).removeprefix(":"): [
                folder / cell if cell else None for cell in self.columns[column]
            ]
            for column in self.image_columns
        }

    def refuse_problems(self) -> None:
        """Raise InputError if a row cannot be used or an image does not exist."""
        for problem in self.harmful:
            raise InputError(f"{self.path} line {problem.line} {problem.what}.")
        images = [image for of_name in self.images().values() for image in of_name if image]
        # Path.exists raises if a name is too long for the file system
        missing = [image for image in images if not os.path.exists(split_member(image)[0])]  # noqa: PTH110
        if missing:
            raise InputError(
                f"{self.path} names {missing[0]}, which does not exist ({len(missing)} of {len(images)} images are "
                "missing); correct the paths, they are relative to the manifest."
            )


def is_manifest(path: Path, label: str = "label") -> bool:
    """Whether the file's first line is a header with the columns `image`, or `image:NAME`, and `label`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _delimiter_of(file.readline(_HEADER_LIMIT), label) is not None
    except (OSError, UnicodeDecodeError):
        return False


def read_manifest(
    path: Path,
    *,
    label: str | None = "label",
    keep: Mapping[str, Sequence[str]] | None = None,
    content: bytes | None = None,
) -> Manifest:
    """Read a manifest with a header; any of `,;|` or tab between columns, with or without BOM, quoted or not.

    Args:
        path: the CSV file.
        label: the column of labels, whose empty cells leave their rows out; None if labels are not asked for.
        keep: for a column, the values whose rows are kept.
        content: the bytes of the file, if they were read already.

    Raises:
        InputError: these columns are missing, or no row can be used.
    """
    with _opened(path, content) as file:
        delimiter = _delimiter_of(file.readline(_HEADER_LIMIT), label)
        file.seek(0)
        if delimiter is None:
            _refuse_nul(path, file.read(_HEADER_LIMIT))
            raise _without_columns(path, label)
        reader = csv.reader((_refuse_nul(path, line) for line in file), delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(reader)]
            _judge_header(path, header, label, keep or {})
            rows = ((reader.line_num, values) for values in reader if values)
            columns, lines, problems = _read_rows(header, rows, label, keep or {})
        except csv.Error as error:
            raise InputError(
                f"{path} line {reader.line_num} is not valid CSV ({error}); correct its quotes."
            ) from error
    manifest = Manifest(path, delimiter, columns, lines, tuple(problems))
    if not lines:
        if manifest.harmful:
            raise InputError(f"{path} line {manifest.harmful[0].line} {manifest.harmful[0].what}.")
        if label is None:
            raise InputError(f"{path} has no rows below its first line; name an image in each.")
        raise InputError(f"{path} has no row with a label in column '{label}'; check --label and --keep.")
    return manifest


def read_images(path: Path) -> dict[str, list[Path | None]]:
    """Read the images of a manifest with or without labels: for each name of an image, its path in each sample.

    Raises:
        InputError: there is no column of images, a row cannot be used, or an image is missing.
    """
    manifest = read_manifest(path, label=None)
    manifest.refuse_problems()
    return manifest.images()


def read_patients(path: Path) -> list[str] | None:
    """Read the patient of each sample of a manifest with or without labels; None if it has no such column.

    Raises:
        InputError: what `read_images` refuses.
    """
    manifest = read_manifest(path, label=None)
    manifest.refuse_problems()
    return None if manifest.patients is None else list(manifest.patients)


def image_columns(columns: Iterable[str]) -> list[str]:
    """Return the columns that name images: `image`, or else all `image:NAME`."""
    columns = list(columns)
    return [IMAGE] if IMAGE in columns else [column for column in columns if column.startswith(NAMED)]


@contextmanager
def _opened(path: Path, content: bytes | None) -> Iterator[TextIO]:
    try:
        binary = BytesIO(content) if content is not None else path.open("rb")
        with TextIOWrapper(binary, encoding="utf-8-sig", newline="") as file:
            yield file
    except OSError as error:
        raise InputError(f"{path} could not be read ({error.strerror}); check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it as CSV in UTF-8.") from error


def _refuse_nul(path: Path, text: str) -> str:
    if "\0" in text:
        raise InputError(f"{path} is not UTF-8 text (it holds NUL bytes); save it as CSV in UTF-8.")
    return text


def _delimiter_of(header: str, label: str | None) -> str | None:
    """Return the delimiter that makes the header have a column of images and, if one is asked for, `label`."""
    for delimiter in DELIMITERS:
        try:
            columns = [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
        except csv.Error:
            continue
        named = image_columns(columns)
        # under a wrong delimiter the whole header is one name that starts with `image:`
        several = any(other in name for name in named for other in DELIMITERS)
        if named and not several and (label is None or label in columns):
            return delimiter
    return None


def _without_columns(path: Path, label: str | None) -> InputError:
    wanted = "column 'image'" if label is None else f"columns 'image' and '{label}'"
    return InputError(f"{path} has no {wanted} in its first line; name them there or choose with --label.")


def _judge_header(path: Path, header: list[str], label: str | None, keep: Mapping[str, Sequence[str]]) -> None:
    if not image_columns(header) or (label is not None and label not in header):
        raise _without_columns(path, label)
    if len(set(header)) < len(header):
        raise InputError(f"{path} has two columns of the same name; rename one.")
    if IMAGE in header and any(name.startswith(NAMED) for name in header):
        raise InputError(f"{path} has a column '{IMAGE}' beside columns '{NAMED}NAME'; name all images or one.")
    for column in keep:
        if column not in header:
            raise InputError(f"{path} has no column '{column}' to keep by; it has {', '.join(header)}.")


def _read_rows(
    header: list[str], rows: Iterable[tuple[int, list[str]]], label: str | None, keep: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[str]], list[int], list[Problem]]:
    """Return the columns and lines of the usable rows, and the problems of the others."""
    columns: dict[str, list[str]] = {name: [] for name in header}
    lines: list[int] = []
    problems: list[Problem] = []
    first_line = {name: dict[str, int]() for name in image_columns(header)}
    for line, values in rows:
        if len(values) != len(header):
            what = f"has {len(values)} fields where the header has {len(header)}; quote fields that hold the delimiter"
            problems.append(Problem(line, what))
            continue
        row = dict(zip(header, map(str.strip, values), strict=True))
        if any(row[column] not in allowed for column, allowed in keep.items()):
            continue
        if label is not None and not row[label]:
            problems.append(Problem(line, "has no label", harmful=False))
        elif what := _unusable(row, first_line, line):
            problems.append(Problem(line, what))
        else:
            lines.append(line)
            for name, value in row.items():
                columns[name].append(value if name in first_line else intern(value))
    return columns, lines, problems


def _unusable(row: Mapping[str, str], first_line: Mapping[str, dict[str, int]], line: int) -> str:
    """Return why a row cannot be used, "" if it can; its images are then added to `first_line`."""
    if not any(row[column] for column in first_line):
        return "names no image; fill in the image column or remove the row"
    images = {column: os.path.normpath(row[column]) for column in first_line if row[column]}
    for column, image in images.items():
        if image in first_line[column]:
            first = first_line[column][image]
            return (
                f"names {printable_path(row[column])} a second time (first on line {first}); remove one of the two rows"
            )
    for column, image in images.items():
        first_line[column][image] = line
    if row.get(PATIENT) == "":
        return "names no patient; fill in the column, or remove it if every image is a patient"
    return ""
