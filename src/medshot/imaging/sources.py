"""Where the images of a task come from: files on disk or an array in memory, behind one small protocol."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Int

from medshot.errors import InputError
from medshot.imaging.arrays import FittedImage, Pixels
from medshot.imaging.cache import cached_pixels, decoded_files
from medshot.imaging.decoding import axes_of, content_hash
from medshot.imaging.resizing import prepare
from medshot.imaging.shape import GridShape


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
        self._pixels: dict[GridShape, Pixels] = {}

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

    def pixels(self, shape: GridShape) -> Pixels:
        """All images as `(images, *shape.dimensions)`, mapped from the cache; see `cached_pixels`."""
        if shape not in self._pixels:
            self._pixels[shape] = cached_pixels(self.paths, self._hashes, shape)
        return self._pixels[shape]

    def stream(self, shape: GridShape, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
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
        self._pixels: dict[GridShape, Pixels] = {}

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

    def pixels(self, shape: GridShape) -> Pixels:
        """All images as `(images, *shape.dimensions)` in the array's type, computed once per shape."""
        if shape not in self._pixels:
            pixels = np.empty((len(self.array), *shape.dimensions), self.array.dtype)
            for place, image in zip(pixels, self.stream(shape, np.arange(len(self))), strict=True):
                place[:] = image
            pixels.flags.writeable = False
            self._pixels[shape] = pixels
        return self._pixels[shape]

    def stream(self, shape: GridShape, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """The images of these rows in order, in the array's type, fitted anew and kept nowhere."""
        shape.refuse_unless_of(self.axes, f"the images, of shape {self.array.shape[1:]}, are")
        return (prepare(self.array[row], shape, self.array.dtype) for row in rows)

    @cached_property
    def _hashes(self) -> list[str]:
        return [hashlib.sha256(np.ascontiguousarray(image).data).hexdigest() for image in self.array]
