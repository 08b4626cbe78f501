"""The pictures of some samples of a task, decoded as the audit decodes, for an encoder or for comparing."""

from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Int, UInt8

from medshot.errors import InputError
from medshot.imaging import GridShape
from medshot.imaging.arrays import FittedImage, Image, Pixels
from medshot.imaging.cache import in_threads
from medshot.imaging.intensity import percentile_window
from medshot.imaging.resizing import prepare
from medshot.tasks.audit.crops import thumbnail
from medshot.tasks.audit.decoding import decode, of_array
from medshot.tasks.audit.examined import Examined

_THREADS = 2


class Pictures:
    """Images as a task has them, `medshot.imaging.ImageSource`, decoded anew whenever they are asked for.

    Args:
        task: what they are of.
        samples: which of its samples; all where it is left out.
    """

    def __init__(self, task: Examined, samples: Int[np.ndarray, " chosen"] | None = None) -> None:
        self.task = task
        self.samples = np.arange(len(task)) if samples is None else samples

    @property
    def axes(self) -> int:
        """Two: of a volume its middle planes are shown side by side."""
        return 2

    def __len__(self) -> int:
        """Number of images."""
        return len(self.samples)

    def hashes(self) -> list[str]:
        """SHA-256 of each file, from the facts."""
        return [row.tobytes().hex() for row in self.task.fact("file")[self.samples]]

    def pixels(self, shape: GridShape) -> Pixels:
        """All images as `(images, channels, size, size)`, in memory."""
        images = list(self.stream(shape, np.arange(len(self))))
        wide = any(image.dtype == np.uint16 for image in images)
        return np.stack(
            [image.astype(np.uint16) * 257 if wide and image.dtype == np.uint8 else image for image in images]
        )

    def stream(self, shape: GridShape, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """The images of these rows in order, each in the type of its file."""
        return in_threads(lambda row: self._fitted(shape, int(row)), rows, _THREADS)

    def squeezed(self, side: int) -> UInt8[np.ndarray, "images side side"]:
        """Every picture in grey, squeezed to a square whatever its shape."""
        squares = np.zeros((len(self), side, side), np.uint8)
        for place, square in zip(squares, in_threads(self._squeezed, range(len(self)), _THREADS), strict=True):
            place[:] = square
        return squares

    def picture(self, row: int) -> Image:
        """One picture, of 8 bits; InputError where it cannot be read any more."""
        index = int(self.task.rows[self.samples[row]])
        listing = self.task.listing
        decoded = of_array(listing.array[index]) if listing.array is not None else decode(listing.paths[index])
        picture = decoded.picture
        return picture if picture.dtype == np.uint8 else (percentile_window(picture) >> 8).astype(np.uint8)

    def _fitted(self, shape: GridShape, row: int) -> FittedImage:
        picture = self.picture(row)
        return prepare(picture, shape, picture.dtype)

    def _squeezed(self, row: int) -> UInt8[np.ndarray, "side side"]:
        try:
            picture = self.picture(row)
        except InputError:  # it was readable a moment ago
            return np.zeros((64, 64), np.uint8)
        return thumbnail(picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
