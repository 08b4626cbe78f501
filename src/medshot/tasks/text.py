"""The encoding of a table: UTF-8, UTF-16 with its mark, or Latin-1 if nothing speaks against it."""

import codecs
import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO, TextIOWrapper
from pathlib import Path

from medshot.errors import InputError

HEADER_LIMIT = 1 << 16  # bytes or characters of the first line
_CHUNK = 1 << 20
_WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")
_WESTERN = {*range(0xC0, 0x100)} - {0xD7, 0xF7}  # the letters of Latin-1, the same in Windows-1252
UTF_8, UTF_16, LATIN_1 = "utf-8-sig", "utf-16", "latin-1"
REMARKS = {
    UTF_16: "is UTF-16 text and was read as that",
    LATIN_1: "is not UTF-8 and was read as Latin-1 (Western European) text; if names look wrong, save it as CSV in "
    "UTF-8",
}


@contextmanager
def opened(path: Path, content: bytes | None = None, *, first_line: bool = False) -> Iterator[TextIOWrapper]:
    """Open a table as text in its encoding; line ends are kept.

    Args:
        path: the file.
        content: its bytes, if they were read already.
        first_line: whether only its first line is looked at.

    Raises:
        InputError: it cannot be read, or its encoding is unclear.
    """
    try:
        with BytesIO(content) if content is not None else path.open("rb") as binary:
            encoding = _encoding_of(binary, HEADER_LIMIT if first_line else None)
            binary.seek(0)
            with TextIOWrapper(binary, encoding=encoding, newline="") as file:
                yield file
    except OSError as error:
        raise InputError(f"{path} could not be read ({error.strerror}); check the path.") from error
    except UnicodeError as error:
        raise InputError(f"{path} is not UTF-8 text; save it as CSV in UTF-8.") from error


def _encoding_of(binary: BytesIO | BufferedReader, limit: int | None) -> str:
    """Return the encoding of a file by its first bytes, or by all; UnicodeError if it is unclear."""
    start = binary.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and not start.startswith(codecs.BOM_UTF32_LE):
        return UTF_16
    binary.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        if limit is not None:
            decoder.decode(binary.read(limit))
            return UTF_8
        while chunk := binary.read(_CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        binary.seek(0)
        if not _is_western(binary.read(-1 if limit is None else limit)):
            raise
        return LATIN_1
    return UTF_8


def _is_western(content: bytes) -> bool:
    """Whether all bytes that are not ASCII are letters of Latin-1, and at most half of the letters of their words.

    In Greek and Cyrillic encodings nearly all letters of a word are such bytes, and Windows-1250 and Mac Roman use
    bytes that are no letters in Latin-1.
    """
    words = _WORD.findall(content)
    outside = [byte for word in words for byte in word if byte >= 0x80]
    return bool(outside) and {*outside} <= _WESTERN and 2 * len(outside) <= sum(map(len, words))
