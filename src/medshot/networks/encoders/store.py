"""What encoders gave for images, kept on disk once per image and encoder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from jaxtyping import Float32, Int64, UInt8

from medshot.imaging.cache import writing_into

LOCK = "lock"


@dataclass(frozen=True)
class Embeddings:
    """What is kept of images, one row each.

    Args:
        features: as the encoder gave them.
        fingerprints: perceptual, of the pixels that the encoder saw.
        measures: of the same pixels, in the order of `medshot.imaging.intensity.measures`.
    """

    features: Float32[np.ndarray, "rows features"]
    fingerprints: UInt8[np.ndarray, "rows 32"]
    measures: Float32[np.ndarray, "rows measures"]


class EmbeddingStore:
    """A folder of four files to which rows are only ever appended; row k of each belongs to the same image.

    A row counts once it is whole in every file. Hashes are written last, after the rest is safe on disk, so a writer
    that is killed leaves at most a tail that does not count and that the next one cuts off. Writers take turns by a
    lock; readers need none, since rows that count never change.

    Args:
        folder: where it is or will be.
        features: number of features in a row.
        measures: number of measures in a row.
    """

    def __init__(self, folder: Path, features: int, measures: int) -> None:
        self.folder = folder
        self._columns: dict[str, tuple[np.dtype, int]] = {
            "features.f32": (np.dtype(np.float32), features),
            "fingerprints.u8": (np.dtype(np.uint8), 32),
            "measures.f32": (np.dtype(np.float32), measures),
            "hashes.u8": (np.dtype(np.uint8), 32),
        }
        self._rows: dict[bytes, int] = {}
        self._known = 0

    def find(self, hashes: Sequence[bytes]) -> Int64[np.ndarray, " hashes"]:
        """The row of each SHA-256 as of now, -1 where there is none."""
        self._look()
        return np.array([self._rows.get(digest, -1) for digest in hashes], dtype=np.int64)

    def read(self) -> Embeddings:
        """All rows, mapped from disk, read-only."""
        return Embeddings(*(self._mapped(name, self._whole_rows()) for name in list(self._columns)[:3]))

    def append(self, hashes: Sequence[bytes], rows: Embeddings) -> None:
        """Write the rows whose hashes are not there yet; the hashes given differ.

        Raises:
            StorageError: the folder cannot be written to.
        """
        with writing_into(self.folder), FileLock(self.folder / LOCK):
            there = self._whole_rows()
            for name in self._columns:
                with (self.folder / name).open("ab") as file:
                    file.truncate(there * self._row_bytes(name))
            new = np.flatnonzero(self.find(hashes) < 0)
            digests = np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 32)
            for name, array in zip(self._columns, (*vars(rows).values(), digests), strict=True):
                with (self.folder / name).open("ab") as file:
                    file.write(np.ascontiguousarray(array[new]).data)
                    file.flush()
                    os.fsync(file.fileno())

    def _look(self) -> None:
        """Take in the rows that were appended since the last look, by whatever process."""
        there = self._whole_rows()
        if there < self._known:  # someone has emptied the cache
            self._rows, self._known = {}, 0
        content = self._mapped("hashes.u8", there)[self._known :].tobytes()
        self._rows.update((content[32 * k : 32 * k + 32], self._known + k) for k in range(there - self._known))
        self._known = there

    def _mapped(self, name: str, rows: int) -> np.ndarray:
        dtype, width = self._columns[name]
        if rows == 0:
            return np.empty((0, width), dtype)
        return np.memmap(self.folder / name, dtype, mode="r", shape=(rows, width))

    def _whole_rows(self) -> int:
        try:
            return min((self.folder / name).stat().st_size // self._row_bytes(name) for name in self._columns)
        except OSError:  # there is nothing, or nothing that can be read; whoever then writes says why
            return 0

    def _row_bytes(self, name: str) -> int:
        dtype, width = self._columns[name]
        return dtype.itemsize * width
