"""Map scans to eight bits through a window that suits the modality and body part."""

import numpy as np
from jaxtyping import UInt8

from medshot.errors import InputError
from medshot.imaging.intensity import percentiles, sparse_window
from medshot.imaging.scan import Scan

# Level and width in Hounsfield units, as collected by Murphy et al., "Windowing (CT)", Radiopaedia.org, rID 52108,
# https://doi.org/10.53347/rID-52108.
CT_WINDOWS = {
    "brain": (40.0, 80.0),
    "lung": (-600.0, 1500.0),
    "abdomen": (50.0, 400.0),
    "bone": (400.0, 1800.0),
    "spine": (50.0, 250.0),
    "neck": (50.0, 350.0),
}
_WINDOW_OF_PART = {
    "BRAIN": "brain",
    "HEAD": "brain",
    "SKULL": "bone",
    "LUNG": "lung",
    "CHEST": "lung",
    "THORAX": "lung",
    "SPINE": "spine",
    "NECK": "neck",
    "KNEE": "bone",
    "ANKLE": "bone",
    "FOOT": "bone",
    "HAND": "bone",
    "WRIST": "bone",
    "ELBOW": "bone",
    "SHOULDER": "bone",
    "HIP": "bone",
    "LEG": "bone",
    "ARM": "bone",
    "EXTREMITY": "bone",
}  # all other parts: abdomen
_FILMS = ("DX", "CR", "MG", "RG", "RF", "XA", "IO", "PX", "DR")
_DARK = 32  # values of eight bits below which a picture is nearly black
_UNUSED = 3  # bits
_STEPS = 4096  # single-precision steps that a window needs for 256 grey levels


def display(scan: Scan) -> UInt8[np.ndarray, "slices rows columns *colours"]:
    """Return the scan in eight bits: 0 is the darkest, 255 the brightest value of the window.

    CT in Hounsfield units goes through the window of its body part (`CT_WINDOWS`); films and 8-bit pictures through the
    window that the file names; MR and PET through percentiles of the whole volume, so that slices stay comparable: 0.5
    and 99.5 of the values that are not zero, and from 0 to 99.5. A window that shows nothing of the content is replaced
    by one that does (`intensity.sparse_window`), except in CT, where air may be black. Colours are kept; if the file
    uses fewer bits than its type has, they are stretched. A constant array becomes black.

    Raises:
        InputError: the scan is a waveform.
    """
    if scan.kind == "waveform":
        raise InputError("A waveform has no picture to display; draw its leads instead.")
    if scan.array.ndim == 4:
        return _colours(scan)
    low, high = _window(scan)
    lowest, highest = scan.array.min(), scan.array.max()
    if lowest == highest:
        return np.zeros(scan.array.shape, np.uint8)
    if (not low < high or lowest >= high or highest <= low) and not _in_hounsfield(scan):
        low, high = sparse_window(scan.array)
    kind = np.float32 if _exact_in_single(scan.array, low, high) else np.float64
    values: np.ndarray = scan.array.astype(kind)
    values -= kind(low)
    values *= kind(255 / (high - low))
    return np.rint(np.clip(values, 0, 255, out=values), out=values).astype(np.uint8)


def window_name(body_part: str) -> str:
    """Return the name of the CT window for a body part; "abdomen" if the table has no other."""
    for part, name in _WINDOW_OF_PART.items():
        if part in body_part and not (part == "HEAD" and "NECK" in body_part):
            return name
    return "abdomen"


def _in_hounsfield(scan: Scan) -> bool:
    return scan.modality == "CT" and scan.units == "HU"


def _window(scan: Scan) -> tuple[float, float]:
    if _in_hounsfield(scan):
        level, width = CT_WINDOWS[window_name(scan.body_part)]
        return level - width / 2, level + width / 2
    quantity = scan.modality in ("MR", "PT")
    eight_bits = scan.array.dtype == np.uint8 and not quantity
    named = scan.modality in _FILMS or scan.modality == "CT" or eight_bits
    if named and scan.window is not None and _shows(scan.window, scan.array):
        return scan.window
    if scan.modality == "PT":
        return 0.0, percentiles(scan.array, 0.5, 99.5)[1]
    if eight_bits:
        return _range(scan)
    values = scan.array[scan.array != 0] if scan.modality == "MR" else scan.array
    if not values.size:
        return 0.0, 0.0
    return percentiles(values, 0.5, 99.5)


def _shows(window: tuple[float, float], array: np.ndarray) -> bool:
    """Whether a window leaves an array neither nearly black nor nearly white."""
    low, high = window
    return bool(
        high > low
        and array.max() >= low + (high - low) * _DARK / 256
        and array.min() <= high - (high - low) * _DARK / 256
    )


def _range(scan: Scan) -> tuple[float, float]:
    """Return the range of what the file can hold; that of its values if they use less than three bits of eight.

    A mask of 0 and 1, or labels of a few organs, would be black in 256 grey levels.
    """
    if scan.span is not None:
        return scan.span
    highest = float(scan.array.max())
    return 0.0, highest if highest < _DARK else 255.0


def _exact_in_single(array: np.ndarray, low: float, high: float) -> bool:
    """Whether single precision keeps the grey levels apart: an offset far larger than the range would join them."""
    if array.dtype.itemsize <= 2:
        return True
    furthest = np.abs([low, high]).max()
    return bool(high - low > 1e-30 and furthest < 1e30 and np.spacing(np.float32(furthest)) * _STEPS <= high - low)


def _colours(scan: Scan) -> UInt8[np.ndarray, "slices rows columns colours"]:
    array = scan.array
    if array.dtype == np.uint8 and scan.span is None:
        return array
    if scan.span is not None:
        top = scan.span[1]
    elif array.dtype.kind in "iu":
        top, used = np.iinfo(array.dtype).max, int(array.max()).bit_length()
        if used < array.dtype.itemsize * 8 - _UNUSED:  # a file that names all bits and uses the lower ones
            top = max(2**used - 1, 1)
    else:
        top = max(float(array.max()), 1e-30)
    return np.rint(np.clip(array / top, 0, 1) * 255).astype(np.uint8)
