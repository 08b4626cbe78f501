"""From an image of any size to the square, channel-first pixels that a network asks for."""

import cv2
import numpy as np
from jaxtyping import UInt8, UInt16

from medshot.imaging.arrays import Image
from medshot.imaging.intensity import percentile_window
from medshot.imaging.shape import ImageShape

FittedImage = UInt8[np.ndarray, "channels size size"] | UInt16[np.ndarray, "channels size size"]


def fit(image: Image, shape: ImageShape) -> FittedImage:
    """Resize an image so that its longer side has `shape.size` pixels, and centre it on black.

    The aspect ratio is kept. Shrinking averages over the area of each new pixel, growing interpolates
    linearly. RGB becomes grey by the luma weights of ITU-R BT.601; grey becomes RGB by repetition.

    Args:
        image: grey `(height, width)` or RGB `(height, width, 3)`, uint8 or uint16.
        shape: channels and size of the result.
    """
    if shape.channels == 1 and image.ndim == 3:
        image = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer != shape.size:
        height, width = (max(1, round(side * shape.size / longer)) for side in (height, width))
        method = cv2.INTER_AREA if longer > shape.size else cv2.INTER_LINEAR
        image = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=method)
    top, left = (shape.size - height) // 2, (shape.size - width) // 2
    channels_first = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    fitted = np.zeros((shape.channels, shape.size, shape.size), image.dtype)
    fitted[:, top : top + height, left : left + width] = channels_first
    return fitted


def prepare(image: Image, shape: ImageShape, dtype: np.dtype) -> FittedImage:
    """The pixels that every network sees: 16-bit images windowed to their percentiles, fitted, as `dtype`.

    Args:
        image: as it was decoded.
        shape: channels and size of the result.
        dtype: uint8, or uint16 as soon as one image of the task has 16 bits; 8-bit values are then scaled by
            257, so that white stays white.
    """
    fitted = fit(percentile_window(image) if image.dtype == np.uint16 else image, shape)
    if fitted.dtype == dtype:
        return fitted
    return fitted.astype(np.uint16) * np.uint16(257)
