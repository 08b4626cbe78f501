"""Check the headers of JPEG, JPEG-LS and JPEG 2000 streams before a decoder in C allocates memory for them."""

import struct

from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from medshot.imaging.dicom.header import Unsuitable

_HIGH_THROUGHPUT = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
_END = b"\xff\xd9"
_JPEG_START, _J2K_START = b"\xff\xd8", b"\xff\x4f\xff\x51"
_FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC} | {0xF7}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


def check_codestream(stream: bytes, syntax: UID, rows: int, columns: int, samples: int) -> None:
    """Refuse a compressed frame that is truncated or whose size differs from the file's header.

    Raises:
        Unsuitable: the stream has no beginning, no end, or other dimensions.
    """
    if syntax in JPEG2000TransferSyntaxes or syntax in _HIGH_THROUGHPUT:
        found = _size_of_jpeg_2000(stream)
    elif syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
        found = _size_of_jpeg(stream)
    else:
        return
    if found != (rows, columns, samples):
        raise Unsuitable(
            f"has {rows} × {columns} × {samples} in its header and {' × '.join(map(str, found))} in its compressed "
            "pixels; replace the file"
        )
    # The end may be followed by padding, and some files have a marker of DICOM before it.
    if _END not in stream[-64:]:
        raise Unsuitable("is cut off: its compressed pixels have no end; copy it again from where it came")


def precision(stream: bytes) -> int:
    """Return the bits per sample of a JPEG or JPEG-LS stream."""
    return _frame_header(stream)[3]


def _size_of_jpeg(stream: bytes) -> tuple[int, int, int]:
    rows, columns, samples, _ = _frame_header(stream)
    return rows, columns, samples


def _frame_header(stream: bytes) -> tuple[int, int, int, int]:
    """Return rows, columns, samples and bits per sample."""
    if not stream.startswith(_JPEG_START):
        raise Unsuitable("holds compressed pixels that do not begin as JPEG; replace the file")
    place = 2
    while place + 4 <= len(stream):
        if stream[place] != 0xFF:
            break
        marker = stream[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in _WITHOUT_LENGTH:
            place += 2
        elif marker in _FRAME_HEADERS and place + 10 <= len(stream):
            bits, rows, columns, samples = struct.unpack_from(">BHHB", stream, place + 4)
            return rows, columns, samples, bits
        else:
            place += 2 + struct.unpack_from(">H", stream, place + 2)[0]
    raise Unsuitable("holds compressed pixels without a frame header; replace the file")


def _size_of_jpeg_2000(stream: bytes) -> tuple[int, int, int]:
    place = stream.find(_J2K_START)
    if place < 0 or place + 42 > len(stream):
        raise Unsuitable("holds compressed pixels that do not begin as JPEG 2000; replace the file")
    right, bottom, left, top = struct.unpack_from(">IIII", stream, place + 8)
    tile_width, tile_height = struct.unpack_from(">II", stream, place + 24)
    (samples,) = struct.unpack_from(">H", stream, place + 40)
    if tile_width < 1 or tile_height < 1 or (right // tile_width + 1) * (bottom // tile_height + 1) > 65_535:
        raise Unsuitable("holds JPEG 2000 pixels in impossible tiles; replace the file")
    return bottom - top, right - left, samples
