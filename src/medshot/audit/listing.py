"""What DATA names: every sample with its label, patient, split and other columns, and every row that cannot be used.

Where `load_tasks` stops at the first problem, a check lists them all. Rows cost some hundred bytes each; no pixel is
read here, except that of a MedMNIST archive, which is an array already.
"""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern

import numpy as np
from jaxtyping import Int32

from medshot.audit.findings import Example, Finding
from medshot.errors import InputError
from medshot.imaging.npz import StackedImages, read_medmnist_splits
from medshot.storage import shown
from medshot.tasks.manifest import MANIFEST_SUFFIXES, delimiter_of, image_columns
from medshot.tasks.reading import Place, places, task_name

OWN_COLUMNS = ("image", "label", "patient")
_FIELD_LIMIT = 1 << 20


@dataclass(frozen=True)
class Column:
    """A column of text in which values repeat: `names[codes[k]]` is the value of row k."""

    codes: Int32[np.ndarray, " rows"]
    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Sequence[str]) -> "Column":
        """The values as codes of their sorted names."""
        names = sorted(set(values))
        index = {name: code for code, name in enumerate(names)}
        return cls(np.array([index[value] for value in values], dtype=np.int32), tuple(names))

    def __getitem__(self, row: int) -> str:
        return self.names[self.codes[row]]

    def select(self, rows: np.ndarray) -> "Column":
        """The same names, with only these rows."""
        return Column(self.codes[rows], self.names)


@dataclass(frozen=True)
class Problem:
    """A row or an image that cannot be used, and why."""

    where: str
    why: str


@dataclass(frozen=True)
class Listing:
    """One task as DATA names it.

    Args:
        name: what it is called.
        paths: the image files; empty where the images are in memory.
        labels: class of each sample.
        patients: patient of each sample, None where nothing names them.
        splits: split of each sample, None where nothing names it.
        columns: the other columns of the manifest.
        array: the images, where they come in one array.
        problems: rows that had to be left out.
        dropped: how many rows have no label.
    """

    name: str
    paths: Sequence[str]
    labels: Column
    patients: Column | None = None
    splits: Column | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    array: StackedImages | None = None
    problems: tuple[Problem, ...] = ()
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.labels.codes)

    def named(self, row: int) -> str:
        """What to call the image of a row, as text that any file can hold."""
        return shown(self.paths[row]) if self.paths else f"{self.name}[{row}]"


def listings(
    path: Path, *, label: str = "label", split: str = "split", keep: Mapping[str, Sequence[str]] | None = None
) -> list[Listing]:
    """Every task at `path`, with all its problems.

    Args:
        path: what `load_tasks` takes.
        label: the manifest column to take labels from.
        split: the manifest column to take splits from, where there is one.
        keep: for a manifest column, the values whose rows are kept.

    Raises:
        InputError: there is nothing at `path` that could be a task, or a file of it is no table and no archive at all.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist; check the path.")
    found = [_listing(place, label, split, keep or {}) for place in places(path, label)]
    if not found:
        raise InputError(
            f"{path} holds no task; expected class folders of images, a CSV with the columns 'image' and '{label}', "
            "or a MedMNIST .npz file."
        )
    return found


def _listing(place: Place, label: str, split: str, keep: Mapping[str, Sequence[str]]) -> Listing:
    if place.class_folders is not None:
        named = [(str(image), shown(folder)) for folder, images in place.class_folders.items() for image in images]
        return Listing(task_name(place), [image for image, _ in named], Column.of([folder for _, folder in named]))
    if place.path.suffix.lower() == ".npz":
        return _from_archive(place)
    if place.path.suffix.lower() in MANIFEST_SUFFIXES:
        return _from_manifest(place, label, split, keep)
    raise InputError(f"{place.path} is not a task; give a folder, a .csv manifest or a MedMNIST .npz file.")


def _from_archive(place: Place) -> Listing:
    splits = read_medmnist_splits(place.path)
    images, labels = (np.concatenate([pair[k] for pair in splits.values()]) for k in (0, 1))
    named = np.repeat(list(splits), [len(labels) for _, labels in splits.values()])
    return Listing(
        task_name(place),
        (),
        Column.of([str(value) for value in labels]),
        splits=Column.of(named.tolist()) if len(splits) > 1 else None,
        array=images,
    )


def _from_manifest(place: Place, label: str, split: str, keep: Mapping[str, Sequence[str]]) -> Listing:
    path, problems, seen, dropped = place.path, list[Problem](), dict[str, int](), 0
    columns: dict[str, list[str]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = delimiter_of(file.readline(1 << 16), label)
            if delimiter is None:
                raise InputError(f"{path} has no columns 'image' and '{label}'; name them or choose with --label.")
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter)
            header = [name.strip() for name in next(reader)]
            for wanted in keep:
                if wanted not in header:
                    raise InputError(f"{path} has no column '{wanted}' to keep by; it has {', '.join(header)}.")
            if len(set(header)) < len(header):
                raise InputError(f"{path} has two columns of the same name; rename one.")
            named = image_columns(header)
            several = named != ["image"]
            columns = {name: [] for name in ["image", *header] if not (several and name in named)}
            if several and "patient" not in header:
                columns["patient"] = []
            for values in reader:
                if not values:
                    continue
                row = dict(zip(header, map(str.strip, values), strict=False))
                if several:
                    row.setdefault("patient", f"line {reader.line_num}")
                if any(row.get(column) not in allowed for column, allowed in keep.items()):
                    continue
                if len(values) == len(header) and not row[label]:
                    dropped += 1
                    continue
                for image in _images(row):
                    row["image"] = image
                    if why := _unusable(row, values, header, seen, reader.line_num):
                        problems.append(Problem(f"{shown(path)} line {reader.line_num}", why))
                        break
                    for name in columns:
                        columns[name].append(image if name == "image" else intern(row[name]))
    except OSError as error:
        raise InputError(f"{path} could not be read ({error.strerror}); check the path.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise InputError(f"{path} line {reader.line_num} is not valid CSV ({error}); correct its quotes.") from error
    seen.clear()
    if not columns["image"]:
        raise InputError(f"{path} has no row with an image and a label in column '{label}'; check --label and --keep.")
    encoded = {name: Column.of(values) for name, values in columns.items() if name != "image"}
    return Listing(
        task_name(place),
        [str(path.parent / image) for image in columns["image"]],
        encoded[label],
        patients=encoded.get("patient"),
        splits=encoded.get(split),
        columns={name: column for name, column in encoded.items() if name not in {*OWN_COLUMNS, label, split}},
        problems=tuple(problems),
        dropped=dropped,
    )


def _images(row: Mapping[str, str]) -> list[str]:
    """The images of a row, each of which is checked by itself; an empty name where it has none."""
    return [row[column] for column in image_columns(row) if row[column]] or [""]


def _unusable(
    row: Mapping[str, str], values: Sequence[str], header: Sequence[str], seen: dict[str, int], line: int
) -> str:
    """Why a row cannot be used, "" where it can."""
    if len(values) != len(header):
        return f"has {len(values)} fields where the header has {len(header)}; quote fields that hold the delimiter"
    if not row["image"]:
        return "names no image; fill in the column or remove the row"
    if "\0" in row["image"]:
        return "names an image with a NUL byte; correct it"
    first = seen.setdefault(os.path.normpath(row["image"]), line)
    if first != line:
        return f"names {shown(row['image'])} a second time (first on line {first}); remove one of the two rows"
    if row.get("patient") == "":
        return "names no patient; fill in the column, or remove it if every image is a patient"
    return ""


_SAID = 3


def unusable_findings(listing: Listing, unreadable: Sequence[Problem]) -> Iterator[Finding]:
    """Every image that could not be read, every row that could not be used, and how many rows have no label."""
    if unreadable:
        yield _listed(
            listing, "unreadable", f"{len(unreadable):,} of {len(listing):,} images could not be read", unreadable,
            "Replace the files, correct the paths, or remove the rows; nothing else in medshot reads this data before.",
        )  # fmt: skip
    if listing.problems:
        yield _listed(
            listing, "unusable-rows", f"{len(listing.problems):,} rows cannot be used", listing.problems,
            "Correct or remove these rows; nothing else in medshot reads this manifest before.",
        )  # fmt: skip
    if listing.dropped:
        yield Finding(
            name="rows-without-label",
            task=listing.name,
            harm="note",
            sentence=f"{listing.dropped:,} rows have no label and are left out.",
            advice="Nothing, if they are meant to have none.",
            numbers={"rows": listing.dropped},
        )


def _listed(listing: Listing, name: str, sentence: str, problems: Sequence[Problem], advice: str) -> Finding:
    some = "; ".join(f"{problem.where} {problem.why.rstrip('.')}" for problem in problems[:_SAID])
    more = f"; and {len(problems) - _SAID:,} more" if len(problems) > _SAID else ""
    return Finding(
        name=name,
        task=listing.name,
        harm="harmful",
        sentence=f"{sentence}: {some}{more}.",
        advice=advice,
        numbers={"count": len(problems), "of": len(listing)},
        examples=[Example(listing.name, -1, problem.where, problem.why) for problem in problems],
    )
