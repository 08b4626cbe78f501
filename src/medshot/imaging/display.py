"""Map scans to eight bits through a window that suits the modality and body part."""

import numpy as np
from jaxtyping import UInt8

from medshot.errors import InputError
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


def display(scan: Scan) -> UInt8[np.ndarray, "slices rows columns *colours"]:
    """Return the scan in eight bits: 0 is the darkest, 255 the brightest value of the window.

    CT in Hounsfield units goes through the window of its body part (`CT_WINDOWS`); films through the window that the
    file names; MR and PET through percentiles of the whole volume, so that slices stay comparable: 0.5 and 99.5 of the
    values that are not zero, and from 0 to 99.5. Colours are kept. A constant array becomes black.

    Raises:
        InputError: the scan is a waveform.
    """
    if scan.kind == "waveform":
        raise InputError("A waveform has no picture to display; draw its leads instead.")
    if scan.array.ndim == 4:
        return _colours(scan.array)
    low, high = _window(scan)
    values = scan.array.astype(np.float32)
    if not high > low or values.min() == values.max():
        return np.zeros(values.shape, np.uint8)
    values -= np.float32(low)
    values *= np.float32(255 / (high - low))
    return np.rint(np.clip(values, 0, 255, out=values), out=values).astype(np.uint8)


def window_name(body_part: str) -> str:
    """Return the name of the CT window for a body part; "abdomen" if the table has no other."""
    for part, name in _WINDOW_OF_PART.items():
        if part in body_part and not (part == "HEAD" and "NECK" in body_part):
            return name
    return "abdomen"


def _window(scan: Scan) -> tuple[float, float]:
    if scan.modality == "CT" and scan.units == "HU":
        level, width = CT_WINDOWS[window_name(scan.body_part)]
        return level - width / 2, level + width / 2
    if scan.window is not None and (scan.modality in _FILMS or scan.modality == "CT"):
        return scan.window
    if scan.modality == "PT":
        return 0.0, float(np.percentile(scan.array, 99.5))
    if scan.array.dtype == np.uint8 and scan.modality != "MR":
        return 0.0, 255.0
    values = scan.array[scan.array != 0] if scan.modality == "MR" else scan.array
    if not values.size:
        return 0.0, 0.0
    low, high = np.percentile(values, (0.5, 99.5))
    return float(low), float(high)


def _colours(array: np.ndarray) -> UInt8[np.ndarray, "slices rows columns colours"]:
    if array.dtype == np.uint8:
        return array
    top = np.iinfo(array.dtype).max if array.dtype.kind in "iu" else max(float(array.max()), 1e-30)
    return np.rint(np.clip(array / top, 0, 1) * 255).astype(np.uint8)
