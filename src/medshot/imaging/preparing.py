"""From an image of any size and depth to the square or cubic, channel-first pixels that a network asks for.

Two steps: an intensity window stretches a range of grey levels over the whole range of the integer type, and the
image is resized and centred on black.
"""

import cv2
import numpy as np
from jaxtyping import Shaped

from medshot.errors import InputError
from medshot.imaging.inputs import GridInput
from medshot.imaging.scan import FittedImage, Image, Volume


def window(image: Image | Volume, low: float, high: float) -> Image | Volume:
    """Stretch the values from `low` to `high` over the full range of the image's integer type.

    Values below `low` become 0, values above `high` the type's maximum. With `low == high` the window is the
    threshold that it tends to: values above it become the maximum, all others 0.

    Args:
        image: grey, RGB or a volume, uint8 or uint16.
        low: grey level that becomes black.
        high: grey level that becomes white.

    Raises:
        InputError: `low` is above `high`, or one of them is not a finite number.
    """
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise InputError(f"the intensity window {low} to {high} is empty; give two finite numbers, the lower first.")
    top = np.iinfo(image.dtype).max
    levels = np.arange(top + 1, dtype=np.float64)
    width = max(high - low, 1e-300)
    stretched = np.clip((levels - low) / width, 0, 1) * top
    return np.rint(stretched).astype(image.dtype)[image]


def percentile_window(image: Image | Volume, low: float = 0.5, high: float = 99.5) -> Image | Volume:
    """Stretch an image between two percentiles of its own values, over all channels together.

    A 16-bit container does not define the range in use (a detector may fill 10, 12 or 14 of the bits), so
    16-bit images pass through this window before they are resized; 8-bit images are left unchanged. If both
    percentiles are one value and darker content lies beside it, `sparse_window` is used. A constant image
    becomes 0 everywhere.

    Args:
        image: grey, RGB or a volume, uint8 or uint16.
        low: percentile that becomes black, 0 to 100.
        high: percentile that becomes white, 0 to 100.

    Raises:
        InputError: the percentiles are not in order between 0 and 100.
    """
    if not 0 <= low <= high <= 100:
        raise InputError(f"the percentiles {low} and {high} are not in order between 0 and 100; correct them.")
    darkest, brightest = percentiles(image, low, high)
    if darkest == brightest and image.min() < darkest:
        darkest, brightest = sparse_window(image)
    return window(image, darkest, brightest)


def percentiles(values: Shaped[np.ndarray, "..."], low: float, high: float) -> tuple[float, float]:
    """Return two percentiles of all values."""
    if values.dtype.kind == "i" and int(values.max()) - int(values.min()) > np.iinfo(values.dtype).max:
        values = values.astype(np.float64)  # numpy interpolates in the type of the values, where differences overflow
    first, second = np.percentile(values, (low, high))
    return float(first), float(second)


def sparse_window(values: Shaped[np.ndarray, "..."]) -> tuple[float, float]:
    """Return a window that shows content in so few values that the percentiles of all miss it.

    The window reaches from the background, which is the median, to the percentiles 0.5 and 99.5 of all other values.

    Args:
        values: numbers, not all equal.
    """
    background = np.percentile(values, 50, method="nearest")
    low, high = percentiles(values[values != background], 0.5, 99.5)
    low, high = min(float(background), low), max(float(background), high)
    return (low, high) if low < high else (float(values.min()), float(values.max()))


def fit(image: Image, spec: GridInput) -> FittedImage:
    """Resize a picture so that its longer side has `spec.size` pixels, and centre it on black.

    The aspect ratio is kept. Shrinking averages over the area of each new pixel, growing interpolates
    linearly. RGB becomes grey by the luma weights of ITU-R BT.601; grey becomes RGB by repetition.

    Args:
        image: grey `(height, width)` or RGB `(height, width, 3)`, uint8 or uint16.
        spec: channels and size of the result; a `FilmInput` keeps the colours, and the size if it is not too large.
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    channels, size = spec.channels, spec.size
    if spec.shrinks_only:
        channels, size = 1 if image.ndim == 2 else 3, max(8, min(longer, spec.size))
    if channels == 1 and image.ndim == 3:
        image = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    if longer != size:
        height, width = (max(1, round(side * size / longer)) for side in (height, width))
        method = cv2.INTER_AREA if longer > size else cv2.INTER_LINEAR
        image = cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=method)
    top, left = (size - height) // 2, (size - width) // 2
    channels_first = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    fitted = np.zeros((channels, size, size), image.dtype)
    fitted[:, top : top + height, left : left + width] = channels_first
    return fitted


def fit_cube(volume: Volume, spec: GridInput) -> FittedImage:
    """Resize a volume so that its longest side has `spec.size` voxels, and centre it in zeros.

    The proportions are kept. Shrinking averages over the space of each new voxel, growing interpolates linearly.

    Args:
        volume: `(depth, height, width)`, uint8 or uint16.
        spec: size of the result.
    """
    longest = max(volume.shape)
    depth, height, width = (max(1, round(side * spec.size / longest)) for side in volume.shape)
    if longest != spec.size:
        method = cv2.INTER_AREA if longest > spec.size else cv2.INTER_LINEAR
        # Both are separable: first each slice, then each plane of the slices' rows, rounded once at the end.
        slices = [cv2.resize(plane.astype(np.float32), (width, height), interpolation=method) for plane in volume]
        planes = [
            cv2.resize(np.ascontiguousarray(plane), (width, depth), interpolation=method)
            for plane in np.stack(slices, axis=1)
        ]
        volume = np.rint(np.stack(planes, axis=1)).astype(volume.dtype)
    front, top, left = ((spec.size - side) // 2 for side in (depth, height, width))
    fitted = np.zeros(spec.dimensions, volume.dtype)
    fitted[:, front : front + depth, top : top + height, left : left + width] = volume
    return fitted


def prepare(image: Image | Volume, spec: GridInput, dtype: np.dtype) -> FittedImage:
    """Return the pixels that every network gets: 16-bit images windowed to their percentiles, fitted, as `dtype`.

    Args:
        image: as it was decoded.
        spec: channels and size of the result.
        dtype: uint8, or uint16 if any image of the task has 16 bits; 8-bit values are then scaled by 257, so that
            white stays white.
    """
    image = percentile_window(image) if image.dtype == np.uint16 else image
    fitted = fit_cube(image, spec) if spec.axes == 3 else fit(image, spec)
    if fitted.dtype == dtype:
        return fitted
    return fitted.astype(np.uint16) * np.uint16(257)
