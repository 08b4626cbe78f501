"""Descriptions of the input that a learner takes of each image: pixels, voxels or features. They open no file."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Shaped
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from medshot.errors import InputError

WHOLE = "whole"
"""The name of the cut that leaves an image in one piece."""


class StrictRecord(BaseModel):
    """A record that refuses keys it does not define."""

    model_config = ConfigDict(extra="forbid")


class PixelRecord(StrictRecord):
    """The record of an `ImageInput`."""

    channels: int = Field(ge=1, le=3)
    size: int = Field(ge=8, le=4096)


class VolumeRecord(StrictRecord):
    """The record of a `VolumeInput`."""

    dimensions: Literal[3]
    channels: Literal[1]
    size: int = Field(ge=8, le=256)


class VectorRecord(StrictRecord):
    """The record of a `FeatureInput`."""

    blocks: list[int]


class InputSpec(ABC):
    """The input that a learner takes of each image; `medshot.encoders.reading.reader_of` reads images accordingly.

    Attributes:
        is_grid: whether it takes pixels or voxels, which can be augmented, rather than features.
        is_bag: whether it takes several instances of each sample.
        is_table: whether it takes rows of numbers that the user gives, rather than images.
        blocks: number of features in each block; empty for pixels and voxels.
        cut: the name of the cut of images into pictures.
    """

    is_grid: ClassVar[bool] = False
    is_bag: ClassVar[bool] = False
    is_table: ClassVar[bool] = False
    blocks: tuple[int, ...] = ()
    cut: str = WHOLE

    @property
    @abstractmethod
    def dimensions(self) -> tuple[int, ...]:
        """Return the lengths of the axes of one image as the learner gets it."""

    @abstractmethod
    def describe(self) -> str:
        """Return in a few words what is taken of each image, for tables and messages."""

    def to_record(self) -> StrictRecord:
        """Return the record that `medshot.encoders.inputs.input_from_record` turns into this description again."""
        raise TypeError(f"{type(self).__name__} cannot be recorded")

    def encoder_names(self) -> tuple[str, ...]:
        """Return the display name of every encoder that computes the features; none for other inputs."""
        return ()

    def encoder_depths(self) -> tuple[int, ...]:
        """Return the number of blocks of every encoder."""
        return ()

    @property
    def encodes_whole(self) -> bool:
        """Whether encoders get each image whole, so that `with_cut` may suit the images better."""
        return False

    def with_cut(self, cut: str) -> "InputSpec":
        """Return the same input with images cut into pictures; itself if no encoder is involved."""
        return self

    def drop_images(
        self, images: Shaped[Tensor, "samples *dimensions"], generator: torch.Generator
    ) -> Shaped[Tensor, "samples *dimensions"]:
        """Return samples for meta-training; if they have several images, some images are left out at random."""
        return images


@dataclass(frozen=True)
class GridInput(InputSpec):
    """Pixels or voxels as `(channels, size, …, size)`, in [0, 1].

    Args:
        channels: 1 for grey, 3 for RGB.
        size: pixels or voxels per side.
    """

    is_grid: ClassVar[bool] = True
    axes: ClassVar[int]
    shrinks_only: ClassVar[bool] = False
    channels: int
    size: int

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Return the channels, then the size once for each axis."""
        return self.channels, *(self.size,) * self.axes

    def describe(self) -> str:
        """Return "pixels" or "voxels"."""
        return "voxels" if self.axes == 3 else "pixels"


@dataclass(frozen=True)
class ImageInput(GridInput):
    """Pictures as `(channels, size, size)`, in [0, 1].

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: pixels per side, 8 to 4096.

    Raises:
        InputError: the number of channels or the size is another.
    """

    axes: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise InputError(f"images have 1 or 3 channels, not {self.channels}; choose one of the two.")
        if self.size < 8:
            raise InputError(f"images of {self.size} pixels per side are too small; choose 8 or more.")
        if self.size > 4096:
            raise InputError(f"images of {self.size} pixels per side are too large; choose 4096 or less.")

    def to_record(self) -> PixelRecord:
        """Return channels and size."""
        return PixelRecord(channels=self.channels, size=self.size)

    @classmethod
    def from_record(cls, record: PixelRecord) -> "ImageInput":
        """Return the description that was recorded."""
        return cls(channels=record.channels, size=record.size)


@dataclass(frozen=True)
class VolumeInput(GridInput):
    """Volumes as `(channels, size, size, size)`, in [0, 1].

    The axes are depth, height and width. In a volume of canonical orientation they run along the patient from
    bottom to top, from front to back and from right to left, so that a left-right mirror image reverses the last.

    Args:
        channels: 1 (grey).
        size: voxels per side, 8 to 256.

    Raises:
        InputError: the number of channels or the size is another.
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

    def to_record(self) -> VolumeRecord:
        """Return the number of axes, channels and size."""
        return VolumeRecord(dimensions=3, channels=1, size=self.size)

    @classmethod
    def from_record(cls, record: VolumeRecord) -> "VolumeInput":
        """Return the description that was recorded."""
        return cls(channels=record.channels, size=record.size)


@dataclass(frozen=True)
class FilmInput(GridInput):
    """Pictures as squares of their own size and colours; only larger ones are shrunk.

    Cuts read whole images this way; it is not an input of a learner.

    Args:
        channels: the largest number of channels.
        size: the largest number of pixels per side.
    """

    axes: ClassVar[int] = 2
    shrinks_only: ClassVar[bool] = True
    channels: int = 3
    size: int = 4096


@dataclass(frozen=True)
class FeatureInput(InputSpec):
    """Feature vectors that the user gives, one for each image, of one or more blocks.

    Args:
        blocks: number of features in each block, for example those of one depth of an encoder, which share a scale.

    Raises:
        InputError: `blocks` is empty, or one of the blocks is.
    """

    is_table: ClassVar[bool] = True
    blocks: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.blocks or min(self.blocks) < 1:
            raise InputError(f"blocks is {self.blocks}; give one or more numbers of 1 or more.")

    @property
    def dimensions(self) -> tuple[int, ...]:
        """Return the total number of features."""
        return (sum(self.blocks),)

    def describe(self) -> str:
        """Return "features"."""
        return "features"

    def to_record(self) -> StrictRecord:
        """Return the blocks."""
        return VectorRecord(blocks=list(self.blocks))

    @classmethod
    def from_record(cls, record: VectorRecord) -> "FeatureInput":
        """Return the description that was recorded."""
        return cls(tuple(record.blocks))
