"""Arrays of `.npz` archives: headers are judged before memory is taken, pickled objects are never unpickled."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from medshot.errors import InputError

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, open; InputError where there is none, or where reading finds it damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; check the path.") from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} is not a readable .npz archive ({error}); download it again.") from error


def members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The archive's arrays by name."""
    return {member.filename.removesuffix(".npy"): member for member in archive.infolist()}


def read_header(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array; InputError where it is damaged or holds pickled objects."""
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
    """An array; InputError where it is damaged or holds pickled objects."""
    read_header(path, archive, member)
    try:
        with archive.open(member) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, KeyError, SyntaxError, MemoryError) as error:
        raise _damaged(path, member, error) from error


def _damaged(path: Path, member: zipfile.ZipInfo, error: Exception) -> InputError:
    return InputError(f"{path} holds a damaged array {member.filename} ({error}); download the file again.")
