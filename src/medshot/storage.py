"""Write and read results: arrays as safetensors, everything else as JSON, each file written whole or not at all.

All results are written here, and no pickle is written or read. A file or folder is written under a temporary name and
renamed, so other processes see the old state or the new one and never a part.
"""

import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as decode_arrays
from safetensors.numpy import save as encode_arrays

from medshot.errors import StorageError


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path`; if this fails, `path` keeps what it held before.

    Raises:
        StorageError: the disk is full or read-only, or the folder is not writable.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path} could not be written ({error.strerror or error}); free some space there or choose another place."
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` as indented UTF-8 JSON; NaN and infinity are refused, since JSON has no such numbers."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> str:
    """Write named arrays, with optional text `metadata`, as one safetensors file; returns its SHA-256."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    content = encode_arrays(contiguous, metadata=dict(metadata) if metadata else None)
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def read_bytes(path: Path) -> bytes:
    """Return the content of `path`; StorageError if it is missing or unreadable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(
            f"{path} could not be read ({error.strerror or error}); check the path, or create the folder again."
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that `write_json` wrote; StorageError if it is missing or is not one."""
    try:
        value = json.loads(read_bytes(path), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path} is not valid JSON; the file is damaged, create the folder again.") from error
    if not isinstance(value, dict):
        raise StorageError(f"{path} holds {type(value).__name__} instead of an object; create the folder again.")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def read_arrays(path: Path, sha256: str | None = None) -> dict[str, np.ndarray]:
    """Read the named arrays of a safetensors file.

    Args:
        path: the file.
        sha256: the digest recorded when it was written; a truncated or swapped file does not match.

    Raises:
        StorageError: the file is missing, damaged, or not the one that was recorded.
    """
    content = read_bytes(path)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise StorageError(f"{path} is not the file that was saved (its SHA-256 differs); create the folder again.")
    try:
        return decode_arrays(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise StorageError(f"{path} is not a readable safetensors file ({error}); create the folder again.") from error


def read_metadata(path: Path) -> dict[str, str]:
    """Return the text metadata in the header of a safetensors file."""
    content = read_bytes(path)
    try:
        length = int.from_bytes(content[:8], "little")
        return json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except (ValueError, AttributeError) as error:
        raise StorageError(f"{path} is not a readable safetensors file; create the folder again.") from error


def printable_path(path: Path | str) -> str:
    """Return the path as valid text: bytes that are not UTF-8 become escapes such as \\xe9."""
    return os.fsencode(path).decode(errors="backslashreplace")


def refuse_existing(path: Path) -> None:
    """Raise StorageError if `path` exists, since results are never overwritten, or cannot be created."""
    try:
        path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"{path} could not be created ({error.strerror}); choose another place.") from error
    raise StorageError(f"{path} exists already; choose another name or remove it.")


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill; it becomes `path` if the block succeeds, otherwise it is removed.

    Raises:
        StorageError: `path` exists already, or its parent cannot be written to.
    """
    refuse_existing(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        temporary.chmod(0o755)
    except OSError as error:
        raise StorageError(f"{path} could not be created ({error.strerror or error}); choose another place.") from error
    try:
        yield temporary
        refuse_existing(path)
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
