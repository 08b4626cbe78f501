"""Parse text headers: lines of fields, each at most once, and their numbers."""

from pathlib import Path

from medshot.errors import InputError
from medshot.imaging.volumes.volume import take

HEADER_LIMIT = 1 << 16  # bytes; longer headers are refused


def head(path: Path) -> bytes:
    """Return the start of the file, up to the longest allowed header."""
    return bytes(take(path, 0, HEADER_LIMIT, "none"))


def add_field(path: Path, fields: dict[str, str], name: str, text: str) -> None:
    """Add a field of the header; InputError if it occurs twice."""
    if name in fields:
        raise InputError(f"{path} has the field {name!r} twice in its header; keep the one that is right.")
    fields[name] = text


def need(path: Path, fields: dict[str, str], name: str) -> str:
    """Return a required field; InputError if it is missing."""
    if not fields.get(name):
        raise InputError(f"{path} has no {name!r} in its header; mend or replace the file.")
    return fields[name]


def numbers(path: Path, field: str, text: str) -> list[float]:
    """Return the finite numbers of a field, which are separated by blanks.

    Raises:
        InputError: a word is not a number, or is infinite or NaN.
    """
    try:
        found = [float(word) for word in text.split()]
    except ValueError:
        raise InputError(f"{path} has {field} {text[:60]!r} instead of numbers; mend its header.") from None
    if not all(abs(number) < 1e300 for number in found):
        raise InputError(f"{path} has {field} {text[:60]!r}, which is not finite; mend its header.")
    return found


def whole_numbers(path: Path, field: str, text: str) -> list[int]:
    """Return the whole numbers of a field, which must be 1 or more.

    Raises:
        InputError: a word is something else.
    """
    if not all(word.isascii() and word.isdigit() and len(word) < 10 and int(word) for word in text.split()):
        raise InputError(f"{path} has {field} {text[:60]!r} instead of numbers of 1 or more; mend its header.")
    return [int(word) for word in text.split()]
