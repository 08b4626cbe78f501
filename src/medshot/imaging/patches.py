"""Patches of a film: where its overview loses something that stands out from what it loses all around.

What an overview loses is mostly noise, and most of that lies where few photons came through. So it is not the amount of
lost detail that tells where to look, but how far its largest swing stands out from the swings around it.
"""

import cv2
import numpy as np
from jaxtyping import Float32

from medshot.imaging.arrays import FittedImage, Image

OVERVIEW = 224  # pixels per side of what an encoder sees of the whole film
FINER = 4  # pixels of the map of lost detail in each pixel of the overview, along a side
PARTS = 8  # sides of a patch in the side of the film
PATCHES = 8
NARROW, WIDE = 2.5, 7.5  # of the map: the detail between the two is as large as a pixel of the overview
FLOOR = 0.5  # grey levels of 255: smaller swings are none

Place = tuple[slice, slice]


def patches(film: FittedImage) -> list[np.ndarray]:
    """The whole film, then its patches, from what stands out most to least.

    Args:
        film: `(1, side, side)` grey or `(3, side, side)` RGB.

    Returns:
        Views of the film, grey `(height, width)` or RGB `(height, width, 3)`.
    """
    whole = film[0] if len(film) == 1 else film.transpose(1, 2, 0)
    return [whole, *(whole[place] for place in places(whole))]


def places(whole: Image) -> list[Place]:
    """Rows and columns of each patch; patches may overlap by half, and each has its peak in the middle.

    Args:
        whole: a square film.
    """
    standing_out = lost_detail(whole)
    side = len(whole)
    patch, reach = max(1, side // PARTS), OVERVIEW * FINER // PARTS // 2
    found = []
    for _ in range(PATCHES):
        peak = np.unravel_index(standing_out.argmax(), standing_out.shape)
        first = [_within(int(at) * side // len(standing_out) - patch // 2, side - patch) for at in peak]
        found.append((slice(first[0], first[0] + patch), slice(first[1], first[1] + patch)))
        row, column = (max(int(at) - reach, 0) for at in peak)
        standing_out[row : int(peak[0]) + reach, column : int(peak[1]) + reach] = -1
    return found


def _within(first: int, last: int) -> int:
    return min(max(first, 0), last)


def lost_detail(whole: Image) -> Float32[np.ndarray, "map map"]:
    """How far the detail at each place stands out from its surroundings, in root mean squares of the detail there.

    Detail is the difference of two Gaussian blurs (Marr & Hildreth, Theory of edge detection, 1980), of the size that
    an overview of 224 pixels loses; the surroundings are as large as a patch.
    """
    grey = whole if whole.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(whole), cv2.COLOR_RGB2GRAY)
    side = OVERVIEW * FINER
    method = cv2.INTER_AREA if len(grey) > side else cv2.INTER_LINEAR
    levels = cv2.resize(np.ascontiguousarray(grey), (side, side), interpolation=method).astype(np.float32)
    levels *= 255 / np.iinfo(grey.dtype).max
    detail = cv2.GaussianBlur(levels, (0, 0), NARROW) - cv2.GaussianBlur(levels, (0, 0), WIDE)
    around = cv2.blur(detail * detail, (side // PARTS, side // PARTS), borderType=cv2.BORDER_REFLECT)
    return np.abs(detail) / (np.sqrt(around) + FLOOR)
