"""What a learner asks for of each image, and what a source of images must answer."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from medshot.errors import InputError
from medshot.imaging.fingerprint import fingerprints
from medshot.imaging.intensity import measures
from medshot.imaging.scan import FittedImage, Image, Pixels


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

    def pixels(self, shape: "GridInput") -> Pixels:
        """All images as `(images, *shape.dimensions)`, read-only, possibly mapped from disk."""
        ...

    def stream(self, shape: "GridInput", rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """The images of these rows in order, each of 8 or 16 bits as its source has it, and none of them kept."""
        ...


@runtime_checkable
class InputSpec(Protocol):
    """What a learner takes of each image: its pixels or voxels (a `GridInput`), or features of it."""

    @property
    def dimensions(self) -> tuple[int, ...]:
        """The axes of one image as the learner sees it."""
        ...

    def prepare(self, images: ImageSource) -> None:
        """Read all that is needed of the images, so that what cannot be used is refused before work starts."""
        ...

    def read(self, images: ImageSource, rows: Int[np.ndarray, " samples"]) -> Float[Tensor, "samples *dimensions"]:
        """The images of these rows as the learner sees them, float32."""
        ...

    def fingerprints(self, images: ImageSource) -> UInt8[np.ndarray, "images 32"]:
        """The perceptual fingerprint of every image."""
        ...

    def measures(self, images: ImageSource) -> dict[str, Float[np.ndarray, " images"]]:
        """For every image, what it may differ in from those that a model was fitted on."""
        ...


@dataclass(frozen=True)
class GridInput:
    """What a network of pixels or voxels declares: images come to it as `(channels, size, …, size)`, in [0, 1].

    Args:
        channels: grey or RGB.
        size: pixels or voxels per side.
    """

    axes: ClassVar[int]
    channels: int
    size: int

    @property
    def dimensions(self) -> tuple[int, ...]:
        """The channels, then the size once for each axis."""
        return self.channels, *(self.size,) * self.axes

    def prepare(self, images: ImageSource) -> None:
        """Decode all images into the cache; InputError for one that cannot be read."""
        images.pixels(self)

    def read(self, images: ImageSource, rows: Int[np.ndarray, " samples"]) -> Float[Tensor, "samples channels *sides"]:
        """The pixels of these rows, 0 black and 1 white."""
        pixels = images.pixels(self)[rows]
        return torch.from_numpy(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max)

    def fingerprints(self, images: ImageSource) -> UInt8[np.ndarray, "images 32"]:
        """The perceptual fingerprint of every image, at this size."""
        return fingerprints(images.pixels(self))

    def measures(self, images: ImageSource) -> dict[str, Float[np.ndarray, " images"]]:
        """Brightness, contrast and colourfulness of every image, at this size."""
        return measures(images.pixels(self))

    def refuse_unless_of(self, axes: int, what: str) -> None:
        """See to it that images lie in as many axes as this learner takes.

        Args:
            axes: of the images.
            what: the images, as the beginning of a sentence.

        Raises:
            InputError: they are volumes and pictures are taken, or the other way round.
        """
        if axes > self.axes:
            raise InputError(
                f"{what} of three dimensions and this learner takes pictures; use one that takes volumes "
                "(--cut slices, or --dimensions 3 for voxels), or choose one slice or projection of each."
            )
        if axes < self.axes:
            raise InputError(
                f"{what} of two dimensions and this learner takes volumes; use one that takes pictures (an "
                "ImageInput, --dimensions 2), or give volumes."
            )


@dataclass(frozen=True)
class ImageInput(GridInput):
    """Pictures come to the network as `(channels, size, size)`, in [0, 1].

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: pixels per side, 8 to 4096.

    Raises:
        InputError: another number of channels, or another size.
    """

    axes: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise InputError(f"images have 1 or 3 channels, not {self.channels}; choose one of the two.")
        if self.size < 8:
            raise InputError(f"images of {self.size} pixels per side are too small; choose 8 or more.")
        if self.size > 4096:
            raise InputError(f"images of {self.size} pixels per side are too large; choose 4096 or less.")


@dataclass(frozen=True)
class FeatureInput:
    """What a learner of features declares: each image comes to it as one vector of several blocks.

    Args:
        blocks: number of features in each block: those that stem from one depth of an encoder, say, and share a scale.

    Raises:
        InputError: there is no block, or one is empty.
    """

    blocks: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.blocks or min(self.blocks) < 1:
            raise InputError(f"blocks is {self.blocks}; give one or more numbers of 1 or more.")

    @property
    def dimensions(self) -> tuple[int, ...]:
        """One axis over all features."""
        return (sum(self.blocks),)

    def prepare(self, images: ImageSource) -> None:
        """See to it that the images are vectors of this length; InputError where they are not."""
        self._vectors(images)

    def read(self, images: ImageSource, rows: Int[np.ndarray, " samples"]) -> Float[Tensor, "samples features"]:
        """The vectors of these rows."""
        return torch.from_numpy(self._vectors(images)[rows])

    def fingerprints(self, images: ImageSource) -> UInt8[np.ndarray, "images 32"]:
        """Zeros, which are never near anything: vectors have no picture to compare."""
        return np.zeros((len(images), 32), dtype=np.uint8)

    def measures(self, images: ImageSource) -> dict[str, Float[np.ndarray, " images"]]:
        """None: what the vectors mean is not known."""
        return {}

    def _vectors(self, images: ImageSource) -> Float[np.ndarray, "images features"]:
        if not isinstance(images, Vectors):
            raise InputError("This learner takes feature vectors, and these are images; give an array of numbers.")
        if images.array.shape[1:] != self.dimensions:
            raise InputError(
                f"X has {images.array.shape[1]} features, but this learner takes {self.dimensions[0]}; give as many."
            )
        return images.array


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


@dataclass(frozen=True)
class FilmInput(GridInput):
    """Pictures come as squares at their own size, grey or colour as they are; only larger ones are shrunk.

    Args:
        channels: the most there may be.
        size: the most pixels per side.
    """

    axes: ClassVar[int] = 2
    channels: int = 3
    size: int = 4096

    def of(self, image: Image) -> ImageInput:
        """The square that this picture comes as."""
        return ImageInput(channels=1 if image.ndim == 2 else 3, size=max(8, min(max(image.shape[:2]), self.size)))


@dataclass(frozen=True)
class VolumeInput(GridInput):
    """Volumes come to the network as `(channels, size, size, size)`, in [0, 1].

    The axes are depth, height and width. In a volume whose orientation is canonical these run along the patient from
    bottom to top, from front to back and from right to left, so that a left-right mirror image reverses the last.

    Args:
        channels: 1 (grey).
        size: voxels per side, 8 to 256.

    Raises:
        InputError: another number of channels, or another size.
    """

    axes: ClassVar[int] = 3
    channels: int = 1
    size: int = 32

    def __post_init__(self) -> None:
        if self.channels != 1:
            raise InputError(f"volumes have 1 channel, not {self.channels}; choose 1.")
        if self.size < 8:
            raise InputError(f"volumes of {self.size} voxels per side are too small; choose 8 or more.")
        if self.size > 256:
            raise InputError(f"volumes of {self.size} voxels per side are too large; choose 256 or less.")
