"""The images in folders: which files and folders are an image each, whose they are, and which files are left out."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import numpy as np

from medshot.imaging.formats import DETACHED_HEADERS, DICOM, NPZ, NUMPY, formats_holding, has_name_of, starts_as
from medshot.process import capture_warnings

_SAMPLE = 16  # headers that decide whether a folder is a series
_SLICED = ("CT", "MR", "PT")
_NAMED = (".ds_store", "thumbs.db", "desktop.ini", "dicomdir")
_DETACHED_DATA = (".raw", ".zraw", ".img", ".gz")


class Keys(TypedDict):
    """Keys of the patient, the study and the series of a DICOM file; "" if it has none."""

    patient: str
    study: str
    series: str


def image_paths(folder: Path) -> list[Path]:
    """List the images in a folder by name, one path each: files, and folders of one DICOM series; nothing hidden."""
    return sorted(child for child in folder.iterdir() if not child.name.startswith(".") and _is_image(child))


def all_image_paths(path: Path) -> list[Path]:
    """List all images at any depth; a path of one image is that image."""
    if not path.is_dir() or is_series(path):
        return [path]
    inside = image_paths(path)
    folders = sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    return inside + [image for child in folders if child not in inside for image in all_image_paths(child)]


def unread_files(path: Path) -> Counter[str]:
    """Count the files at any depth of a folder that `all_image_paths` does not list, by suffix or well-known name.

    Second files of images, such as the `.raw` of an `.mhd`, are part of those, and hidden folders are not searched.
    """
    if not path.is_dir() or is_series(path):
        return Counter()
    images = set(image_paths(path))
    children = sorted(path.iterdir())
    has_header = any(child.suffix.lower() in DETACHED_HEADERS for child in children)
    found: Counter[str] = Counter()
    for child in children:
        if child in images or (has_header and child.suffix.lower() in _DETACHED_DATA):
            continue
        if child.is_dir():
            found += unread_files(child) if not child.name.startswith(".") else Counter()
        elif child.name.lower() in _NAMED:
            found[child.name] += 1
        else:
            found[child.suffix.lower() or "without a suffix"] += 1
    return found


def is_series(folder: Path) -> bool:
    """Whether a folder is one DICOM series of slices: two or more DICOM files of one series, by a sample of headers.

    Films of one series, such as two views of a chest, are an image each.
    """
    files = sorted(child for child in folder.iterdir() if child.is_file() and not child.name.startswith("."))
    if len(files) < 2:
        return False
    chosen = (
        np.unique(np.linspace(0, len(files) - 1, _SAMPLE).astype(int)) if len(files) > _SAMPLE else range(len(files))
    )
    first = ""
    for number in chosen:
        if not _is_dicom(files[number]):
            return False
        series, sliced = _series_of(files[number])
        first = first or series
        if not sliced or series != first or not series:
            return False
    return True


def patient_of(path: Path, *, identity: bool = False) -> str:
    """Return the patient of an image from its first DICOM header, hashed or as its PatientID; "" if it has none."""
    return keys_of(path, identity=identity)["patient"]


def keys_of(path: Path, *, identity: bool = False) -> Keys:
    """Return the keys of the first DICOM file of an image, hashed or as in the file."""
    nobody = Keys(patient="", study="", series="")
    return next((_header_keys(file, identity=identity) for file in _dicom_files(path)), nobody)


def _dicom_files(path: Path) -> Iterator[Path]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return (file for file in files if _is_dicom(file))


def _header_keys(path: Path, *, identity: bool) -> Keys:
    """Return keys of patient, study and series, hashed or as in the file; empty if the header cannot be read."""
    from pydicom import dcmread  # slow to import

    from medshot.imaging.dicom.header import keys

    try:
        with capture_warnings():
            found = keys(dcmread(path, stop_before_pixels=True), identity=identity, assumed=[])
            return Keys(patient=found["patient"], study=found["study"], series=found["series"])
    except Exception:  # reading the image raises what is wrong with it
        return Keys(patient="", study="", series="")


def _series_of(path: Path) -> tuple[str, bool]:
    """Return the series of a DICOM file, and whether it may be a slice: of a scanner, or with a position."""
    from pydicom import dcmread  # slow to import

    wanted = ["SeriesInstanceUID", "Modality", "ImagePositionPatient"]
    try:
        with capture_warnings():
            header = dcmread(path, stop_before_pixels=True, specific_tags=wanted)
            sliced = str(header.get("Modality")) in _SLICED or bool(header.get("ImagePositionPatient"))
            return str(header.get("SeriesInstanceUID") or ""), sliced
    except Exception:  # reading the image raises what is wrong with it
        return "", False


def _is_image(path: Path) -> bool:
    if path.is_dir():
        return is_series(path)
    if path.name.lower() in _NAMED:
        return False
    named = has_name_of(path, *formats_holding("picture", "volume"), NPZ, NUMPY)
    # a damaged file is listed by its name, so that reading it says what is wrong
    return path.is_file() and (named or path.suffix.lower() in filter(None, DICOM.suffixes) or _is_dicom(path))


def _is_dicom(path: Path) -> bool:
    """Whether a file has DICOM's mark, and a name that DICOM files have."""
    if not has_name_of(path, DICOM) or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return starts_as(file.read(132), DICOM)
    except OSError:
        return False
