"""A picture or a volume in a `.npy` file: the header is judged before memory is taken, nothing is unpickled."""

from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from medshot.errors import InputError
from medshot.imaging.npz import VOXEL_LIMIT
from medshot.imaging.reading import read_content
from medshot.imaging.scan import Scan

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
NO_PLACE = "An array does not tell how large a pixel is, nor where it lies."
_SHAPES = "give (height, width), (height, width, 3) for colour, or (depth, height, width)"


def read_npy(path: Path) -> Scan:
    """Read a `.npy` file as a picture of two axes, a colour picture with a last axis of 3, or a volume of three axes.

    Numbers of uint8 and uint16 are kept. Other numbers are scaled to 0 to 65535 between their 0.5 and 99.5 percentiles,
    and truth values to 0 and 255; the scan says so.

    Raises:
        InputError: the file is missing or damaged, or holds something else.
    """
    array = _judged(path, _loaded(path))
    assumed = [NO_PLACE]
    if array.dtype == bool:
        array = array.astype(np.uint8) * np.uint8(255)
    elif array.dtype not in (np.uint8, np.uint16):
        array = _scaled(path, array, assumed)
    if array.ndim == 3 and array.shape[-1] != 3:
        return Scan(array=array, kind="volume", assumed=(*assumed, "The first axis was taken as slices."))
    return Scan(array=array[None], kind="picture", assumed=tuple(assumed))


def _loaded(path: Path) -> Shaped[np.ndarray, "..."]:
    read_content(path)  # a missing or empty file is refused in its own sentence
    try:
        with path.open("rb") as file:
            shape, _, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
            start = file.tell()
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if dtype.hasobject:
            raise InputError(f"{path} holds pickled objects, which can run code; save plain numbers.")
        if start + size != path.stat().st_size:
            raise ValueError("the size of the data differs from the header")
        if np.prod(shape, dtype=object) > VOXEL_LIMIT:
            raise InputError(f"{path} has {shape} numbers, more than {VOXEL_LIMIT:,} in all; make it smaller.")
        return np.load(path, allow_pickle=False)
    except InputError:
        raise
    except (ValueError, KeyError, SyntaxError, MemoryError, EOFError, OSError) as error:
        raise InputError(f"{path} is not a readable .npy file ({error}); save the array again.") from error


def _judged(path: Path, array: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise InputError(f"{path} holds an array of shape {array.shape}, which is not an image; {_SHAPES}.")
    if array.dtype.kind not in "buif":
        raise InputError(f"{path} holds {array.dtype} values; convert them to uint8 or uint16.")
    return np.ascontiguousarray(array)


def _scaled(path: Path, array: Shaped[np.ndarray, "..."], assumed: list[str]) -> Shaped[np.ndarray, "..."]:
    """Return the numbers between two percentiles of the array as uint16."""
    if not np.isfinite(array).all():
        raise InputError(f"{path} holds NaN or infinite values; replace them by numbers.")
    low, high = np.percentile(array, (0.5, 99.5))
    if not high > low:
        low, high = float(array.min()), float(array.max())
    assumed.append(f"The numbers are {array.dtype}; they are shown from {low:.4g} (black) to {high:.4g} (white).")
    shares = (array.astype(np.float64) - low) / max(high - low, np.finfo(np.float64).tiny)
    return np.rint(np.clip(shares, 0, 1) * 65535).astype(np.uint16)
