"""What was drawn or written into the pixels: coloured lines on grey pictures, and rows of small characters."""

import cv2
import numpy as np
from jaxtyping import UInt8

_COLOURED = 48  # grey levels between the channels of a pixel
_GREY = 20
_STROKE = 5  # pixels: strokes of letters are thinner
_CONTRAST = 90


def coloured_marks(spread: UInt8[np.ndarray, " pixels"]) -> float:
    """The share of clearly coloured pixels in a picture that is grey elsewhere; 0 in a grey or a colour picture.

    Args:
        spread: of each pixel, the largest channel less the smallest.
    """
    if np.count_nonzero(spread > _GREY) > 0.25 * spread.size:  # a colour picture
        return 0.0
    return np.count_nonzero(spread > _COLOURED) / spread.size


def written_characters(grey: UInt8[np.ndarray, "height width"]) -> int:
    """How many things look like characters of a line of text near the border: bright, thin, of like height, in a row.

    Text is looked for in the outer quarter of the picture, where scanners write it. What is smaller than six pixels
    high is not seen.
    """
    thin = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((2 * _STROKE + 1, 2 * _STROKE + 1), np.uint8))
    mask = cv2.threshold(thin, _CONTRAST, 1, cv2.THRESH_BINARY)[1]
    height, width = grey.shape
    mask[height // 4 : height - height // 4, width // 4 : width - width // 4] = 0
    if not mask.any():
        return 0
    _, _, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    _, _top, wide, high, area = boxes[1:].T
    like = (high >= 6) & (high <= max(8, height // 10)) & (wide <= 1.3 * high) & (wide >= 0.1 * high)
    filled = area / np.maximum(wide * high, 1)
    like &= (filled > 0.2) & (filled < 0.85)
    boxes = boxes[1:][like]
    return max((_in_row(box, boxes) for box in boxes), default=0)


def _in_row(box: np.ndarray, boxes: np.ndarray) -> int:
    """How many boxes stand on the line of this one, of like height and not far from a neighbour; 0 below four."""
    near = (np.abs(boxes[:, 1] - box[1]) <= 2) & (np.abs(boxes[:, 3] - box[3]) <= 2)
    left = np.sort(boxes[near, 0])
    together = 1 + int(np.sum(np.diff(left) <= 2.5 * box[3]))
    return together if together >= 4 else 0
