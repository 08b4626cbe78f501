"""Sources of images: files on disk, arrays in memory, several images for each sample, or feature vectors."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from medshot.errors import InputError
from medshot.imaging.cache import cached_pixels, decoded_files
from medshot.imaging.decoding import axes_of, content_hash, refuse_other_axes
from medshot.imaging.inputs import GridInput
from medshot.imaging.preparing import prepare
from medshot.imaging.scan import FittedImage, Pixels


@runtime_checkable
class ImageSource(Protocol):
    """The images of a task, as pixels or voxels of any size."""

    @property
    def axes(self) -> int:
        """Return the number of axes of an image: 2 for pictures, 3 for volumes, 1 for vectors."""
        ...

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def hashes(self) -> list[str]:
        """Return the SHA-256 of the content of each image, in hexadecimal."""
        ...

    def pixels(self, spec: GridInput) -> Pixels:
        """Return all images as `(images, *spec.dimensions)`, read-only, possibly mapped from disk."""
        ...

    def stream(self, spec: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """Yield the images of these rows in order, each of 8 or 16 bits like its source; none is cached."""
        ...


class FileImages:
    """Image files, decoded once and cached as one memory-mapped array for each input specification.

    Args:
        paths: of images in any format that medshot reads, at least one. They are read when `hashes`, `pixels` or
            `stream` is first called.

    Raises:
        InputError: the list is empty; `hashes`, `pixels` and `stream` raise it for a file that cannot be read, and for
            a volume if the specification is of pictures, or the other way round.
    """

    def __init__(self, paths: Sequence[Path | str]) -> None:
        self.paths = tuple(Path(path) for path in paths)
        if not self.paths:
            raise InputError("the list of image files is empty; give at least one file.")
        self._pixels: dict[GridInput, Pixels] = {}

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.paths)

    @cached_property
    def axes(self) -> int:
        """Return 3 if the first file is a volume, 2 if it is a picture."""
        return axes_of(self.paths[0])

    def take(self, rows: Int[np.ndarray, " taken"]) -> "FileImages":
        """Return a source of these rows only."""
        return FileImages([self.paths[row] for row in rows])

    def hashes(self) -> list[str]:
        """Return the SHA-256 of the bytes of each file, computed once."""
        return self._hashes

    def pixels(self, spec: GridInput) -> Pixels:
        """Return all images as `(images, *spec.dimensions)`, mapped from the cache; see `cached_pixels`."""
        if spec not in self._pixels:
            self._pixels[spec] = cached_pixels(self.paths, self._hashes, spec)
        return self._pixels[spec]

    def stream(self, spec: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """Decode the images of these rows in order, each in the type of its file, and cache none."""
        return decoded_files((self.paths[row] for row in rows), spec)

    @cached_property
    def _hashes(self) -> list[str]:
        return [content_hash(path) for path in self.paths]


class ArrayImages:
    """Images in memory.

    Args:
        array: uint8 or uint16, grey `(images, height, width)`, RGB `(images, height, width, 3)`, or volumes
            `(images, depth, height, width)`. A last axis of 3 means RGB.

    Raises:
        InputError: the type or number of axes is another, or an axis has length 0; `pixels` and `stream` raise it for
            volumes if the specification is of pictures, or the other way round.
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
        """Return the number of images."""
        return len(self.array)

    @property
    def axes(self) -> int:
        """Return 3 for volumes, 2 for pictures."""
        return 3 if self.array.ndim == 4 and self.array.shape[-1] != 3 else 2

    def take(self, rows: Int[np.ndarray, " taken"]) -> "ArrayImages":
        """Return a source of these rows only."""
        return ArrayImages(self.array[rows])

    def hashes(self) -> list[str]:
        """Return the SHA-256 of the bytes of each image, computed once."""
        return self._hashes

    def pixels(self, spec: GridInput) -> Pixels:
        """Return all images as `(images, *spec.dimensions)` in the array's type, computed once for each `spec`."""
        if spec not in self._pixels:
            pixels = np.empty((len(self.array), *spec.dimensions), self.array.dtype)
            for row, image in zip(pixels, self.stream(spec, np.arange(len(self))), strict=True):
                row[:] = image
            pixels.flags.writeable = False
            self._pixels[spec] = pixels
        return self._pixels[spec]

    def stream(self, spec: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """Fit the images of these rows in order, in the array's type, and cache none."""
        refuse_other_axes(self.axes, spec, f"the images, of shape {self.array.shape[1:]}, are")
        return (prepare(self.array[row], spec, self.array.dtype) for row in rows)

    @cached_property
    def _hashes(self) -> list[str]:
        return [hashlib.sha256(np.ascontiguousarray(image).data).hexdigest() for image in self.array]


class Vectors:
    """Feature vectors instead of images.

    Args:
        array: one row per image.
    """

    def __init__(self, array: Float[np.ndarray, "images features"]) -> None:
        self.array = np.ascontiguousarray(array, dtype=np.float32)

    @property
    def axes(self) -> int:
        """Return 1."""
        return 1

    def __len__(self) -> int:
        """Return the number of vectors."""
        return len(self.array)

    def hashes(self) -> list[str]:
        """Return the SHA-256 of the bytes of each vector, computed once."""
        return self._hashes

    def pixels(self, spec: GridInput) -> Pixels:
        """Raise InputError."""
        raise InputError("This learner takes images, and X holds feature vectors; give image files or an image array.")

    def stream(self, spec: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """Raise InputError."""
        self.pixels(spec)
        return iter(())

    @cached_property
    def _hashes(self) -> list[str]:
        return [hashlib.sha256(vector.tobytes()).hexdigest() for vector in self.array]


MISSING = -1
Images = FileImages | ArrayImages


class SeveralImages:
    """A source of samples that have several images each.

    Args:
        sources: for each name, such as "flair", the source of those images.
        rows: for each name, the image of each sample in its source; -1 if the sample lacks it.

    Raises:
        InputError: names are missing, the two have different names, the numbers of rows differ, a row is not in its
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
        """Return the number of samples."""
        return len(self.rows)

    @property
    def axes(self) -> int:
        """Return the number of axes of the images of the first name."""
        return self.sources[self.names[0]].axes

    def take(self, rows: Int[np.ndarray, " taken"]) -> "SeveralImages":
        """Return a source of these rows only, without the names that none of them has."""
        sources, of_names = {}, {}
        for name, of_name in zip(self.names, self.rows[rows].T, strict=True):
            there = of_name != MISSING
            if there.any():
                used, places = np.unique(of_name[there], return_inverse=True)
                sources[name], of_names[name] = self.sources[name].take(used), np.full(len(rows), MISSING)
                of_names[name][there] = places
        return SeveralImages(sources, of_names)

    def hashes(self) -> list[str]:
        """Return the SHA-256 of the names and hashes of the images that each sample has."""
        return [
            hashlib.sha256("\n".join(f"{name} {digest}" for name, digest in of_sample.items()).encode()).hexdigest()
            for of_sample in self.hashes_by_name()
        ]

    def hashes_by_name(self) -> list[dict[str, str]]:
        """Return for each sample the SHA-256 of every image that it has."""
        of_names = [self.sources[name].hashes() for name in self.names]
        return [
            {
                name: of_name[row]
                for name, of_name, row in zip(self.names, of_names, rows, strict=True)
                if row != MISSING
            }
            for rows in self.rows.tolist()
        ]

    def pixels(self, spec: GridInput) -> Pixels:
        """Raise InputError."""
        raise InputError(
            f"each sample has several images ({', '.join(self.names)}) and this learner takes one; meta-train with "
            f"--images {len(self.names)}, or make a manifest with one column 'image'."
        )

    def stream(self, spec: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """Raise InputError."""
        self.pixels(spec)
        return iter(())


def hashes_of_each(images: ImageSource) -> list[list[str]]:
    """Return for each sample of a source the SHA-256 of its image, or of all its images."""
    if isinstance(images, SeveralImages):
        return [list(of_sample.values()) for of_sample in images.hashes_by_name()]
    return [[digest] for digest in images.hashes()]
