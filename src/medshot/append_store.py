"""A cache on disk to which rows are only ever appended, and which finds them by hash."""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
from filelock import FileLock
from jaxtyping import Int64, Shaped, UInt8

from medshot.errors import StorageError
from medshot.storage import write_bytes

LOCK = "lock"
_GENERATION = "generation"

Keys = Shaped[np.ndarray, "rows *bytes"]


class AppendStore:
    """A folder with one file per column and one of keys; row k of each file belongs to the same image.

    A row counts if it is whole in every file. Keys are written last, after the rest is safe on disk, so a writer that
    is killed leaves at most a tail that does not count, and the next writer cuts it off. Writers take turns by a lock.
    Readers need none, since rows that count never change. Columns are mapped from disk; the index takes 16 bytes a row.

    A random generation number is written when the store is empty. So a store that another process has emptied and
    filled again is noticed, and no row is read as that of another image.

    Args:
        folder: the folder, which need not exist.
        columns: the file name, type and shape of a row of each column.
        keys: the file name of the keys.
        key_bytes: the size of a key, at least 8. Keys are hashes: their first 8 bytes must tell them apart.
    """

    def __init__(
        self, folder: Path, columns: Mapping[str, tuple[np.dtype, tuple[int, ...]]], keys: str, key_bytes: int
    ) -> None:
        self.folder = folder
        self._types = {**columns, keys: (np.dtype(np.uint8), (key_bytes,))}
        self._keys, self._key_bytes = keys, key_bytes
        self._generation: tuple[bytes, int] = (b"", 0)
        self._clear_index()

    def find(self, keys: Keys) -> Int64[np.ndarray, " rows"]:
        """Return the row of each key at present, -1 for a key that is not stored."""
        wanted = self._as_bytes(keys)
        stored = self._update_index()
        if not len(self._sorted):
            return np.full(len(wanted), -1)
        places = np.searchsorted(self._sorted, _prefixes(wanted)).clip(max=len(self._sorted) - 1)
        rows = self._rows[places]
        return np.where((stored[rows] == wanted).all(axis=1), rows, -1)

    def column(self, name: str) -> np.ndarray:
        """Return all rows of one column, mapped from disk and read-only, which rows of the last `find` index.

        Raises:
            StorageError: the store was emptied since the last `find`.
        """
        try:
            column = self._mapped(name, len(self._rows))
        except (OSError, ValueError):  # the file is gone or shorter
            column = None
        if column is None or (len(column) and self._read_generation() != self._generation):
            raise StorageError(f"{self.folder} was changed by another program in the middle of the work; run it again.")
        return column

    def append(self, keys: Keys, columns: Mapping[str, np.ndarray]) -> None:
        """Write the rows whose keys are not stored yet.

        Args:
            keys: the key of each row.
            columns: the rows of each column.

        Raises:
            StorageError: the folder cannot be written to.
        """
        encoded = self._as_bytes(keys)
        with writing_into_cache(self.folder), FileLock(self.folder / LOCK), ExitStack() as stack:
            whole = self._whole_rows()
            if not whole:
                self._start_generation()
            # All are opened first: if someone deletes the folder now, rows are lost with it and never mixed.
            files = {name: stack.enter_context((self.folder / name).open("ab")) for name in self._types}
            for name, file in files.items():
                file.truncate(whole * self._row_bytes(name))
            new = self.find(encoded) < 0
            for name, file in files.items():
                rows = encoded if name == self._keys else columns[name]
                file.write(np.ascontiguousarray(rows[new], self._types[name][0]).data)
                file.flush()
                os.fsync(file.fileno())

    def _as_bytes(self, keys: Keys) -> UInt8[np.ndarray, "rows bytes"]:
        return np.ascontiguousarray(keys).view(np.uint8).reshape(len(keys), self._key_bytes)

    def _clear_index(self) -> None:
        self._sorted = np.empty(0, np.uint64)  # the first 8 bytes of the keys, in order
        self._rows = np.empty(0, np.int64)  # the row of each

    def _update_index(self) -> UInt8[np.ndarray, "rows bytes"]:
        """Index the rows appended since the last call, by this or another process; return all keys."""
        generation, whole = self._read_generation(), self._whole_rows()
        try:
            stored = self._mapped(self._keys, whole)
        except (OSError, ValueError):  # it was emptied this moment
            stored = self._mapped(self._keys, 0)
        if generation != self._generation or len(stored) < len(self._rows):
            self._clear_index()
            self._generation = generation
        known = len(self._rows)
        added = _prefixes(stored[known:])
        order = np.argsort(added, kind="stable")
        places = np.searchsorted(self._sorted, added[order], side="right")
        self._sorted = np.insert(self._sorted, places, added[order])
        self._rows = np.insert(self._rows, places, order + known)
        return stored

    def _read_generation(self) -> tuple[bytes, int]:
        """Return what differs after the store was emptied: its generation, and the file number of the keys."""
        number = b""
        with suppress(OSError):  # stores of earlier versions have no generation
            number = (self.folder / _GENERATION).read_bytes()
        try:
            return number, (self.folder / self._keys).stat().st_ino
        except OSError:
            return number, 0

    def _start_generation(self) -> None:
        for name in self._types:  # not truncated, since other processes may have mapped them
            (self.folder / name).unlink(missing_ok=True)
        write_bytes(self.folder / _GENERATION, secrets.token_hex(16).encode())

    def _mapped(self, name: str, rows: int) -> np.ndarray:
        dtype, shape = self._types[name]
        if not rows:
            return np.empty((0, *shape), dtype)
        return np.memmap(self.folder / name, dtype, mode="r", shape=(rows, *shape))

    def _whole_rows(self) -> int:
        try:
            return min((self.folder / name).stat().st_size // self._row_bytes(name) for name in self._types)
        except OSError:  # nothing is stored yet, or nothing can be read; a writer reports why
            return 0

    def _row_bytes(self, name: str) -> int:
        dtype, shape = self._types[name]
        return dtype.itemsize * int(np.prod(shape))


def _prefixes(keys: UInt8[np.ndarray, "rows bytes"]) -> Shaped[np.ndarray, " rows"]:
    return np.ascontiguousarray(keys[:, :8]).view(np.uint64)[:, 0]


@contextmanager
def writing_into_cache(folder: Path) -> Iterator[None]:
    """Create a folder of the cache; turn an error while writing into it into a StorageError with advice."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"the cache folder {folder} could not be written to ({error.strerror or error}); "
            "set MEDSHOT_CACHE to a folder that you may write to and that has space."
        ) from error
