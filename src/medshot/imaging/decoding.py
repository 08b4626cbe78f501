"""From the file, folder or archive of one image to the picture or volume that a network's pixels are made of."""

import hashlib
from dataclasses import replace
from glob import escape
from pathlib import Path

from medshot.errors import InputError
from medshot.imaging.display import display
from medshot.imaging.ecg import ecg_page
from medshot.imaging.formats import DETACHED_HEADERS, DICOM, NPZ, TIFF, formats_holding, has_name_of, starts_as
from medshot.imaging.inputs import GridInput
from medshot.imaging.npz import parted, read_volume
from medshot.imaging.opening import read
from medshot.imaging.reading import read_content, read_image
from medshot.imaging.resampling import fit_volume
from medshot.imaging.scan import Image, Scan, Volume
from medshot.process import capture_warnings


def decoded(path: Path, shape: GridInput) -> Image | Volume:
    """Decode the picture or the volume of a path, whichever `shape` takes.

    A scan comes as `display` renders it, a volume isotropic and turned to slices from the feet up if its place is
    known, and a waveform as the page of a recorder.

    Raises:
        InputError: the path holds the other kind, or cannot be read.
    """
    file, _ = parted(path)
    if has_name_of(file, *formats_holding("picture")) and not (shape.axes == 3 and has_name_of(file, TIFF)):
        refuse_other_axes(2, shape, f"{path} is an image")
        return read_image(path)
    if has_name_of(file, NPZ):
        refuse_other_axes(3, shape, f"{path} is an image")
        return read_volume(path)
    scan = read(path)
    refuse_other_axes(_axes(path, scan), shape, f"{path} is an image")
    if scan.kind == "waveform":
        return ecg_page(scan)
    shown = display(scan)
    return shown[0] if shape.axes == 2 else fit_volume(replace(scan, array=shown), shape.size)


def refuse_other_axes(axes: int, spec: GridInput, what: str) -> None:
    """Raise InputError if images are volumes and pictures are taken, or the other way round.

    Args:
        axes: of the images, 2 or 3.
        spec: what is taken.
        what: the images, as the beginning of a sentence.
    """
    if axes > spec.axes:
        raise InputError(
            f"{what} of three dimensions and this learner takes pictures; use one that takes volumes "
            "(--cut slices, or --dimensions 3 for voxels), or choose one slice or projection of each."
        )
    if axes < spec.axes:
        raise InputError(
            f"{what} of two dimensions and this learner takes volumes; use one that takes pictures (an "
            "ImageInput, --dimensions 2), or give volumes."
        )


def axes_of(path: Path) -> int:
    """Return 3 for a volume, 2 for a picture; InputError if it cannot be read."""
    file, _ = parted(path)
    if has_name_of(file, *formats_holding("picture")):
        return 2
    return 3 if has_name_of(file, NPZ) else _axes(path, read(path))


def _axes(path: Path, scan: Scan) -> int:
    if scan.kind == "frames":
        raise InputError(
            f"{path} holds {len(scan.array)} frames over time and an image has none; save the frame to use as a file."
        )
    return 3 if scan.kind == "volume" else 2


def content_hash(path: Path) -> str:
    """Return the SHA-256 of the bytes of all files of an image, and of the name of the array if one is named.

    What the files of a series are called and in which order they come does not matter.
    """
    file, array = parted(path)
    if file.is_dir():
        files = [child for child in file.rglob("*") if child.is_file() and not child.is_symlink()]
    elif file.suffix.lower() in DETACHED_HEADERS:
        files = [child for child in file.parent.glob(f"{escape(file.stem)}.*") if child.is_file()]
    else:
        return hashlib.sha256(read_content(file) + array.encode()).hexdigest()
    digests = sorted(hashlib.sha256(read_content(child)).hexdigest() for child in files)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


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


def is_series(folder: Path) -> bool:
    """Whether a folder holds two or more DICOM files, the first two and the last by name of one series."""
    files = sorted(child for child in folder.iterdir() if child.is_file() and not child.name.startswith("."))
    series = {_header_keys(file)["series"] if _is_dicom(file) else "" for file in {*files[:2], *files[-1:]}}
    return len(files) > 1 and len(series) == 1 and "" not in series


def patient_of(path: Path, *, identity: bool = False) -> str:
    """Return the patient of an image from its first DICOM header, hashed or as its PatientID; "" if it has none."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return next((_header_keys(file, identity=identity)["patient"] for file in files if _is_dicom(file)), "")


def _header_keys(path: Path, *, identity: bool = False) -> dict[str, str]:
    """Return keys of patient, study and series, hashed or as in the file; empty if the header cannot be read."""
    from pydicom import dcmread  # slow to import

    from medshot.imaging.dicom.header import keys

    try:
        with capture_warnings():
            return keys(dcmread(path, stop_before_pixels=True), identity=identity, assumed=[])
    except Exception:  # reading the image raises what is wrong with it
        return dict.fromkeys(("patient", "study", "series"), "")


def _is_image(path: Path) -> bool:
    if path.is_dir():
        return is_series(path)
    named = has_name_of(path, *formats_holding("picture", "volume"), NPZ)
    return path.is_file() and (named or _is_dicom(path))


def _is_dicom(path: Path) -> bool:
    """Whether a file has DICOM's mark, and a name that DICOM files have."""
    if not has_name_of(path, DICOM) or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return starts_as(file.read(132), DICOM)
    except OSError:
        return False
