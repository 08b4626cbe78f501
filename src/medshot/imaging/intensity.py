"""Intensities: windows that are stretched over the whole range, and measures by which images differ."""

import numpy as np
from jaxtyping import Float

from medshot.errors import InputError
from medshot.imaging.scan import Image, Pixels, Volume


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

    A 16-bit container says nothing of the range in use (a detector may fill 10, 12 or 14 of the bits), so
    16-bit images pass through this window before they are resized; 8-bit images are left as they are. A
    constant image becomes 0 everywhere.

    Args:
        image: grey, RGB or a volume, uint8 or uint16.
        low: percentile that becomes black, 0 to 100.
        high: percentile that becomes white, 0 to 100.

    Raises:
        InputError: the percentiles are not in order between 0 and 100.
    """
    if not 0 <= low <= high <= 100:
        raise InputError(f"the percentiles {low} and {high} are not in order between 0 and 100; correct them.")
    darkest, brightest = np.percentile(image, (low, high))
    return window(image, float(darkest), float(brightest))


MEASURES = ("brightness", "contrast", "colourfulness")
"""What `measures` returns of every image."""


def measures(pixels: Pixels) -> dict[str, Float[np.ndarray, " images"]]:
    """Brightness, contrast and colourfulness of each image, in 0..1.

    What an image of another scanner or of another kind is most likely to differ in.
    """
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    for image in pixels:
        shares = image.astype(np.float32) / np.iinfo(pixels.dtype).max
        found["brightness"].append(float(shares.mean()))
        found["contrast"].append(float(shares.std()))
        found["colourfulness"].append(float(np.ptp(shares, axis=0).mean()))
    return {name: np.array(values) for name, values in found.items()}
