"""Keep decoded images on disk: one memory-mapped array per list of files and shape, found by content."""

import hashlib
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from medshot.append_store import writing_into_cache
from medshot.environment import cache_folder
from medshot.imaging.decoding import decoded
from medshot.imaging.inputs import GridInput
from medshot.imaging.resizing import prepare
from medshot.imaging.scan import FittedImage, Pixels
from medshot.progress import progress

PIXELS_VERSION = 2
"""The version of how files become pixels: a change of `display`, or of what is read, must change it."""
_AHEAD = 4  # items in work for each thread

Item = TypeVar("Item")
Result = TypeVar("Result")


class _SixteenBits(Exception):
    """An image of 16 bits among images of 8."""


def cached_pixels(paths: Sequence[Path], hashes: Sequence[str], shape: GridInput) -> Pixels:
    """Return the pixels of image files, decoded once and then mapped into memory, read-only.

    The cache file is named by the files' contents, so a changed file is decoded again and a moved one is not. It is
    written under a temporary name and renamed, so two processes may build it at once, and an interrupted process
    leaves no partial file of that name. Peak memory does not grow with the number of images.

    Args:
        paths: at least one file, all pictures or all volumes.
        hashes: SHA-256 of each file.
        shape: what the network asks for.

    Returns:
        uint8; uint16 as soon as one image has 16 bits, 8-bit values being scaled by 257 then.

    Raises:
        InputError: an image cannot be read.
        StorageError: the cache folder cannot be written to.
    """
    key = hashlib.sha256("\n".join([f"{PIXELS_VERSION} {shape.dimensions}", *hashes]).encode())
    place = cache_folder() / f"{key.hexdigest()}.npy"
    pixels = _open(place, (len(paths), *shape.dimensions))
    if pixels is not None:
        return pixels
    with writing_into_cache(place.parent):
        _build(place, paths, shape)
        return np.load(place, mmap_mode="r", allow_pickle=False)


def decoded_files(paths: Iterable[Path], shape: GridInput, dtype: np.dtype | None = None) -> Iterator[FittedImage]:
    """Yield the pixels of image files in order, decoded by threads a little ahead of the consumer.

    Args:
        paths: image files.
        shape: what the network asks for.
        dtype: uint8 or uint16; by default each image's own.

    Raises:
        InputError: an image cannot be read.
    """
    return in_threads(partial(_decode, shape=shape, dtype=dtype), paths, os.cpu_count() or 1)


def in_threads(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield `work` of each item in order; threads run only a few items ahead, which bounds memory."""
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) == _AHEAD * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _open(place: Path, expected: tuple[int, ...]) -> Pixels | None:
    """Return the cached array, or None if it is missing or incomplete."""
    try:
        pixels = np.load(place, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    whole = pixels.shape == expected and pixels.dtype in (np.uint8, np.uint16)
    return pixels if whole and place.stat().st_size == pixels.offset + pixels.nbytes else None


def _build(place: Path, paths: Sequence[Path], shape: GridInput) -> None:
    dtype = decoded(paths[0], shape).dtype
    file = tempfile.NamedTemporaryFile(suffix=".part", dir=place.parent, delete=False)  # noqa: SIM115
    temporary = Path(file.name)
    try:
        with file:
            try:
                _write(file, paths, shape, dtype)
            except _SixteenBits:
                file.seek(0)
                _write(file, paths, shape, np.dtype(np.uint16))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    finally:
        temporary.unlink(missing_ok=True)


def _write(file: IO[bytes], paths: Sequence[Path], shape: GridInput, dtype: np.dtype) -> None:
    """Write the .npy header, then each image. On a full disk this raises, while a memory map would kill the process."""
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (len(paths), *shape.dimensions),
    }
    np.lib.format.write_array_header_1_0(file, header)
    with progress("reading images", len(paths)) as advance:
        for fitted in decoded_files(paths, shape, dtype):
            file.write(fitted.data)
            advance(1)


def _decode(path: Path, shape: GridInput, dtype: np.dtype | None) -> FittedImage:
    image = decoded(path, shape)
    if dtype is not None and image.dtype.itemsize > dtype.itemsize:
        raise _SixteenBits
    return prepare(image, shape, dtype or image.dtype)
