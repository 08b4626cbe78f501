"""Where the images of a task come from: files on disk or an array in memory, behind one small protocol."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from medshot.errors import InputError
from medshot.imaging.cache import cached_pixels, decoded_files
from medshot.imaging.decoding import axes_of, content_hash, refuse_other_axes
from medshot.imaging.inputs import GridInput
from medshot.imaging.resizing import prepare
from medshot.imaging.scan import FittedImage, Pixels


@runtime_checkable
class ImageSource(Protocol):
    """The images of a task, in any shape that a network asks for."""

    @property
    def axes(self) -> int:
        """How many axes an image lies in: 2 for pictures, 3 for volumes, 1 for vectors."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def hashes(self) -> list[str]:
        """SHA-256 of each image's content, in hexadecimal."""
        ...

    def pixels(self, shape: GridInput) -> Pixels:
        """All images as `(images, *shape.dimensions)`, read-only, possibly mapped from disk."""
        ...

    def stream(self, shape: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """The images of these rows in order, each of 8 or 16 bits as its source has it, and none of them kept."""
        ...


class FileImages:
    """Image files, decoded once and kept in the cache folder as one memory-mapped array per shape.

    Args:
        paths: images as `decoded` takes them, at least one. They are read when
            `hashes` or `pixels` is first asked.

    Raises:
        InputError: no paths; and, from `hashes`, `pixels` and `stream`, a file that cannot be read, or a volume where
            pictures are asked for and the other way round.
    """

    def __init__(self, paths: Sequence[Path | str]) -> None:
        self.paths = tuple(Path(path) for path in paths)
        if not self.paths:
            raise InputError("the list of image files is empty; give at least one file.")
        self._pixels: dict[GridInput, Pixels] = {}

    def __len__(self) -> int:
        """Number of files."""
        return len(self.paths)

    @cached_property
    def axes(self) -> int:
        """3 where the first file is a volume, 2 where it is a picture."""
        return axes_of(self.paths[0])

    def take(self, rows: Int[np.ndarray, " taken"]) -> "FileImages":
        """The images of these rows alone."""
        return FileImages([self.paths[row] for row in rows])

    def hashes(self) -> list[str]:
        """SHA-256 of the bytes of each file, computed once."""
        return self._hashes

    def pixels(self, shape: GridInput) -> Pixels:
        """All images as `(images, *shape.dimensions)`, mapped from the cache; see `cached_pixels`."""
        if shape not in self._pixels:
            self._pixels[shape] = cached_pixels(self.paths, self._hashes, shape)
        return self._pixels[shape]

    def stream(self, shape: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """The images of these rows in order, each in the type of its file, decoded anew and kept nowhere."""
        return decoded_files((self.paths[row] for row in rows), shape)

    @cached_property
    def _hashes(self) -> list[str]:
        return [content_hash(path) for path in self.paths]


class ArrayImages:
    """Images that are in memory already.

    Args:
        array: uint8 or uint16, grey `(images, height, width)`, RGB `(images, height, width, 3)`, or volumes
            `(images, depth, height, width)`. A last axis of 3 means RGB.

    Raises:
        InputError: another type or number of axes, or an axis of length 0; and, from `pixels` and `stream`, volumes
            where pictures are asked for and the other way round.
    """

    def __init__(self, array: np.ndarray) -> None:
        if array.dtype not in (np.uint8, np.uint16):
            raise InputError(f"the image array holds {array.dtype} values; convert it to uint8 or uint16.")
        if array.ndim not in (3, 4) or 0 in array.shape:
            raise InputError(
                f"the image array has shape {array.shape}; give (images, height, width), "
                "(images, height, width, 3) or (images, depth, height, width), none of them 0."
            )
        self.array = array.view()
        self.array.flags.writeable = False
        self._pixels: dict[GridInput, Pixels] = {}

    def __len__(self) -> int:
        """Number of images."""
        return len(self.array)

    @property
    def axes(self) -> int:
        """3 for volumes, 2 for pictures."""
        return 3 if self.array.ndim == 4 and self.array.shape[-1] != 3 else 2

    def take(self, rows: Int[np.ndarray, " taken"]) -> "ArrayImages":
        """The images of these rows alone."""
        return ArrayImages(self.array[rows])

    def hashes(self) -> list[str]:
        """SHA-256 of the bytes of each image, computed once."""
        return self._hashes

    def pixels(self, shape: GridInput) -> Pixels:
        """All images as `(images, *shape.dimensions)` in the array's type, computed once per shape."""
        if shape not in self._pixels:
            pixels = np.empty((len(self.array), *shape.dimensions), self.array.dtype)
            for place, image in zip(pixels, self.stream(shape, np.arange(len(self))), strict=True):
                place[:] = image
            pixels.flags.writeable = False
            self._pixels[shape] = pixels
        return self._pixels[shape]

    def stream(self, shape: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """The images of these rows in order, in the array's type, fitted anew and kept nowhere."""
        refuse_other_axes(self.axes, shape, f"the images, of shape {self.array.shape[1:]}, are")
        return (prepare(self.array[row], shape, self.array.dtype) for row in rows)

    @cached_property
    def _hashes(self) -> list[str]:
        return [hashlib.sha256(np.ascontiguousarray(image).data).hexdigest() for image in self.array]


class Vectors:
    """Feature vectors given in place of images.

    Args:
        array: one row per image.
    """

    def __init__(self, array: Float[np.ndarray, "images features"]) -> None:
        self.array = np.ascontiguousarray(array, dtype=np.float32)

    @property
    def axes(self) -> int:
        """One."""
        return 1

    def __len__(self) -> int:
        """Number of vectors."""
        return len(self.array)

    def hashes(self) -> list[str]:
        """SHA-256 of the bytes of each vector."""
        return [hashlib.sha256(vector.tobytes()).hexdigest() for vector in self.array]

    def pixels(self, shape: GridInput) -> Pixels:
        """Refused: InputError."""
        raise InputError("This learner takes images, and X holds feature vectors; give image files or an image array.")

    def stream(self, shape: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """Refused: InputError."""
        self.pixels(shape)
        return iter(())


MISSING = -1
Images = FileImages | ArrayImages


class SeveralImages:
    """A source whose samples are several images each.

    Args:
        sources: for each name, such as "flair", where those images come from.
        rows: for each name, the image of each sample in its source; -1 where the sample lacks it.

    Raises:
        InputError: there are no names, they differ between the two, the numbers of rows differ, a row is not in its
            source, or a sample has no image at all.
    """

    def __init__(self, sources: Mapping[str, Images], rows: Mapping[str, Int[np.ndarray, " samples"]]) -> None:
        self.sources, self.names = dict(sources), tuple(sources)
        if not sources or sources.keys() != rows.keys():
            raise InputError(f"the images are named {', '.join(sources)} and their rows {', '.join(rows)}; name alike.")
        lengths = {name: len(of_name) for name, of_name in rows.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"the numbers of samples differ by name ({lengths}); give one row for each sample.")
        self.rows = np.stack([np.asarray(rows[name], dtype=np.int64) for name in self.names], axis=1)
        for name, of_name in zip(self.names, self.rows.T, strict=True):
            if len(of_name) and not MISSING <= of_name.min() <= of_name.max() < len(sources[name]):
                raise InputError(f"rows of '{name}' go beyond its {len(sources[name])} images; correct them.")
        empty = np.flatnonzero((self.rows == MISSING).all(1))
        if len(empty):
            raise InputError(f"sample {empty[0]} has no image at all; give it one or leave it out.")

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.rows)

    @property
    def axes(self) -> int:
        """How many axes the images of the first name lie in."""
        return self.sources[self.names[0]].axes

    def take(self, rows: Int[np.ndarray, " taken"]) -> "SeveralImages":
        """The samples of these rows alone; names that none of them has are gone."""
        sources, of_names = {}, {}
        for name, of_name in zip(self.names, self.rows[rows].T, strict=True):
            there = of_name != MISSING
            if there.any():
                used, places = np.unique(of_name[there], return_inverse=True)
                sources[name], of_names[name] = self.sources[name].take(used), np.full(len(rows), MISSING)
                of_names[name][there] = places
        return SeveralImages(sources, of_names)

    def hashes(self) -> list[str]:
        """SHA-256 of the names and hashes of the images that each sample has."""
        return [
            sha256("\n".join(f"{name} {digest}" for name, digest in of_sample.items()).encode()).hexdigest()
            for of_sample in self.hashes_by_name()
        ]

    def hashes_by_name(self) -> list[dict[str, str]]:
        """For each sample, the SHA-256 of every image that it has."""
        of_names = [self.sources[name].hashes() for name in self.names]
        return [
            {
                name: of_name[row]
                for name, of_name, row in zip(self.names, of_names, rows, strict=True)
                if row != MISSING
            }
            for rows in self.rows.tolist()
        ]

    def pixels(self, shape: GridInput) -> Pixels:
        """Refused: InputError."""
        raise InputError(
            f"each sample has several images ({', '.join(self.names)}) and this learner takes one; meta-train with "
            f"--images {len(self.names)}, or make a manifest with one column 'image'."
        )

    def stream(self, shape: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """Refused: InputError."""
        self.pixels(shape)
        return iter(())


def hashes_of_each(images: ImageSource) -> list[list[str]]:
    """For each sample of a source, the SHA-256 of every image that it has: one, or several."""
    if isinstance(images, SeveralImages):
        return [list(of_sample.values()) for of_sample in images.hashes_by_name()]
    return [[digest] for digest in images.hashes()]
