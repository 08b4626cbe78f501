"""Facts of images on disk: measured once per file, appended, found again by the next check."""

import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import numpy as np
from filelock import FileLock
from jaxtyping import Int64, UInt64

from medshot.imaging.cache import cache_folder, writing_into
from medshot.imaging.npz_volume import parted
from medshot.tasks.audit.facts import FACTS, VERSION

_KEYS = "keys"

Keys = UInt64[np.ndarray, "images 2"]


def keys(names: Iterable[bytes]) -> Keys:
    """128-bit hashes of what identifies each image."""
    digests = b"".join(blake2b(name, digest_size=16).digest() for name in names)
    return np.frombuffer(digests, np.uint64).reshape(-1, 2)


def file_identity(path: str) -> bytes:
    """What changes whenever a file does: its place, its size and when it was written; OSError where there is none."""
    file = str(parted(Path(path))[0]) if "#" in path else path
    status = os.stat(file)  # noqa: PTH116 (a million Path objects cost more than the look)
    return b"\0".join([os.fsencode(os.path.abspath(path)), str((status.st_size, status.st_mtime_ns)).encode()])  # noqa: PTH100


class FactStore:
    """A folder with a file per fact, to which rows are only ever appended; row k of each is of the same image.

    A row counts once it is whole in every file. Keys are written last, so a process that is killed leaves at most a
    tail that does not count and that the next one cuts off. What is read is mapped from disk, so that memory holds no
    more than 16 bytes per image.

    Args:
        folder: where it is or will be; in the cache folder where it is left out.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / f"audit-{VERSION}"
        self._widths = {name: FACTS[name].itemsize for name in FACTS.names or ()} | {_KEYS: 16}

    def find(self, wanted: Keys) -> Int64[np.ndarray, " images"]:
        """The row of each key, -1 where there is none."""
        there = self._mapped(_KEYS, np.dtype((np.uint64, 2)), self._whole_rows())
        if not len(there):
            return np.full(len(wanted), -1)
        order = np.argsort(there[:, 0], kind="stable")
        first = there[order, 0]
        places = np.minimum(np.searchsorted(first, wanted[:, 0]), len(order) - 1)
        rows = order[places]
        return np.where((there[rows] == wanted).all(axis=1), rows, -1)

    def column(self, name: str) -> np.ndarray:
        """One fact of all rows, mapped from disk, read-only."""
        return self._mapped(name, FACTS[name], self._whole_rows())

    def append(self, of: Keys, rows: np.ndarray) -> None:
        """Write the facts of these keys.

        Args:
            of: the key of each row; one that is there already is written again and changes nothing.
            rows: of the type `FACTS`.

        Raises:
            StorageError: the folder cannot be written to.
        """
        columns = {name: rows[name] for name in FACTS.names or ()} | {_KEYS: of}
        with writing_into(self.folder), FileLock(self.folder / "lock"):
            there = self._whole_rows()
            for name, width in self._widths.items():
                with (self.folder / name).open("ab") as file:
                    file.truncate(there * width)
            for name, values in columns.items():
                with (self.folder / name).open("ab") as file:
                    file.write(np.ascontiguousarray(values).data)
                    file.flush()
                    os.fsync(file.fileno())

    def _mapped(self, name: str, dtype: np.dtype, rows: int) -> np.ndarray:
        base, inner = dtype.subdtype or (dtype, ())
        if not rows:
            return np.empty((0, *inner), base)
        return np.memmap(self.folder / name, base, mode="r", shape=(rows, *inner))

    def _whole_rows(self) -> int:
        try:
            return min((self.folder / name).stat().st_size // width for name, width in self._widths.items())
        except OSError:  # there is nothing yet, or nothing that can be read; whoever writes says why
            return 0
