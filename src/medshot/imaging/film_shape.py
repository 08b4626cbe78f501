"""What is asked for of a film that is to be cut into patches."""

from dataclasses import dataclass
from typing import ClassVar

from medshot.imaging.arrays import Image
from medshot.imaging.shape import GridShape, ImageShape


@dataclass(frozen=True)
class FilmShape(GridShape):
    """Pictures come as squares at their own size, grey or colour as they are; only larger ones are shrunk.

    Args:
        channels: the most there may be.
        size: the most pixels per side.
    """

    axes: ClassVar[int] = 2
    channels: int = 3
    size: int = 4096

    def of(self, image: Image) -> ImageShape:
        """The square that this picture comes as."""
        return ImageShape(channels=1 if image.ndim == 2 else 3, size=max(8, min(max(image.shape[:2]), self.size)))
