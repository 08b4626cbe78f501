"""Write a clean copy of a folder: every file is cleaned and renamed, or left out; the report repeats no value."""

import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from medshot.deidentify.formats import format_of, read_limited
from medshot.deidentify.identifying import identifying_text
from medshot.deidentify.manifests import clean_table, read_table
from medshot.errors import InputError
from medshot.imaging.folders import is_series
from medshot.imaging.formats import CSV, has_name_of, split_member
from medshot.imaging.npz import members
from medshot.imaging.pseudonyms import SECRET_LENGTH, CannotClean, Pseudonyms
from medshot.progress import progress
from medshot.storage import new_folder, printable_path, write_bytes, write_json
from medshot.tasks.manifest import Manifest
from medshot.tasks.searching import FOLDER_MANIFEST

REPORT = "deidentification.json"
NOTE = (
    "For research. A person must look at this copy before it leaves: a program does not find text burnt into pixels, "
    "faces in head scans or rare features of a patient."
)


@dataclass(frozen=True)
class Deidentified:
    """The result for a folder. Unlike the report in the copy it names the source's files, for their owner.

    Args:
        out: the clean copy.
        cleaned: how many images are in it.
        manifests: how many manifests are in it.
        left_out: each file that was left out, by its path in the source, and the reason.
        look_at: images that a person should look at, by their path in the copy, and the reason.
        folder_names: names of folders that were kept, and that a person should look at.
    """

    out: Path
    cleaned: int
    manifests: int
    left_out: tuple[tuple[str, str], ...]
    look_at: tuple[tuple[str, str], ...]
    folder_names: tuple[str, ...]


def deidentify(source: Path, out: Path) -> Deidentified:
    """Write a copy of `source` without what identifies its patients.

    DICOM follows the Basic Application Level Confidentiality Profile (PS3.15 Annex E). Pictures and volumes keep only
    what is needed to display and place them, and no pixel changes. Files are renamed to numbers, equal for files of
    the same stem, and manifests name the new files. Files that cannot be cleaned are left out.
    `deidentification.json` records what was done, repeats no value, and refers to left-out files by their position in
    the source's sorted order.

    Args:
        source: a folder, or a manifest, to take only its images. Nothing in it is changed, no link in it is followed.
        out: a folder that does not exist, outside `source`.

    Raises:
        InputError: there is nothing to clean at `source`, or `out` lies inside it.
        StorageError: `out` exists or cannot be written.
    """
    if not source.exists():
        raise InputError(f"{printable_path(source)} does not exist; check the path.")
    root = source.parent if source.is_file() else source
    if out.resolve().is_relative_to(source.resolve()):
        raise InputError(
            f"{printable_path(out)} lies inside {printable_path(source)}, which must not be changed; "
            "choose another place."
        )
    paths = _files(root)
    if source.is_file():
        paths = _files_of(source, root, paths)
    with new_folder(out) as folder:
        copy = _Copy(root, folder)
        with progress("cleaning", len(paths)) as advance:
            for number, path in enumerate(paths, 1):
                copy.add(number, path)
                advance(1)
        copy.finish()
        if not copy.places:
            raise InputError(f"{printable_path(source)} holds no image that could be cleaned; nothing was written.")
    return Deidentified(
        out,
        len(copy.places),
        len(copy.report),
        tuple((printable_path(path), reason) for _, path, reason in copy.left_out),
        tuple((copy.final(place), reason) for place, reason in copy.look_at),
        tuple(sorted({part for part in copy.names.values() if not part.startswith("folder-")})),
    )


def _files(root: Path) -> list[Path]:
    """List every file below `root`, links included, relative to it, with numbers in names in numerical order."""
    found = []
    for folder, folders, files in os.walk(root):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        found += [(Path(folder) / name).relative_to(root) for name in (*files, *links)]
    return sorted(found, key=lambda path: ([_counting(part) for part in path.parts], str(path)))


def _counting(name: str) -> list[tuple[int, int, str]]:
    pieces = re.split(r"(\d+)", name)
    return [(0, int(piece), "") if number % 2 else (1, 0, piece) for number, piece in enumerate(pieces)]


def _files_of(manifest: Path, root: Path, paths: list[Path]) -> list[Path]:
    """Return the manifest and the files that it names, the files of a series by their folder."""
    try:
        table = read_table(read_limited(manifest), manifest)
        cells = [Path(cell) for name in table.image_columns for cell in table.columns[name] if cell]
    except CannotClean:
        cells = []
    named = {Path(os.path.normpath(split_member(cell)[0])) for cell in cells} - {Path()}
    return [path for path in paths if path == manifest.relative_to(root) or not named.isdisjoint([path, *path.parents])]


@dataclass
class _Copy:
    """The copy while it is written, into numbered folders.

    Folders get their names back at the end if these may be kept; only then have all patients' names been read.
    """

    root: Path
    folder: Path
    pseudonyms: Pseudonyms = field(default_factory=Pseudonyms)
    places: dict[Path, Path] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    folders: dict[Path, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    manifests: list[tuple[int, Path, Manifest]] = field(default_factory=list)
    series: dict[Path, str] = field(default_factory=dict)
    arrays: dict[Path, set[str]] = field(default_factory=dict)
    report: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[tuple[int, Path, str]] = field(default_factory=list)
    look_at: list[tuple[Path, str]] = field(default_factory=list)
    files: list[tuple[Path, dict[str, Any]]] = field(default_factory=list)

    def add(self, number: int, path: Path) -> None:
        """Clean one file into the copy, or leave it out; manifests wait for the names of their images."""
        try:
            content = read_limited(self.root / path)
            if has_name_of(path, CSV):
                self.manifests.append((number, path, read_table(content, self.root / path)))
            else:
                self._clean(path, content)
        except CannotClean as reason:
            self.left_out.append((number, path, str(reason)))

    def _clean(self, path: Path, content: bytes) -> None:
        kind = format_of(content)
        try:
            found = Counter(finding.kind for finding in kind.find(content))
            clean = kind.clean(content, self.pseudonyms)
            same = kind.same(content, clean.content)
        except CannotClean:
            raise
        except Exception:  # a damaged file can make a decoder raise nearly anything
            raise CannotClean(f"is a damaged {kind.name} file") from None
        if not same or kind.find(clean.content):
            raise CannotClean(f"is a {kind.name} file that could not be cleaned without changing it")
        place = self._place(path, kind.suffix)
        (self.folder / place).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(self.folder / place, clean.content)
        self.places[path] = place
        self.words |= clean.words
        self.look_at += [(place, reason) for reason in clean.look_at]
        self.files.append((place, {"kind": kind.name, "removed": dict(found), "look_at": list(clean.look_at)}))

    def _place(self, path: Path, suffix: str) -> Path:
        """Return a path of numbers, the same for files of the same stem, so that an image and its mask still match."""
        stem = re.sub(r"(\.nii)?\.[^.]*$", "", path.name)
        number = self.numbers.setdefault(stem, len(self.numbers) + 1)
        parent = Path()
        for above in reversed(path.parents[:-1]):
            name = self.folders.setdefault(above, f"folder-{len(self.folders) + 1}")
            self.names[name] = above.name
            parent /= name
        place = parent / f"{number:06}{suffix}"
        if (self.folder / place).exists():
            number = self.numbers[f"{path}\0"] = len(self.numbers) + 1
            place = parent / f"{number:06}{suffix}"
        return place

    def finish(self) -> None:
        """Give folders their names back if these may be kept, write the manifests and the report."""
        self.names = {number: name if self._may_stay(name) else number for number, name in self.names.items()}
        for given in sorted(self.folders.values(), key=lambda name: -int(name.removeprefix("folder-"))):
            for place in self.folder.rglob(given):
                if place.is_dir():
                    place.rename(place.with_name(self.names[given]))
        self.series = dict(self._whole_series())
        for count, (number, path, manifest) in enumerate(self.manifests, 1):
            try:
                self._write_manifest(count, path, manifest)
            except CannotClean as reason:
                self.left_out.append((number, path, str(reason)))
        self.left_out.sort()
        write_json(
            self.folder / REPORT,
            {
                "note": NOTE,
                "version": version("medshot"),
                "method": "DICOM PS3.15 Annex E, Basic Application Level Confidentiality Profile, dates moved back by "
                "days for each patient; other formats: only what displays and places the pixels is kept",
                "files": [{"file": self.final(place)} | entry for place, entry in self.files],
                "manifests": self.report,
                "left_out": [{"number": number, "reason": reason} for number, _, reason in self.left_out],
                "kept_folder_names": sorted(name for number, name in self.names.items() if name != number),
            },
        )

    def final(self, place: Path) -> str:
        """Return the path of a file in the finished copy, with slashes."""
        return "/".join([*(self.names[part] for part in place.parts[:-1]), place.name])

    def _write_manifest(self, count: int, path: Path, manifest: Manifest) -> None:
        """Write a clean manifest at the top of the copy; CannotClean if none of its images is in the copy."""
        place = self.folder / path.name
        if path != Path(FOLDER_MANIFEST) or place.exists():
            place = self.folder / f"table-{count}{path.suffix.lower()}"
        table = clean_table(manifest, partial(self._new_path, path.parent), self.pseudonyms)
        write_bytes(place, table.text.encode())
        columns = {str(column): change for column, change in table.columns.items()}
        self.report.append({"file": place.name, "rows": table.rows, "dropped": table.dropped, "columns": columns})

    def _whole_series(self) -> Iterator[tuple[Path, str]]:
        """Yield the folders of DICOM series whose files are all in the copy, and their paths in it."""
        incomplete = {above for _, path, _ in self.left_out for above in path.parents}
        for path, place in {path.parent: place for path, place in self.places.items()}.items():
            if path != Path() and path not in incomplete and is_series(self.root / path):
                yield path, self.final(place).rpartition("/")[0]

    def _new_path(self, folder: Path, image: str) -> str | None:
        """Return the path in the copy of an image that a manifest in `folder` names, None if it is not there."""
        if not image or "\0" in image:
            return None
        file, array = split_member(folder / image)
        path = Path(os.path.normpath(file))
        if path not in self.places:
            return self.series.get(path)
        new = self.final(self.places[path])
        if not array:
            return new
        return f"{new}#{array}" if self._has_array(path, array) else None

    def _has_array(self, path: Path, array: str) -> bool:
        """Whether an archive of the copy has an array of this name, so that the name is not free text."""
        if path not in self.arrays:
            with zipfile.ZipFile(self.folder / self.final(self.places[path])) as archive:
                self.arrays[path] = set(members(archive))
        return array in self.arrays[path]

    def _may_stay(self, name: str) -> bool:
        if identifying_text(name) or not re.fullmatch(r"[\w ()+-][\w .()+-]{0,60}", name) or name.startswith("folder-"):
            return False
        words = {word for word in re.split(r"[\W_]+", name.casefold()) if len(word) >= SECRET_LENGTH}
        return not words & self.words and not any(word in name.casefold() for word in self.words if len(word) > 5)
