"""Read a folder of DICOM files as one volume: one patient and one series, ordered by position only."""

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import FileDataset

from medshot.errors import InputError
from medshot.imaging.dicom.geometry import SliceGeometry, coincident, stack
from medshot.imaging.dicom.header import BYTE_LIMIT, PIXELS, Unsuitable, kind_of_object, open_dataset
from medshot.imaging.dicom.image import (
    Picture,
    damage,
    modality_of,
    patient_and_subject,
    picture_of,
    read_dicom,
    with_remarks,
)
from medshot.imaging.scan import Scan
from medshot.process import capture_warnings

_FIRST_GROUPS = (b"\x08\0", b"\x02\0", b"\0\x08")
_TELLS_APART = ("EchoTime", "TemporalPositionIdentifier", "DiffusionBValue", "AcquisitionNumber", "ImageType")
_FILMS = "each file by itself (in a manifest, one row per file with the same patient)"


@dataclass(frozen=True)
class _Slice:
    path: Path
    picture: Picture


@dataclass
class _Series:
    name: str
    first: Path
    files: int = 0
    localizers: int = 0
    about: dict[str, Any] = field(default_factory=dict)
    slices: list[_Slice] = field(default_factory=list)


@dataclass
class _Folder:
    """The result of one pass over the files; each file is opened once and decoded at once."""

    identity: bool
    patients: set[str] = field(default_factory=set)
    series: dict[str, _Series] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)
    assumed: list[str] = field(default_factory=list)
    total: int = 0


def read_series(folder: Path, paths: list[Path], *, identity: bool = False) -> Scan | None:
    """Read the one series that these files hold; None if none of them is DICOM.

    A series of localizers only is ignored beside another series. Slices are ordered along their normal by
    ImagePositionPatient; file names and InstanceNumber are ignored.

    Args:
        folder: the folder, named in errors.
        paths: its files; those that are not DICOM are ignored.
        identity: see `read_dicom`.

    Raises:
        InputError: a file cannot be read, or the files are of several patients or series, or do not form a stack.
    """
    found, nothing_is_dicom = _Folder(identity), True
    with capture_warnings() as warned:
        for path in paths:
            try:
                dataset = _open(path)
                if dataset is None:
                    found.others["file that is not DICOM"] += 1
                    continue
                nothing_is_dicom = False
                _take(found, path, dataset)
            except Unsuitable as reason:
                raise InputError(f"{path} {reason}.") from None
            except InputError:
                raise
            except Exception as error:
                raise InputError(f"{path} {damage(error)}.") from error
        if nothing_is_dicom:
            return None
        try:
            series = _only(found)
            if series.files == 1:
                return _with(read_dicom(series.first, identity=identity), found.assumed)
            scan = _stacked(series, found.assumed)
        except Unsuitable as reason:
            raise InputError(f"{folder} {reason}.") from None
    return with_remarks(scan, warned)


def _with(scan: Scan, assumed: list[str]) -> Scan:
    return replace(scan, assumed=tuple(dict.fromkeys((*scan.assumed, *assumed))))


def _open(path: Path) -> FileDataset | None:
    """Parse a DICOM file; None if it has no DICOM prefix and does not begin like a file without one."""
    try:
        with path.open("rb") as file:
            start = file.read(132)
            if start[128:] != b"DICM" and not (len(start) == 132 and start.startswith(_FIRST_GROUPS)):
                return None
            return open_dataset(file)
    except OSError as error:
        raise Unsuitable(f"could not be read ({error.strerror}); check that you may read it") from error


def _take(found: _Folder, path: Path, dataset: FileDataset) -> None:
    if "DirectoryRecordSequence" in dataset:
        return
    if not any(keyword in dataset for keyword in PIXELS):
        found.others[f"{kind_of_object(dataset)} without pixels"] += 1
        return
    found.patients.add(str(dataset.get("PatientID") or "").strip())
    uid = str(dataset.get("SeriesInstanceUID") or "")
    if uid not in found.series:
        name = str(dataset.get("SeriesDescription") or "").strip() or f"series {dataset.get('SeriesNumber') or '?'}"
        found.series[uid] = _Series(name, path)
    series = found.series[uid]
    series.files += 1
    if {"LOCALIZER", "SCOUT"} & {str(part).upper() for part in dataset.get("ImageType") or ()}:
        series.localizers += 1
        return
    if len(found.patients) > 1 or sum(other.files > other.localizers for other in found.series.values()) > 1:
        return  # it will be refused; the rest is only counted
    if not series.about:
        series.about = patient_and_subject(dataset, found.identity, found.assumed)
    picture = picture_of(dataset, modality_of(dataset), found.assumed)
    found.total += picture.array.nbytes
    if found.total > BYTE_LIMIT:
        raise Unsuitable(f"brings its series to more than the limit of {BYTE_LIMIT:,} bytes; take fewer slices")
    series.slices.append(_Slice(path, picture))


def _only(found: _Folder) -> _Series:
    """Return the one series of the folder, and record which files were ignored."""
    for kind, count in found.others.items():
        found.assumed.append(f"{count} × {kind} in the folder; ignored.")
    if len(found.patients) > 1:
        raise Unsuitable(f"holds images of {len(found.patients)} patients; give each a folder of their own")
    if not found.series:
        raise Unsuitable("holds no DICOM file with pixels; give a folder of images")
    proper = [series for series in found.series.values() if series.files > series.localizers]
    if len(proper) > 1:
        named = ", ".join(f"“{series.name}” ({series.files})" for series in proper[:5])
        more = f" and {len(proper) - 5} more" if len(proper) > 5 else ""
        raise Unsuitable(
            f"holds {len(proper)} series, {named}{more}; move the one to read into a folder of its own, or give "
            f"{_FILMS}"
        )
    if not proper:
        if len(found.series) == 1 and next(iter(found.series.values())).files == 1:
            return next(iter(found.series.values()))
        raise Unsuitable("holds localizers only; give a series, or one of the files")
    localizers = sum(series.localizers for series in found.series.values())
    if localizers:
        found.assumed.append(f"{localizers} localizer(s) in the folder; ignored.")
    if len(proper[0].slices) == 1:
        return replace(proper[0], files=1, first=proper[0].slices[0].path)
    return proper[0]


def _stacked(series: _Series, assumed: list[str]) -> Scan:
    slices = series.slices
    if any(len(item.picture.array) > 1 for item in slices):
        raise Unsuitable(f"holds {len(slices)} files in one series, some of several frames; give {_FILMS}")
    shapes = Counter(item.picture.array.shape[1:] for item in slices)
    if len(shapes) > 1:
        sizes = ", ".join(f"{count} of {' × '.join(map(str, shape))}" for shape, count in shapes.most_common(4))
        raise Unsuitable(f"holds slices of several sizes ({sizes}); keep those of one size")
    if any(item.picture.places[0] is None for item in slices):
        raise Unsuitable(f"holds {len(slices)} images in one series, some without a position; give {_FILMS}")
    slices = _without_copies(slices, assumed)
    places = [place for item in slices for place in item.picture.places if isinstance(place, SliceGeometry)]
    ordered = stack(places, "slices", assumed)
    pictures = [slices[index].picture for index in ordered.order]
    dtype = np.result_type(*(picture.array.dtype for picture in pictures))
    array = np.empty((len(pictures), *pictures[0].array.shape[1:]), dtype)
    np.concatenate([picture.array for picture in pictures], out=array)
    windows = {picture.window for picture in pictures}
    if len(windows) > 1:
        assumed.append("The slices name different windows; that of the middle slice was taken.")
    return Scan(
        **series.about,
        array=array,
        kind="volume" if len(pictures) > 1 else "picture",
        affine=ordered.affine,
        spacing=ordered.spacing,
        window=pictures[len(pictures) // 2].window,
        span=max((picture.span for picture in pictures if picture.span), default=None),
        units=pictures[0].units,
        overlays=_masks(pictures),
        assumed=tuple(dict.fromkeys(assumed)),
    )


def _without_copies(slices: list[_Slice], assumed: list[str]) -> list[_Slice]:
    """Drop identical copies of slices; refuse different slices at one position."""
    groups = coincident([item.picture.places[0] for item in slices if item.picture.places[0] is not None])
    dropped: set[int] = set()
    for group in groups:
        kept = slices[group[0]]
        for index in group[1:]:
            if not np.array_equal(kept.picture.array, slices[index].picture.array):
                first, second = (dcmread(slices[each].path, force=True) for each in (group[0], index))
                words = [word for word in _TELLS_APART if first.get(word) != second.get(word)]
                by = f", which differ in {' and '.join(words)}" if words else ""
                raise Unsuitable(
                    f"holds up to {len(group)} different slices at one position{by}; keep one at each position"
                )
            dropped.add(index)
    if dropped:
        assumed.append(f"{len(dropped)} slice(s) are there twice, pixel for pixel; one of each was kept.")
    return [item for index, item in enumerate(slices) if index not in dropped]


def _masks(pictures: list[Picture]) -> np.ndarray | None:
    if all(picture.overlays is None for picture in pictures):
        return None
    return np.concatenate(
        [
            np.zeros(picture.array.shape[:3], dtype=bool) if picture.overlays is None else picture.overlays
            for picture in pictures
        ]
    )
