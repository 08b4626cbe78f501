"""Clean TIFF and BigTIFF files: overwrite every byte that the pixels do not need by zero."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from PIL.TiffTags import TAGS_V2

from medshot.imaging.pseudonyms import CannotClean, Identifying, Kind
from medshot.process import opencv_silent

_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_STRIPS, _TILES, _STRIP_SIZES, _TILE_SIZES, _OLD_JPEG = 273, 324, 279, 325, 513
_KEPT = frozenset(
    {254, 255, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 290, 291, 292, 293}
    | {296, 297, 301, 317, 318, 319, 320, 322, 323, 324, 325, 338, 339, 340, 341, 342, 347, 529, 530, 531, 532, 34675}
)
_HARMLESS = frozenset({271, 272, 285, 305})  # make, model, page name, software
_KINDS: dict[int, Kind] = {306: "date", 315: "name", 316: "device", 34853: "place", 33432: "name"}


@dataclass(frozen=True)
class _Entry:
    """A tag of a directory: `raw` is the entry as stored, `values` the position of its values."""

    tag: int
    raw: bytes
    values: slice
    inside: bool
    format: int


def identifying_in_tiff(content: bytes) -> list[Identifying]:
    """Find the tags of a TIFF file that its pixels do not need; CannotClean if it is damaged."""
    found = []
    for page, (_, entries, _) in enumerate(_Reader(content).directories(), 1):
        for entry in entries:
            if entry.tag not in _KEPT | _HARMLESS and any(content[entry.values]):
                name = TAGS_V2[entry.tag].name if entry.tag in TAGS_V2 else str(entry.tag)
                found.append(Identifying(f"TIFF page {page} {name}", _KINDS.get(entry.tag, "free text")))
    return found


def clean_tiff(content: bytes) -> bytes:
    """Keep the tags that make the pictures; CannotClean if the file is damaged."""
    reader = _Reader(content)
    clean = bytearray(len(content))
    clean[: reader.header] = content[: reader.header]
    for place, entries, following in reader.directories():
        kept = [entry for entry in entries if entry.tag in _KEPT]
        count = struct.pack(reader.order + reader.count, len(kept))
        directory = count + b"".join(entry.raw for entry in kept) + following
        clean[place : place + len(directory)] = directory
        for entry in kept:
            if not entry.inside:
                clean[entry.values] = content[entry.values]
        for stretch in reader.pixels({entry.tag: entry for entry in kept}):
            clean[stretch] = content[stretch]
    return bytes(clean)


def same_tiff_pixels(before: bytes, after: bytes) -> bool:
    """Whether two TIFF files decode to the same pages, as far as OpenCV decodes them."""
    with opencv_silent():
        pages = [cv2.imdecodemulti(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED) for file in (before, after)]
    (read, first), (_, second) = pages
    return bool(read) and len(first) == len(second) and all(map(np.array_equal, first, second))


class _Reader:
    """The directories of a TIFF file (TIFF 6.0 section 2; BigTIFF has wider fields)."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.order = "<" if content.startswith(b"II") else ">"
        self.big = 43 in content[2:4]
        self.header = 16 if self.big else 8
        self.count, self.offset, self.entry = ("Q", "Q", 20) if self.big else ("H", "I", 12)

    def directories(self) -> Iterator[tuple[int, list[_Entry], bytes]]:
        """Yield place, entries and the pointer to the next, of every page."""
        width = struct.calcsize(self.offset)
        place, visited = self._number(self.offset, self.header - width), set()
        while place:
            if place in visited:
                raise CannotClean("is a damaged TIFF file")
            visited.add(place)
            number = self._number(self.count, place)
            first = place + struct.calcsize(self.count)
            after = first + number * self.entry
            if after + width > len(self.content):
                raise CannotClean("is a damaged TIFF file")
            yield (
                place,
                [self._entry(at) for at in range(first, after, self.entry)],
                self.content[after : after + width],
            )
            place = self._number(self.offset, after)

    def pixels(self, entries: dict[int, _Entry]) -> Iterator[slice]:
        """Yield the places of the strips or tiles of one page."""
        if _OLD_JPEG in entries or (_STRIPS not in entries and _TILES not in entries):
            raise CannotClean("is a TIFF file whose pixels are not found")
        for places, sizes in ((_STRIPS, _STRIP_SIZES), (_TILES, _TILE_SIZES)):
            if places not in entries:
                continue
            if sizes not in entries:
                raise CannotClean("is a TIFF file whose pixels are not found")
            for start, size in zip(self._numbers(entries[places]), self._numbers(entries[sizes]), strict=False):
                if start + size > len(self.content):
                    raise CannotClean("is a truncated TIFF file")
                yield slice(start, start + size)

    def _entry(self, place: int) -> _Entry:
        raw = self.content[place : place + self.entry]
        tag, kind, count = struct.unpack_from(f"{self.order}HH{self.offset}", raw)
        head, length = struct.calcsize(f"={'HH'}{self.offset}"), _WIDTHS.get(kind, 1) * count
        inside = length <= self.entry - head
        start = place + head if inside else self._number(self.offset, place + head)
        if start + length > len(self.content):
            raise CannotClean("is a truncated TIFF file")
        return _Entry(tag, raw, slice(start, start + length), inside, kind)

    def _numbers(self, entry: _Entry) -> list[int]:
        kinds = {3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
        if entry.format not in kinds:
            raise CannotClean("is a damaged TIFF file")
        stored = np.frombuffer(BytesIO(self.content[entry.values]).getvalue(), self.order + kinds[entry.format])
        return [int(value) for value in stored]

    def _number(self, kind: str, place: int) -> int:
        try:
            return struct.unpack_from(self.order + kind, self.content, place)[0]
        except struct.error:
            raise CannotClean("is a damaged TIFF file") from None
