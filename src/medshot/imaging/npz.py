"""Arrays of `.npz` archives: headers are judged before memory is taken, pickled objects are never unpickled."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8, UInt16

from medshot.errors import InputError
from medshot.imaging.formats import split_member
from medshot.imaging.scan import Volume

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; InputError if it is missing, or if reading from it shows that it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path.") from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} is not a readable .npz archive ({error}); download it again.") from error


def members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members of the archive that are arrays, by name."""
    return {member.filename.removesuffix(".npy"): member for member in archive.infolist()}


def read_header(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and type of an array; InputError if it is damaged or holds pickled objects."""
    try:
        with archive.open(member) as file:
            shape, _, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
            header_size = file.tell()
        if not dtype.hasobject and header_size + int(np.prod(shape, dtype=object)) * dtype.itemsize != member.file_size:
            raise ValueError("the size of the data differs from the header")
    except (ValueError, KeyError, SyntaxError, MemoryError) as error:
        raise _damaged(path, member, error) from error
    if dtype.hasobject:
        raise InputError(f"{path} holds pickled objects in {member.filename}, which can run code; save plain numbers.")
    return shape, dtype


def read_array(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Read an array; InputError if it is damaged or holds pickled objects."""
    read_header(path, archive, member)
    try:
        with archive.open(member) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, KeyError, SyntaxError, MemoryError) as error:
        raise _damaged(path, member, error) from error


def _damaged(path: Path, member: zipfile.ZipInfo, error: Exception) -> InputError:
    return InputError(f"{path} holds a damaged array {member.filename} ({error}); download the file again.")


VOXEL_LIMIT = 400_000_000
_MASK = "mask"


def read_volume(path: Path | str) -> Volume:
    """Read the voxels of a volume, in the values that its file stores.

    An `.npz` archive holds one array of three axes, or several, and then the path names one (`scan.npz#flair`). Arrays
    with names that end in "mask" are segmentations: they are read only if the path names them.

    Args:
        path: a file, or a file and the name of an array in it.

    Returns:
        `(depth, height, width)`, uint8 or uint16.

    Raises:
        InputError: the file is missing or damaged, holds no such array, more than one, other numbers than uint8 or
            uint16, a colour picture, or more than 400 million voxels.
    """
    file, name = split_member(Path(path))
    with opened(file) as archive:
        member = _chosen(file, name, archive)
        shape, dtype = read_header(file, archive, member)
        if len(shape) != 3 or 0 in shape or shape[-1] == 3:
            raise InputError(
                f"{path} holds an array of shape {shape}, which is not a volume; give (depth, height, width), none of "
                "them 0 and a width of more than 3."
            )
        if dtype not in (np.uint8, np.uint16):
            raise InputError(f"{path} holds {dtype} values; convert them to uint8 or uint16.")
        if np.prod(shape, dtype=object) > VOXEL_LIMIT:
            raise InputError(f"{path} has {shape} voxels, more than {VOXEL_LIMIT:,} in all; make it smaller.")
        return np.ascontiguousarray(read_array(file, archive, member))


def _chosen(file: Path, name: str, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the named array, or the only one that can be the volume."""
    arrays = members(archive)
    listed = ", ".join(arrays) or "none"
    if name:
        if name not in arrays:
            raise InputError(f"{file} holds no array '{name}'; choose one of: {listed}.")
        return arrays[name]
    images = [
        array
        for array, member in arrays.items()
        if not array.lower().endswith(_MASK) and len(read_header(file, archive, member)[0]) == 3
    ]
    if len(images) != 1:
        raise InputError(
            f"{file} holds {len(images)} arrays that may be the volume (of: {listed}); name one, as in "
            f"{file.name}#{images[0] if images else 'array'}."
        )
    return arrays[images[0]]


SIZE_LIMIT = 8_000_000_000  # bytes once unpacked
_SPLITS = ("train", "val", "test")

StackedImages = UInt8[np.ndarray, "images *shape"] | UInt16[np.ndarray, "images *shape"]


def is_medmnist(path: Path) -> bool:
    """Whether a file is an archive with the images of a split, as MedMNIST has them."""
    try:
        with opened(path) as archive:
            return not {f"{split}_images" for split in _SPLITS}.isdisjoint(members(archive))
    except InputError:
        return False


def read_medmnist(path: Path | str) -> tuple[StackedImages, Int64[np.ndarray, " images"]]:
    """Read all splits of a MedMNIST archive, train, val and test in this order.

    The published splits are not by patient, so they are joined here, to be split again by patient.

    Args:
        path: an .npz file with `train_images`, `train_labels` and so on; splits may be missing. Images are
            uint8 or uint16, or floats in 0..1, which are rounded to uint8 steps.

    Returns:
        Images, grey `(images, height, width)`, RGB `(images, height, width, 3)` or volumes
        `(images, depth, height, width)`, a last axis of 3 meaning RGB; and one label per image.

    Raises:
        InputError: the file is not such an archive, damaged, larger than 8 GB unpacked, or holds pickled objects, float
            images outside 0..1 or NaN, splits that do not fit each other, or several labels per image.
    """
    images, labels = zip(*read_medmnist_splits(path).values(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def read_medmnist_splits(path: Path | str) -> dict[str, tuple[StackedImages, Int64[np.ndarray, " images"]]]:
    """Return the images and labels of each split of a MedMNIST archive; raise as `read_medmnist` does."""
    path = Path(path)
    with opened(path) as archive:
        arrays = _read_arrays(path, archive)
    splits = [split for split in _SPLITS if f"{split}_images" in arrays]
    if not splits:
        raise InputError(f"{path} holds no train_images, val_images or test_images; give a MedMNIST archive.")
    images = [_checked_images(path, f"{split}_images", arrays[f"{split}_images"]) for split in splits]
    labels = [_checked_labels(path, f"{split}_labels", arrays.get(f"{split}_labels")) for split in splits]
    for split, some_images, some_labels in zip(splits, images, labels, strict=True):
        if len(some_images) != len(some_labels):
            raise InputError(
                f"{path} holds {len(some_images)} {split}_images but {len(some_labels)} {split}_labels; "
                "download it again."
            )
        if some_images.shape[1:] != images[0].shape[1:] or some_images.dtype != images[0].dtype:
            raise InputError(f"{path} holds {split}_images of another shape or type; make the splits alike.")
    return dict(zip(splits, zip(images, labels, strict=True), strict=True))


def _read_arrays(path: Path, archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > SIZE_LIMIT:
        raise InputError(
            f"{path} would unpack to {unpacked / 1e9:.1f} GB, more than {SIZE_LIMIT / 1e9:.0f} GB; split it."
        )
    wanted = {f"{split}_{kind}" for split in _SPLITS for kind in ("images", "labels")}
    return {name: read_array(path, archive, member) for name, member in members(archive).items() if name in wanted}


def _checked_images(path: Path, name: str, images: np.ndarray) -> np.ndarray:
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise InputError(f"{path} holds {name} of shape {images.shape}; give 2D or 3D images, at least one.")
    if images.dtype in (np.uint8, np.uint16):
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"{path} holds {name} of type {images.dtype}; convert them to uint8 or uint16.")
    if not (images.min() >= 0 and images.max() <= 1):  # false for NaN
        raise InputError(f"{path} holds {name} that are NaN or outside 0 to 1; convert them to uint8.")
    return np.rint(images * 255).astype(np.uint8)


def _checked_labels(path: Path, name: str, labels: np.ndarray | None) -> Int64[np.ndarray, " images"]:
    if labels is None:
        raise InputError(f"{path} holds images without {name}; give a MedMNIST archive with labels.")
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise InputError(
            f"{path} holds {labels.shape[1]} labels per image in {name}; "
            "keep one of the columns, for a task has one label per image."
        )
    if labels.ndim not in (1, 2) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{path} holds {name} of shape {labels.shape} and type {labels.dtype}; give one integer per image."
        )
    return labels.reshape(len(labels)).astype(np.int64)
