"""Find and remove identifying blocks of PNG and JPEG files; compressed data is unchanged."""

import re
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.ExifTags import IFD, TAGS

from medshot.imaging.formats import PNG
from medshot.imaging.pseudonyms import CannotClean, Identifying, Kind
from medshot.process import capture_warnings

_SIGNATURE = PNG.magics[0][1]
_KEPT_CHUNKS = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"hIST"}
    | {b"pHYs", b"cICP", b"mDCV", b"cLLI", b"acTL", b"fcTL", b"fdAT"}
)
_APP0, _APP1, _APP2, _APP14, _COMMENT, _SCAN, _END = 0xE0, 0xE1, 0xE2, 0xEE, 0xFE, 0xDA, 0xD9
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in compressed data, restarts and stuffed bytes apart
_WRITTEN_BY_PROGRAMS = (b"CREATOR: gd-jpeg", b"Intel(R) JPEG", b"LEAD Technologies", b"Lavc", b"Created with GIMP")
_EXIF_KINDS: dict[str, Kind] = {
    "Artist": "name",
    "BodySerialNumber": "device",
    "CameraOwnerName": "name",
    "Copyright": "name",
    "DateTime": "date",
    "DateTimeDigitized": "date",
    "DateTimeOriginal": "date",
    "DocumentName": "free text",
    "GPSInfo": "place",
    "HostComputer": "device",
    "ImageDescription": "free text",
    "ImageUniqueID": "unique identifier",
    "LensSerialNumber": "device",
    "MakerNote": "private element",
    "UserComment": "free text",
    "XPAuthor": "name",
    "XPComment": "free text",
    "XPKeywords": "free text",
    "XPSubject": "free text",
    "XPTitle": "free text",
}


def identifying_in_png(content: bytes) -> list[Identifying]:
    """Find the text, time and EXIF chunks of a PNG file; CannotClean if it is damaged."""
    found = []
    for kind, body in _chunks(content):
        if kind == b"eXIf":
            found += identifying_in_exif(body)
        elif kind not in _KEPT_CHUNKS:
            name = kind.decode("ascii", "replace")
            found.append(Identifying(f"PNG chunk {name}", "date" if kind == b"tIME" else "free text"))
    if not content.endswith(b"IEND\xaeB`\x82"):
        found.append(Identifying("bytes behind the image", "free text"))
    return found


def clean_png(content: bytes) -> bytes:
    """Keep the chunks that make the picture, and its orientation; CannotClean if the file is damaged."""
    kept = [_SIGNATURE]
    for kind, body in _chunks(content):
        if kind == b"eXIf":
            body = _orientation_alone(body)
            if not body:
                continue
        elif kind == b"iCCP":
            body = b"icc\0" + body.partition(b"\0")[2]
        elif kind not in _KEPT_CHUNKS:
            continue
        kept.append(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))
    return b"".join(kept)


def identifying_in_jpeg(content: bytes) -> list[Identifying]:
    """Find the EXIF, comment and application segments of a JPEG file; CannotClean if it is damaged."""
    found, end = [], 0
    for marker, body, stop in _segments(content):
        end = stop
        if marker == _APP1 and body.startswith(b"Exif\0\0"):
            found += identifying_in_exif(body[6:])
        elif marker == _COMMENT:
            if not body.startswith(_WRITTEN_BY_PROGRAMS):
                found.append(Identifying("JPEG comment", "free text"))
        elif _is_jfif(marker, body):
            if len(body) > 14:
                found.append(Identifying("JFIF thumbnail", "embedded picture"))
        elif _APP0 <= marker < 0xF0 and not _is_colour(marker, body):
            found.append(Identifying(f"JPEG segment APP{marker - _APP0}", "free text"))
    if end < len(content.rstrip(b"\0")):
        found.append(Identifying("bytes behind the image", "embedded picture"))
    return found


def clean_jpeg(content: bytes) -> bytes:
    """Keep the segments that make the picture, and its orientation; CannotClean if the file is damaged."""
    kept = [b"\xff\xd8"]
    for marker, body, _ in _segments(content):
        if marker == _APP1 and body.startswith(b"Exif\0\0"):
            exif = _orientation_alone(body[6:])
            kept += [_segment(marker, b"Exif\0\0" + exif)] if exif else []
        elif _is_jfif(marker, body):
            kept.append(_segment(marker, body[:12] + b"\0\0"))
        elif marker == _SCAN:
            kept.append(b"\xff\xda" + body)
        elif marker != _COMMENT and (not _APP0 <= marker < 0xF0 or _is_colour(marker, body)):
            kept.append(_segment(marker, body))
    return b"".join([*kept, b"\xff\xd9"])


def identifying_in_exif(exif: bytes) -> list[Identifying]:
    """Find the EXIF tags that name persons, places or times, and the thumbnail."""
    tags = _exif(exif)
    names = set()
    for group in (tags, tags.get_ifd(IFD.Exif)):
        names |= {TAGS.get(tag, "") for tag, value in group.items() if value not in ("", b"")}
    found = {Identifying(f"EXIF {name}", _EXIF_KINDS[name]) for name in names & set(_EXIF_KINDS)}
    if tags.get_ifd(IFD.IFD1):
        found.add(Identifying("EXIF thumbnail", "embedded picture"))
    return sorted(found)


def same_pixels(before: bytes, after: bytes) -> bool:
    """Whether all frames of two PNG or JPEG files have the same pixels; raises Pillow's errors if one is damaged."""
    with capture_warnings(), Image.open(BytesIO(before)) as first, Image.open(BytesIO(after)) as second:
        if first.mode != second.mode or getattr(first, "n_frames", 1) != getattr(second, "n_frames", 1):
            return False
        same = True
        for frame in range(getattr(first, "n_frames", 1)):
            first.seek(frame)
            second.seek(frame)
            same = same and np.array_equal(np.asarray(first), np.asarray(second))
        return same


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_SIGNATURE)
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4])
        kind, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        checksum = content[place + 8 + length : place + 12 + length]
        if len(checksum) < 4 or zlib.crc32(kind + body) != int.from_bytes(checksum):
            break
        yield kind, body
        place += 12 + length
        if kind == b"IEND":
            return
    raise CannotClean("is a damaged PNG file")


def _segments(content: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield marker, body and end of each segment; the body of a scan is its header and its compressed data."""
    place = 2
    while place + 2 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        if marker == _END:
            yield _END, b"", place + 2
            return
        length = int.from_bytes(content[place + 2 : place + 4])
        stop = place + 2 + length
        if length < 2 or stop > len(content):
            break
        if marker == _SCAN:
            following = _MARKER.search(content, stop)
            if following is None:
                break
            stop = following.start()
            yield marker, content[place + 2 : stop], stop
        else:
            yield marker, content[place + 4 : stop], stop
        place = stop
    raise CannotClean("is a damaged JPEG file")


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body if marker != _END else b""


def _is_jfif(marker: int, body: bytes) -> bool:
    return marker == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 14


def _is_colour(marker: int, body: bytes) -> bool:
    """Whether it is needed to decode colours: an ICC profile, or Adobe's segment on the colour transform."""
    profile = marker == _APP2 and body.startswith(b"ICC_PROFILE\0")
    return profile or (marker == _APP14 and body.startswith(b"Adobe") and len(body) == 12)


def _exif(exif: bytes) -> Image.Exif:
    tags = Image.Exif()
    try:
        with capture_warnings():
            tags.load(exif)
            for group in (tags, tags.get_ifd(IFD.Exif), tags.get_ifd(IFD.IFD1)):
                dict(group.items())  # else values are read, and found damaged, when they are asked for
    except Exception:
        raise CannotClean("has a damaged EXIF block") from None
    return tags


def _orientation_alone(exif: bytes) -> bytes:
    """Return an EXIF block with the orientation alone; empty if the picture is upright."""
    orientation = _exif(exif).get(0x0112, 1)
    if orientation not in range(2, 9):
        return b""
    alone = Image.Exif()
    alone[0x0112] = orientation
    return alone.tobytes().removeprefix(b"Exif\0\0")
