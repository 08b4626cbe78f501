"""What is measured of every image, in one pass, into one row of fixed length."""

import hashlib
from pathlib import PurePath

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from medshot.imaging import ImageShape, fingerprints, fit, percentile_window
from medshot.imaging.arrays import Image
from medshot.tasks.audit.decoding import NO_HEADER, Decoded, Header
from medshot.tasks.audit.marks import coloured_marks, written_characters

VERSION = 2  # of the facts: a change of what is measured must change it
NUMBERS = (
    *("width", "height", "channels", "bits", "bytes", "type", "spacing_rows", "spacing_columns", "modality"),
    *(
        "mean",
        "deviation",
        "lowest",
        "highest",
        "black",
        "white",
        "colourfulness",
        "coloured",
        "characters",
        "burnt_in",
        "header_names",
        "header_traces",
    ),
)
FACTS = np.dtype(
    [
        ("file", np.uint8, 32),
        ("pixels", np.uint8, 32),
        ("fingerprint", np.uint8, 32),
        ("thumbnail", np.uint8, (16, 16)),
        ("border", np.uint8, 32),
        ("histogram", np.float32, 16),
        ("numbers", np.float32, len(NUMBERS)),
    ]
)
TYPES = ("", ".png", ".jpg", ".tif", ".npz", ".dcm")
MODALITIES = ("", "CT", "MR", "CR", "DX", "XA", "US", "PT", "NM", "MG", "SC", "OT", "SM", "ES", "XC", "OP", "ECG")
_PRINTED = ImageShape(channels=1, size=64)
_SAMPLE = 256  # pixels per side that are enough to measure


def measure(decoded: Decoded, name: str, content: bytes, header: Header = NO_HEADER) -> np.ndarray:
    """The facts of one image, of the type `FACTS`.

    Args:
        decoded: the image.
        name: of its file, for the type.
        content: the bytes of its file; those of its pixels where it has none.
        header: what its header tells of the patient.
    """
    row = np.zeros((), FACTS)
    row["file"] = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)
    row["pixels"] = np.frombuffer(_pixel_digest(decoded.content), np.uint8)
    picture = _eight_bits(decoded.picture)
    small = _at_most(picture, _SAMPLE)
    grey = np.asarray(small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    row["fingerprint"] = fingerprints(fit(grey, _PRINTED)[None])[0]
    row["thumbnail"] = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA)
    row["border"] = _border(grey)
    row["histogram"] = cv2.calcHist([grey], [0], None, [16], [0, 256]).reshape(-1) / grey.size
    spread = _spread(small)
    mean, deviation = (float(value.item()) / 255 for value in cv2.meanStdDev(grey))
    top = np.iinfo(decoded.picture.dtype).max
    sample = np.ascontiguousarray(
        decoded.picture[:: max(1, picture.shape[0] // _SAMPLE), :: max(1, picture.shape[1] // _SAMPLE)]
    )
    numbers = {
        "width": picture.shape[1],
        "height": picture.shape[0],
        "channels": 1 if picture.ndim == 2 else 3,
        "bits": 8 * decoded.picture.dtype.itemsize,
        "bytes": len(content),
        "type": TYPES.index(file_type(name)),
        "spacing_rows": decoded.spacing[0],
        "spacing_columns": decoded.spacing[1],
        "modality": MODALITIES.index(decoded.modality if decoded.modality in MODALITIES else "OT"),
        "mean": mean,
        "deviation": deviation,
        "lowest": sample.min() / top,
        "highest": sample.max() / top,
        "black": 1 - np.count_nonzero(sample) / sample.size,
        "white": np.count_nonzero(sample == top) / sample.size,
        "colourfulness": spread.mean() / 255,
        "coloured": coloured_marks(spread),
        "characters": written_characters(grey),
        "burnt_in": decoded.burnt_in,
        "header_names": header.names,
        "header_traces": header.traces,
    }
    row["numbers"] = [numbers[number] for number in NUMBERS]
    return row


def file_type(name: str) -> str:
    """The suffix of a file, of those that are told apart."""
    suffix = PurePath(name).suffix.lower()
    suffix = {".jpeg": ".jpg", ".tiff": ".tif"}.get(suffix, suffix)
    return suffix if suffix in TYPES else ""


def _pixel_digest(values: np.ndarray) -> bytes:
    return hashlib.sha256(f"{values.dtype} {values.shape}".encode() + np.ascontiguousarray(values).tobytes()).digest()


def _eight_bits(picture: Image) -> Image:
    return picture if picture.dtype == np.uint8 else (percentile_window(picture) >> 8).astype(np.uint8)


def _at_most(picture: Image, side: int) -> UInt8[np.ndarray, "small_height small_width *channels"]:
    """The picture, averaged down where a side is longer."""
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return np.ascontiguousarray(picture)
    size = tuple(max(1, round(scale * length)) for length in picture.shape[1::-1])
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)


def _spread(small: UInt8[np.ndarray, "height width *channels"]) -> UInt8[np.ndarray, " pixels"]:
    """Of each pixel the largest channel less the smallest."""
    if small.ndim == 2:
        return np.zeros(1, np.uint8)
    red, green, blue = cv2.split(small)  # numpy takes twenty times as long over an axis of three
    return (cv2.max(cv2.max(red, green), blue) - cv2.min(cv2.min(red, green), blue)).reshape(-1)


def _border(grey: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, " 32"]:
    """The outermost strips, a twenty-fifth of each side wide, eight means along each."""
    deep, wide = (max(1, side // 25) for side in grey.shape)
    strips = (grey[:deep], grey[-deep:], grey[:, :wide].T, grey[:, -wide:].T)
    return np.concatenate([_along(np.ascontiguousarray(strip)) for strip in strips])


def _along(strip: UInt8[np.ndarray, "depth length"]) -> UInt8[np.ndarray, " 8"]:
    return cv2.resize(strip, (8, 1), interpolation=cv2.INTER_AREA)[0]


def numbers_by_name(rows: Float32[np.ndarray, "images numbers"]) -> dict[str, Float32[np.ndarray, " images"]]:
    """The columns of the field `numbers`."""
    return dict(zip(NUMBERS, rows.T, strict=True))
