"""The shape in which a network asks for images, and the array types that this floor passes around."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8, UInt16

from medshot.errors import InputError

Image = (
    UInt8[np.ndarray, "height width"]
    | UInt16[np.ndarray, "height width"]
    | UInt8[np.ndarray, "height width 3"]
    | UInt16[np.ndarray, "height width 3"]
)
Pixels = UInt8[np.ndarray, "images channels size size"] | UInt16[np.ndarray, "images channels size size"]


@dataclass(frozen=True)
class ImageShape:
    """What a network declares: images come to it as `(channels, size, size)`.

    Args:
        channels: 1 (grey) or 3 (RGB).
        size: pixels per side, 8 to 4096.

    Raises:
        InputError: another number of channels, or another size.
    """

    channels: int
    size: int

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise InputError(f"images have 1 or 3 channels, not {self.channels}; choose one of the two.")
        if self.size < 8:
            raise InputError(f"images of {self.size} pixels per side are too small; choose 8 or more.")
        if self.size > 4096:
            raise InputError(f"images of {self.size} pixels per side are too large; choose 4096 or less.")
