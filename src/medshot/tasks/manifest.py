"""The reader of manifests: `image,label[,patient]` in any usual dialect of CSV, one row per sample.

`load_tasks`, the audit and de-identification all read manifests here, so that they agree on every one of them.
"""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medshot.errors import InputError
from medshot.imaging import split_member
from medshot.imaging.formats import CSV
from medshot.tasks.columns import (
    DEFAULT_OPTIONS,
    IMAGE,
    PATIENT,
    DataOptions,
    Roles,
    image_name,
    patient_columns,
    roles_of,
    same_column,
    without_columns,
)
from medshot.tasks.rows import Problem, Rows, why_missing
from medshot.tasks.spelling import JOIN_ADVICE, joined, label_remarks, patient_remarks
from medshot.tasks.text import HEADER_LIMIT, REMARKS, opened

MANIFEST_SUFFIXES = frozenset(CSV.suffixes)
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Manifest:
    """The rows of a manifest that can be used, and the problems of the others.

    Args:
        path: the file.
        delimiter: the character between its columns.
        columns: for each column, its value in each usable row, without surrounding spaces.
        lines: the line of each usable row.
        problems: why the other rows cannot be used, in the order of their lines.
        roles: which columns hold images, labels and patients.
        remarks: sentences on how it was read, for the user.
        folder: the folder that the paths of images are relative to.
    """

    path: Path
    delimiter: str
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int]
    problems: tuple[Problem, ...]
    roles: Roles
    remarks: tuple[str, ...]
    folder: Path

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def image_columns(self) -> Sequence[str]:
        """The columns that name images: `image`, or all `image:NAME`."""
        return self.roles.images

    @property
    def unlabelled(self) -> int:
        """The number of rows that have no label and are left out."""
        return sum(not problem.harmful for problem in self.problems)

    @property
    def harmful(self) -> list[Problem]:
        """The problems that have to be corrected."""
        return [problem for problem in self.problems if problem.harmful]

    @property
    def labels(self) -> Sequence[str]:
        """The label of each row."""
        assert self.roles.label is not None
        return self.columns[self.roles.label]

    @property
    def patients(self) -> Sequence[str] | None:
        """The patient of each row, or None if the column is missing."""
        return None if self.roles.patient is None else self.columns[self.roles.patient]

    def images(self) -> dict[str, list[Path | None]]:
        """Return, for each name of an image, its path in each row, or None if the row lacks it.

        The name of a single column `image` is "". `scan.npz#flair` is the array `flair` of `scan.npz`.
        """
        return {
            image_name(column): [self.folder / cell if cell else None for cell in self.columns[column]]
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
                f"{self.path} names {missing[0]}, which {why_missing(missing[0], self.folder)} ({len(missing)} of "
                f"{len(images)} images are missing); correct the paths, they are relative to the manifest."
            )


def is_manifest(path: Path, options: DataOptions) -> bool:
    """Whether the file's first line is a header with columns of images and, if it is asked for, of labels."""
    try:
        with opened(path, first_line=True) as file:
            return _delimiter_of(file.readline(HEADER_LIMIT), options, of_patients=False) is not None
    except (InputError, OSError, UnicodeError):
        return False


def read_manifest(
    path: Path, options: DataOptions = DEFAULT_OPTIONS, *, content: bytes | None = None, of_patients: bool = False
) -> Manifest:
    """Read a manifest with a header; any of `,;|` or tab between columns, with or without BOM, quoted or not.

    Args:
        path: the CSV file.
        options: the columns of images, labels and patients, and which rows are kept.
        content: the bytes of the file, if they were read already.
        of_patients: whether the table lists patients and no images.

    Raises:
        InputError: these columns are missing, or no row can be used.
    """
    with opened(path, content) as file:
        first = file.readline(HEADER_LIMIT)
        delimiter = _delimiter_of(first, options, of_patients=of_patients)
        file.seek(0)
        if delimiter is None:
            _refuse_nul(path, file.read(HEADER_LIMIT))
            raise without_columns(path, _longest_header(first), options, of_patients=of_patients)
        reader = csv.reader((_refuse_nul(path, line) for line in file), delimiter=delimiter, strict=True)
        try:
            header = [name.strip() for name in next(reader)]
            _judge_header(path, header, options, of_patients=of_patients)
            rows = Rows(header, roles_of(header, options), options, path.parent, of_patients=of_patients)
            for values in reader:
                if values:
                    rows.add(reader.line_num, values)
        except csv.Error as error:
            raise InputError(
                f"{path} line {reader.line_num} is not valid CSV ({error}); correct its quotes."
            ) from error
        encoding = file.encoding
    remarks = _remarks(path, rows, options, encoding)
    manifest = Manifest(
        path, delimiter, rows.columns, rows.lines, tuple(rows.problems), rows.roles, tuple(remarks), path.parent
    )
    if not manifest.lines:
        if manifest.harmful:
            raise InputError(f"{path} line {manifest.harmful[0].line} {manifest.harmful[0].what}.")
        if options.label is None:
            raise InputError(f"{path} has no rows below its first line; name an image in each.")
        raise InputError(f"{path} has no row with a label in column '{options.label}'; check --label and --keep.")
    return manifest


def read_images(path: Path, image: str | None = None) -> dict[str, list[Path | None]]:
    """Read the images of a manifest with or without labels: for each name of an image, its path in each sample.

    Args:
        path: the CSV file.
        image: the column of images; `image`, or all `image:NAME`, if left out.

    Raises:
        InputError: there is no column of images, a row cannot be used, or an image is missing.
    """
    manifest = read_manifest(path, DataOptions(label=None, image=image))
    manifest.refuse_problems()
    return manifest.images()


def read_patients(path: Path) -> tuple[list[str] | None, tuple[str, ...]]:
    """Read the patient of each sample of a manifest, None if no column names them, and the remarks for the user.

    Raises:
        InputError: what `read_images` refuses.
    """
    manifest = read_manifest(path, DataOptions(label=None))
    manifest.refuse_problems()
    return None if manifest.patients is None else list(manifest.patients), manifest.remarks


def header_of(path: Path) -> list[str]:
    """Return the names of the columns of a table; InputError if it cannot be read."""
    with opened(path, first_line=True) as file:
        return _longest_header(file.readline(HEADER_LIMIT))


def _longest_header(first: str) -> list[str]:
    return max((_header_under(first, delimiter) for delimiter in DELIMITERS), key=len)


def _refuse_nul(path: Path, text: str) -> str:
    if "\0" in text:
        raise InputError(f"{path} is not UTF-8 text (it holds NUL bytes); save it as CSV in UTF-8.")
    return text


def _header_under(header: str, delimiter: str) -> list[str]:
    """Return the names of the columns that this delimiter separates; none if the quotes are wrong."""
    try:
        return [name.strip() for name in next(csv.reader([header], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _delimiter_of(header: str, options: DataOptions, *, of_patients: bool) -> str | None:
    """Return the delimiter that makes the header have the columns that are asked for."""
    for delimiter in DELIMITERS:
        columns = _header_under(header, delimiter)
        roles = roles_of(columns, options)
        # under a wrong delimiter the whole header is one name that starts with `image:`
        several = any(other in name for name in roles.images for other in DELIMITERS)
        named = roles.patient is not None if of_patients else roles.images and not several
        if named and (options.label is None or roles.label is not None):
            return delimiter
    return None


def _judge_header(path: Path, header: list[str], options: DataOptions, *, of_patients: bool) -> None:
    roles = roles_of(header, options)
    named = roles.patient if of_patients else roles.images
    if not named or (options.label and not roles.label) or (options.patient and not roles.patient):
        raise without_columns(path, header, options, of_patients=of_patients)
    if len(set(header)) < len(header):
        raise InputError(f"{path} has two columns of the same name; rename one.")
    beside = [name for name in header if image_name(name)]
    if options.image is None and len(roles.images) == 1 and not image_name(roles.images[0]) and beside:
        raise InputError(f"{path} has a column '{IMAGE}' beside columns '{IMAGE}:NAME'; name all images or one.")
    for column in options.keep:
        if same_column(header, column) is None:
            raise InputError(f"{path} has no column '{column}' to keep by; it has {', '.join(header)}.")


def _remarks(path: Path, rows: Rows, options: DataOptions, encoding: str) -> list[str]:
    """Join the labels if that is asked for, and return the remarks for the user on how the table was read."""
    roles, remarks = rows.roles, [f"{path.name} {REMARKS[encoding]}."] if encoding in REMARKS else []
    if roles.patient not in (None, PATIENT, options.patient):
        others = [name for name in patient_columns(rows.columns) if name != roles.patient]
        instead = f", not from '{others[0]}'; --patient COLUMN chooses" if others else ""
        remarks.append(f"Patients are taken from the column '{roles.patient}'{instead}.")
    if roles.patient is not None:
        remarks += patient_remarks(rows.columns[roles.patient])
    if roles.label is not None:
        before = rows.columns[roles.label]
        if options.join_labels:
            after = rows.columns[roles.label] = joined(before)
            if count := sum(old != new for old, new in zip(before, after, strict=True)):
                remarks.append(f"{count} labels were joined to a label that differs only in how it is written.")
        elif found := label_remarks(before):
            remarks += [*found, JOIN_ADVICE]
    return remarks
