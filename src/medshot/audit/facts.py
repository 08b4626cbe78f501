"""The facts of an image: everything that one pass measures, in a row of fixed length."""

import hashlib
import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path, PurePath

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8, UInt64

from medshot.append_store import AppendStore
from medshot.audit.decoding import NO_HEADER, Decoded, Header
from medshot.environment import cache_folder
from medshot.imaging import ImageInput, fingerprints, fit, percentile_window
from medshot.imaging.decoding import files_of_image
from medshot.imaging.npz import split_member
from medshot.imaging.scan import Image

_COLOURED = 48  # grey levels between the channels of a pixel
_GREY = 20
_STROKE = 5  # pixels: strokes of letters are thinner
_CONTRAST = 90


def coloured_marks(spread: UInt8[np.ndarray, " pixels"]) -> float:
    """Return the share of clearly coloured pixels if the picture is grey elsewhere; 0 in a grey or a colour picture.

    Args:
        spread: of each pixel, the largest channel less the smallest.
    """
    if np.count_nonzero(spread > _GREY) > 0.25 * spread.size:  # a colour picture
        return 0.0
    return np.count_nonzero(spread > _COLOURED) / spread.size


def written_characters(grey: UInt8[np.ndarray, "height width"]) -> int:
    """Count what looks like characters of a line of text near the border: bright, thin, of like height, in a row.

    Text is looked for in the outer quarter of the picture, where scanners write it. Characters lower than six
    pixels are not found.
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
    """Count the boxes on the line of this one, of like height and near a neighbour; 0 below four."""
    near = (np.abs(boxes[:, 1] - box[1]) <= 2) & (np.abs(boxes[:, 3] - box[3]) <= 2)
    left = np.sort(boxes[near, 0])
    together = 1 + int(np.sum(np.diff(left) <= 2.5 * box[3]))
    return together if together >= 4 else 0


KEPT = 384  # bytes of the sentences on what reading an image assumed
VERSION = 5  # of the facts: a change of what is measured must change it
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
        "quality",
    ),
)
FACTS = np.dtype(
    [
        ("file", np.uint8, 32),
        ("pixels", np.uint8, 32),
        ("patient", np.uint8, 8),
        ("fingerprint", np.uint8, 32),
        ("thumbnail", np.uint8, (16, 16)),
        ("border", np.uint8, 32),
        ("histogram", np.float32, 16),
        ("numbers", np.float32, len(NUMBERS)),
        ("assumed", f"S{KEPT}"),
    ]
)
TYPES = ("", ".png", ".jpg", ".tif", ".npz", ".dcm", ".gif", ".bmp", ".webp", ".jp2", ".heic", ".npy")
MODALITIES = ("", "CT", "MR", "CR", "DX", "XA", "US", "PT", "NM", "MG", "SC", "OT", "SM", "ES", "XC", "OP", "ECG")
_PRINTED = ImageInput(channels=1, size=64)
_SAMPLE = 256  # pixels per side that are enough to measure


def measure(decoded: Decoded, name: str, content: bytes, header: Header = NO_HEADER, patient: str = "") -> np.ndarray:
    """Measure the facts of one image, of the type `FACTS`.

    Args:
        decoded: the image.
        name: of its file, for the type.
        content: the bytes of its file; those of its pixels if it has none.
        header: the identifying entries of its header.
        patient: the hashed patient of a DICOM header, 16 digits, "" if it has none.
    """
    row = np.zeros((), FACTS)
    row["file"] = np.frombuffer(hashlib.sha256(content).digest(), np.uint8)
    row["pixels"] = np.frombuffer(_pixel_digest(decoded.content), np.uint8)
    row["patient"] = np.frombuffer(bytes.fromhex(patient or "0" * 16), np.uint8)
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
        "quality": header.quality,
    }
    row["numbers"] = [numbers[number] for number in NUMBERS]
    row["assumed"] = "\n".join(decoded.assumed).encode()[:KEPT]
    return row


def file_type(name: str) -> str:
    """Return the suffix of a file, "" for any that is not in `TYPES`."""
    suffix = PurePath(name).suffix.lower()
    suffix = {".jpeg": ".jpg", ".tiff": ".tif"}.get(suffix, suffix)
    return suffix if suffix in TYPES else ""


def _pixel_digest(values: np.ndarray) -> bytes:
    return hashlib.sha256(f"{values.dtype} {values.shape}".encode() + np.ascontiguousarray(values).tobytes()).digest()


def _eight_bits(picture: Image) -> Image:
    return picture if picture.dtype == np.uint8 else (percentile_window(picture) >> 8).astype(np.uint8)


def _at_most(picture: Image, side: int) -> UInt8[np.ndarray, "small_height small_width *channels"]:
    """Return the picture, averaged down if a side is longer."""
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return np.ascontiguousarray(picture)
    size = tuple(max(1, round(scale * length)) for length in picture.shape[1::-1])
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)


def _spread(small: UInt8[np.ndarray, "height width *channels"]) -> UInt8[np.ndarray, " pixels"]:
    """Return the difference between the largest and the smallest channel of each pixel."""
    if small.ndim == 2:
        return np.zeros(1, np.uint8)
    red, green, blue = cv2.split(small)  # numpy takes twenty times as long over an axis of three
    return (cv2.max(cv2.max(red, green), blue) - cv2.min(cv2.min(red, green), blue)).reshape(-1)


def _border(grey: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, " 32"]:
    """Return eight means along each outermost strip, which is a twenty-fifth of the side wide."""
    deep, wide = (max(1, side // 25) for side in grey.shape)
    strips = (grey[:deep], grey[-deep:], grey[:, :wide].T, grey[:, -wide:].T)
    return np.concatenate([_along(np.ascontiguousarray(strip)) for strip in strips])


def _along(strip: UInt8[np.ndarray, "depth length"]) -> UInt8[np.ndarray, " 8"]:
    return cv2.resize(strip, (8, 1), interpolation=cv2.INTER_AREA)[0]


def numbers_by_name(rows: Float32[np.ndarray, "images numbers"]) -> dict[str, Float32[np.ndarray, " images"]]:
    """Return the columns of the field `numbers`."""
    return dict(zip(NUMBERS, rows.T, strict=True))


Keys = UInt64[np.ndarray, "images 2"]


def keys(names: Iterable[bytes]) -> Keys:
    """Return 128-bit hashes of what identifies each image."""
    digests = b"".join(blake2b(name, digest_size=16).digest() for name in names)
    return np.frombuffer(digests, np.uint64).reshape(-1, 2)


def file_identity(path: str) -> bytes:
    """Return what changes whenever a file does: path, size and time of writing; OSError if there is no file.

    Of a folder, and of a header with its voxels in a second file, all files count.
    """
    file = str(split_member(Path(path))[0]) if "#" in path else path
    status = os.stat(file)  # noqa: PTH116 (a million Path objects cost more than the look)
    parts = [os.fsencode(os.path.abspath(path)), str((status.st_size, status.st_mtime_ns)).encode()]  # noqa: PTH100
    if file_type(file) in ("", ".dcm"):
        files = [child for child in files_of_image(Path(file)) if child != Path(file)]
        looks = [(str(child), child.stat()) for child in files]
        parts += [str((name, look.st_size, look.st_mtime_ns)).encode() for name, look in looks]
    return b"\0".join(parts)


class FactStore:
    """The stored facts of all images ever measured, found by key.

    Args:
        folder: the folder, which need not exist; by default one in the cache folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / f"audit-{VERSION}"
        types = {name: FACTS[name].subdtype or (FACTS[name], ()) for name in FACTS.names or ()}
        self._store = AppendStore(self.folder, types, keys="keys", key_bytes=16)

    def find(self, wanted: Keys) -> Int64[np.ndarray, " images"]:
        """Return the row of each key, -1 for a key that is not stored."""
        return self._store.find(wanted)

    def column(self, name: str) -> np.ndarray:
        """Return one fact of all rows, mapped from disk and read-only, which rows of the last `find` index.

        Raises:
            StorageError: the store was emptied since the last `find`.
        """
        return self._store.column(name)

    def append(self, of: Keys, rows: np.ndarray) -> None:
        """Write the facts of the keys that are not stored yet.

        Args:
            of: the key of each row.
            rows: facts of the type `FACTS`.

        Raises:
            StorageError: the folder cannot be written to.
        """
        self._store.append(of, {name: rows[name] for name in FACTS.names or ()})
