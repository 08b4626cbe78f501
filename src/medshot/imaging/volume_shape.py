"""What a learner of voxels asks for of each volume."""

from dataclasses import dataclass
from typing import ClassVar

from medshot.errors import InputError
from medshot.imaging.shape import GridShape


@dataclass(frozen=True)
class VolumeShape(GridShape):
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
