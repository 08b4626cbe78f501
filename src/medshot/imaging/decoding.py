"""From the file, folder or archive of one image to the picture or volume that a network's pixels are made of."""

import hashlib
from dataclasses import replace
from pathlib import Path

from medshot.errors import InputError
from medshot.imaging.display import display
from medshot.imaging.ecg import ecg_page
from medshot.imaging.formats import NPZ, NUMPY, TIFF, formats_holding, has_name_of
from medshot.imaging.inputs import GridInput
from medshot.imaging.npz import read_volume, split_member
from medshot.imaging.opening import read
from medshot.imaging.reading import read_content, read_image
from medshot.imaging.resampling import fit_volume
from medshot.imaging.scan import Image, Scan, Volume
from medshot.imaging.volumes import files_of_volume


def decoded(path: Path, shape: GridInput) -> Image | Volume:
    """Decode the picture or the volume of a path, whichever `shape` takes.

    A scan comes as `display` renders it, a volume isotropic and turned to slices from the feet up if its place is
    known, and a waveform as the page of a recorder.

    Raises:
        InputError: the path holds the other kind, or cannot be read.
    """
    file, _ = split_member(path)
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
    if has_name_of(file, NUMPY):  # of 8 or 16 bits already
        return scan.array if shape.axes == 3 else scan.array[0]
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
    file, _ = split_member(path)
    if has_name_of(file, *formats_holding("picture")):
        return 2
    return 3 if has_name_of(file, NPZ) else _axes(path, read(path))


def _axes(path: Path, scan: Scan) -> int:
    if scan.kind == "frames":
        raise InputError(
            f"{path} holds {len(scan.array)} frames (moments or views without positions) and an image has none; "
            "save the frame to use as a file."
        )
    return 3 if scan.kind == "volume" else 2


def content_hash(path: Path) -> str:
    """Return the SHA-256 of the bytes of all files of an image, and of the name of the array if one is named.

    What the files of a series are called and in which order they come does not matter. Of a header with its voxels in
    a second file, both files count, under any names.
    """
    file, array = split_member(path)
    files = files_of_image(file)
    if files == [file] and not file.is_dir():
        return hashlib.sha256(read_content(file) + array.encode()).hexdigest()
    digests = sorted(hashlib.sha256(read_content(child)).hexdigest() for child in files)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def files_of_image(file: Path) -> list[Path]:
    """Return all files that an image is read from: those of a folder, a header with its voxels, or the file itself."""
    if file.is_dir():
        return sorted(child for child in file.rglob("*") if child.is_file() and not child.is_symlink())
    if has_name_of(file, *formats_holding("picture"), NPZ):
        return [file]
    return files_of_volume(file)
