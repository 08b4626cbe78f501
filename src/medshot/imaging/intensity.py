"""Intensity windows: a range of grey levels is stretched over the whole range of the integer type."""

import numpy as np
from jaxtyping import Shaped

from medshot.errors import InputError
from medshot.imaging.scan import Image, Volume


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
