"""One path to one picture with what its header says: the only place where the audit decodes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from medshot.imaging.arrays import Image
from medshot.imaging.reading import read_image


@dataclass(frozen=True)
class Decoded:
    """A picture and what its file says of it.

    Args:
        picture: what there is to see, grey or RGB.
        content: the values that identify it, as they were decoded.
        spacing: millimetres from row to row and column to column; 0 where it is not known.
        modality: as DICOM abbreviates it; "" where it is not known.
        burnt_in: whether the file itself says that text is burnt into its pixels.
    """

    picture: Image
    content: Shaped[np.ndarray, "..."]
    spacing: tuple[float, float] = (0.0, 0.0)
    modality: str = ""
    burnt_in: bool = False


def decode(path: str) -> Decoded:
    """Decode an image file; InputError where it cannot be read."""
    picture = read_image(Path(path))
    return Decoded(picture, picture)


def of_array(image: Shaped[np.ndarray, "..."]) -> Decoded:
    """A picture of one image of an array: itself, or the three middle planes of a volume side by side."""
    if image.ndim == 2 or image.shape[-1] == 3:
        return Decoded(image, image)
    planes = [image.take(side // 2, axis=axis) for axis, side in enumerate(image.shape)]
    height = max(plane.shape[0] for plane in planes)
    padded = [np.pad(plane, ((0, height - plane.shape[0]), (0, 0))) for plane in planes]
    return Decoded(np.concatenate(padded, axis=1), image)
