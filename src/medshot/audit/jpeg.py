"""Estimate the quality with which a JPEG was saved, from its quantisation table."""

import struct
from functools import cache

import numpy as np
from jaxtyping import Int64

_LOSSY_JPEG_IN_DICOM = (b"1.2.840.10008.1.2.4.50", b"1.2.840.10008.1.2.4.51")
_JPEG_START = b"\xff\xd8\xff"
_LUMINANCE = (  # quantisation of quality 50 in zigzag order (ITU-T T.81, table K.1), which libjpeg scales
    *(16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51),
    *(61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77),
    *(113, 121, 112, 100, 120, 92, 101, 103, 99),
)


@cache
def _tables() -> Int64[np.ndarray, "100 64"]:
    """Return the quantisation table of every quality from 1 to 100, as libjpeg computes it."""
    qualities = np.arange(1, 101)
    scale = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    return np.clip((np.array(_LUMINANCE) * scale[:, None] + 50) // 100, 1, 255)


def jpeg_quality(content: bytes) -> int:
    """Return the quality of a JPEG file, or of the JPEG in a DICOM file, from 1 to 100; 0 for other files.

    It is the quality whose quantisation table in libjpeg is nearest to the file's first table.
    """
    start = 0
    if content[128:132] == b"DICM":
        if not any(syntax in content[:2048] for syntax in _LOSSY_JPEG_IN_DICOM):
            return 0
        start = content.find(_JPEG_START)
    if start < 0 or not content.startswith(_JPEG_START, start):
        return 0
    table = _first_table(content, start + 2)
    if table is None:
        return 0
    return 1 + int(np.abs(_tables() - table).sum(axis=1).argmin())


def _first_table(content: bytes, place: int) -> Int64[np.ndarray, " 64"] | None:
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker, length = content[place + 1], struct.unpack_from(">H", content, place + 2)[0]
        if marker == 0xDB:
            wide = np.dtype(">u2" if content[place + 4] >> 4 else np.uint8)
            if length < 3 + 64 * wide.itemsize or len(content) < place + 5 + 64 * wide.itemsize:
                return None
            return np.frombuffer(content, wide, 64, place + 5).astype(np.int64)
        if marker == 0xDA or length < 2:
            break
        place += 2 + length
    return None
