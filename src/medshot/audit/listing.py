"""List the samples of DATA with label, patient, split and other columns, and every row that cannot be used.

Where `load_tasks` stops at the first problem, a check lists them all. Rows cost some hundred bytes each; no pixel is
read here, except that of a MedMNIST archive, which is an array already.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Int32

from medshot.audit.findings import Example, Finding
from medshot.imaging.npz import StackedImages
from medshot.storage import printable_path
from medshot.tasks.columns import DEFAULT_OPTIONS, DataOptions, Roles, same_column
from medshot.tasks.layouts import left_out_files
from medshot.tasks.manifest import Manifest
from medshot.tasks.reading import class_folder_labels, manifest_at, read_archive
from medshot.tasks.searching import TaskLocation, found_tasks

_NAMED = 3


@dataclass(frozen=True)
class Categories:
    """A column of text with repeated values: `names[codes[k]]` is the value of row k."""

    codes: Int32[np.ndarray, " rows"]
    names: tuple[str, ...]

    @classmethod
    def of(cls, values: Sequence[str]) -> "Categories":
        """Encode the values as codes of their sorted names."""
        names = sorted(set(values))
        index = {name: code for code, name in enumerate(names)}
        return cls(np.array([index[value] for value in values], dtype=np.int32), tuple(names))

    def __getitem__(self, row: int) -> str:
        return self.names[self.codes[row]]

    def select(self, rows: np.ndarray) -> "Categories":
        """Select these rows, with the same names."""
        return Categories(self.codes[rows], self.names)


@dataclass(frozen=True)
class UnusableImage:
    """A row or an image that cannot be used, and why."""

    where: str
    why: str


@dataclass(frozen=True)
class Listing:
    """One task as its files name it.

    Args:
        name: its name.
        paths: the image files; empty if the images are in memory.
        labels: class of each sample.
        patients: patient of each sample, None if they have no names.
        splits: split of each sample, None if there is none.
        columns: the other columns of the manifest.
        array: the images, if they are in one array.
        problems: rows that had to be left out.
        dropped: how many rows have no label.
        samples: the sample of each image, if some have several images.
        roles: the columns of the manifest that hold images, labels and patients; None if there is no manifest.
        left_out: how many files of a folder of classes are left out, by what they are.
        folder: the folder that the paths of a manifest are relative to.
        remarks: sentences on how it was read.
        from_headers: how many samples have their patient from a DICOM header.
    """

    name: str
    paths: Sequence[str]
    labels: Categories
    patients: Categories | None = None
    splits: Categories | None = None
    columns: Mapping[str, Categories] = field(default_factory=dict)
    array: StackedImages | None = None
    problems: tuple[UnusableImage, ...] = ()
    dropped: int = 0
    samples: Sequence[int] = ()
    roles: Roles | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    folder: Path = Path()
    remarks: tuple[str, ...] = ()
    from_headers: int = 0

    @property
    def names_no_patients(self) -> bool:
        """Whether the data itself names no patients, apart from headers of images."""
        return self.patients is None or self.from_headers > 0 or (bool(self.samples) and self._no_column)

    @property
    def _no_column(self) -> bool:
        return self.roles is None or self.roles.patient is None

    def __len__(self) -> int:
        return len(self.labels.codes)

    def named(self, row: int) -> str:
        """Return a name for the image of a row, as text that any file can hold."""
        return printable_path(self.paths[row]) if self.paths else f"{self.name}[{row}]"


def listings(path: Path, options: DataOptions = DEFAULT_OPTIONS, *, split: str = "split") -> list[Listing]:
    """List every task at `path`, with all its problems.

    Args:
        path: what `load_tasks` takes.
        options: what `load_tasks` takes.
        split: the manifest column to take splits from, if there is one.

    Raises:
        InputError: there is nothing at `path` that could be a task, or a file of it is neither a table nor an archive.
    """
    return [_listing(location, options, split) for location in found_tasks(path, options)]


def _listing(location: TaskLocation, options: DataOptions, split: str) -> Listing:
    if location.class_folders is not None:
        images = [image for of_class in location.class_folders.values() for image in of_class]
        labels, _ = class_folder_labels(location.class_folders, options)
        patients = None if location.patients is None else [location.patients[image] for image in images]
        return Listing(
            location.name,
            list(map(str, images)),
            Categories.of(labels),
            patients=None if patients is None else Categories.of(patients),
            left_out=left_out_files(location.path, images),
            remarks=tuple(location.remarks),
        )
    if location.is_archive:
        array, labels, splits = read_archive(location.path)
        several = len(set(splits)) > 1
        return Listing(
            location.name, (), Categories.of(labels), splits=Categories.of(splits) if several else None, array=array
        )
    return _from_manifest(location, manifest_at(location, options), split)


def _from_manifest(location: TaskLocation, manifest: Manifest, split: str) -> Listing:
    """List each image of each row by itself."""
    images = [manifest.columns[name] for name in manifest.image_columns]
    cells = [(row, image) for row, of_row in enumerate(zip(*images, strict=True)) for image in of_row if image]
    columns = {name: values for name, values in manifest.columns.items() if name not in manifest.image_columns}
    encoded = {name: Categories.of([values[row] for row, _ in cells]) for name, values in columns.items()}
    roles, where = manifest.roles, printable_path(manifest.path)
    split = same_column(columns, split) or split
    assert roles.label is not None
    return Listing(
        location.name,
        [str(manifest.folder / image) for _, image in cells],
        encoded[roles.label],
        patients=None if roles.patient is None else encoded[roles.patient],
        splits=encoded.get(split),
        columns={name: column for name, column in encoded.items() if name not in {roles.label, roles.patient, split}},
        problems=tuple(UnusableImage(f"{where} line {problem.line}", problem.what) for problem in manifest.harmful),
        dropped=manifest.unlabelled,
        samples=[row for row, _ in cells] if len(cells) > len(manifest) else (),
        roles=roles,
        folder=manifest.folder,
        remarks=manifest.remarks,
    )


def unusable_findings(listing: Listing, unreadable: Sequence[UnusableImage]) -> Iterator[Finding]:
    """Find every image that could not be read, every row that could not be used, and rows without a label."""
    if unreadable:
        yield _listed(
            listing, "unreadable", f"{len(unreadable):,} of {len(listing):,} images could not be read", unreadable,
            "Replace the files, correct the paths, or remove the rows; other commands refuse this data until then.",
        )  # fmt: skip
    if listing.problems:
        yield _listed(
            listing, "unusable-rows", f"{len(listing.problems):,} rows cannot be used", listing.problems,
            "Correct or remove these rows; other commands refuse this manifest until then.",
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


def _listed(listing: Listing, name: str, sentence: str, problems: Sequence[UnusableImage], advice: str) -> Finding:
    some = "; ".join(f"{problem.where} {problem.why.rstrip('.')}" for problem in problems[:_NAMED])
    more = f"; and {len(problems) - _NAMED:,} more" if len(problems) > _NAMED else ""
    return Finding(
        name=name,
        task=listing.name,
        harm="harmful",
        sentence=f"{sentence}: {some}{more}.",
        advice=advice,
        numbers={"count": len(problems), "of": len(listing)},
        examples=[Example(listing.name, -1, problem.where, problem.why) for problem in problems],
    )
