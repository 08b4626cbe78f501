"""Text headers: lines of fields, each once, and their numbers."""

from pathlib import Path

from medshot.errors import InputError
from medshot.imaging.volumes.volume import take

HEADER_LIMIT = 1 << 16  # bytes; a header longer than this is no header


def head(path: Path) -> bytes:
    """As much of the file as can be its header."""
    return bytes(take(path, 0, HEADER_LIMIT, "none"))


def add_field(path: Path, fields: dict[str, str], name: str, text: str) -> None:
    """Note a field of the header; InputError where it stands there twice."""
    if name in fields:
        raise InputError(f"{path} has the field {name!r} twice in its header; keep the one that is right.")
    fields[name] = text


def need(path: Path, fields: dict[str, str], name: str) -> str:
    """A field that must be there; InputError where it is not."""
    if not fields.get(name):
        raise InputError(f"{path} has no {name!r} in its header; mend or replace the file.")
    return fields[name]


def numbers(path: Path, field: str, text: str) -> list[float]:
    """The finite numbers of a field in a text header, parted by blanks.

    Raises:
        InputError: a word is no number, or is infinite or NaN.
    """
    try:
        found = [float(word) for word in text.split()]
    except ValueError:
        raise InputError(f"{path} has {field} {text[:60]!r} where numbers were expected; mend its header.") from None
    if not all(abs(number) < 1e300 for number in found):
        raise InputError(f"{path} has {field} {text[:60]!r}, which is not finite; mend its header.")
    return found


def whole_numbers(path: Path, field: str, text: str) -> list[int]:
    """The whole numbers of 1 or more of a field in a text header.

    Raises:
        InputError: a word is something else.
    """
    if not all(word.isascii() and word.isdigit() and len(word) < 10 and int(word) for word in text.split()):
        raise InputError(f"{path} has {field} {text[:60]!r} where numbers of 1 or more were expected; mend its header.")
    return [int(word) for word in text.split()]
