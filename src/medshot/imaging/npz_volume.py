"""Volumes in `.npz` archives, one array of them each."""

import zipfile
from pathlib import Path

import numpy as np

from medshot.errors import InputError
from medshot.imaging.arrays import Volume
from medshot.imaging.npz import members, opened, read_array, read_header

NPZ_SUFFIXES = frozenset({".npz"})
VOXEL_LIMIT = 400_000_000
_MASK = "mask"


def parted(path: Path) -> tuple[Path, str]:
    """The file of an image, and the name of the array within it: of `scan.npz#flair`, `scan.npz` and "flair".

    The name is empty where none is given. A "#" in the name of any other kind of file belongs to that name.
    """
    file, mark, array = path.name.rpartition("#")
    if mark and Path(file).suffix.lower() in NPZ_SUFFIXES:
        return path.with_name(file), array
    return path, ""


def read_volume(path: Path | str) -> Volume:
    """The voxels of a volume, in the values that its file stores.

    An `.npz` archive holds one array of three axes, or several of which the path names one (`scan.npz#flair`). Arrays
    whose name ends in "mask" are outlines and no images: they are taken only where they are named.

    Args:
        path: a file, or a file and the name of an array in it.

    Returns:
        `(depth, height, width)`, uint8 or uint16.

    Raises:
        InputError: the file is missing or damaged, holds no such array, more than one, other numbers than uint8 or
            uint16, a colour picture, or more than 400 million voxels.
    """
    file, name = parted(Path(path))
    with opened(file) as archive:
        member = _chosen(file, name, archive)
        shape, dtype = read_header(file, archive, member)
        if len(shape) != 3 or 0 in shape or shape[-1] == 3:
            raise InputError(
                f"{path} holds an array of shape {shape}, which is no volume; give (depth, height, width), none of "
                "them 0 and a width of more than 3."
            )
        if dtype not in (np.uint8, np.uint16):
            raise InputError(f"{path} holds {dtype} values; convert them to uint8 or uint16.")
        if np.prod(shape, dtype=object) > VOXEL_LIMIT:
            raise InputError(f"{path} has {shape} voxels, more than {VOXEL_LIMIT:,} in all; make it smaller.")
        return np.ascontiguousarray(read_array(file, archive, member))


def _chosen(file: Path, name: str, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The array that is named, or the one that may be meant."""
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
