"""Encoders by name: those that come with medshot, folders, those of other libraries, and several joined by "+"."""

import os
from functools import cache
from pathlib import Path

from medshot.encoders.encoder import Encoder
from medshot.encoders.folder import RECORD, packaged, read_encoder, read_record
from medshot.encoders.libraries import ADAPTERS, external_encoder
from medshot.encoders.lite0 import LITE0
from medshot.errors import InputError, StorageError, closest

ENCODERS: dict[str, Encoder] = {"lite0": LITE0} | packaged()
AND = "+"


def parts_of(name: str) -> tuple[str, ...]:
    """Return the names that are joined by "+"; the path of a single folder may contain a "+"."""
    return (name,) if _is_existing_folder(name) else tuple(name.split(AND))


def display_names(name: str) -> tuple[str, ...]:
    """Return the names of the encoders in tables: a folder is named by its record and the beginning of its hash.

    Raises:
        StorageError: a folder's record cannot be read.
    """
    return tuple(
        f"{read_record(Path(part)).name}-{encoder.sha256[:8]}" if _is_folder(part) else part
        for part, encoder in zip(parts_of(name), encoders_of(name), strict=True)
    )


def absolute_name(name: str) -> str:
    """Return the same name with every folder's path made absolute, as a run records it."""
    return AND.join(_absolute(part) for part in parts_of(name))


def _absolute(part: str) -> str:
    prefix, _, rest = part.partition(":")
    if prefix in ADAPTERS:
        return f"{prefix}:{Path(rest).absolute()}" if _is_existing_folder(rest) else part
    return str(Path(part).absolute()) if _is_folder(part) else part


def encoders_of(name: str, argument: str = "encoder") -> tuple[Encoder, ...]:
    """Return the encoders that a name denotes, in order; their features are concatenated.

    Args:
        name: a key of `ENCODERS`, the path of an encoder's folder, a network of another library after its prefix in
            `ADAPTERS`, or several of these joined by "+".
        argument: the argument or option that the user gave, for the error message.

    Raises:
        InputError: an encoder is missing, cannot be read, or is named twice.
    """
    parts = parts_of(name)
    if len(set(parts)) < len(parts):
        raise InputError(f"{argument} is '{name}', which names one encoder twice; name each once.")
    return tuple(_one(part, argument) for part in parts)


def _one(name: str, argument: str) -> Encoder:
    if name in ENCODERS:
        return ENCODERS[name]
    prefix, colon, rest = name.partition(":")
    if colon and prefix in ADAPTERS:
        return external_encoder(prefix, rest)
    if not _is_folder(name):
        raise InputError(
            f"{argument} is '{name}', but must be one of {', '.join(ENCODERS)}, the path of an encoder's folder, "
            f"{', '.join(f'{prefix}:NAME' for prefix in ADAPTERS)}, or several of these joined by {AND}."
            f"{closest(name, ENCODERS)}"
        )
    folder = Path(name).absolute()
    try:
        return _read(folder, (folder / RECORD).stat().st_mtime_ns)
    except StorageError as error:
        raise InputError(f"{argument} is '{name}', which cannot be used: {error}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{argument} is '{name}', where there is no {RECORD}; check the path.") from error


@cache
def _read(folder: Path, changed: int) -> Encoder:
    return read_encoder(folder)


def _is_folder(name: str) -> bool:
    """Whether a name is a path: it looks like one, or such a folder exists."""
    prefix, colon, _ = name.partition(":")
    if colon and prefix in ADAPTERS:
        return False
    return name not in ENCODERS and (any(mark in name for mark in ("/", os.sep)) or _is_existing_folder(name))


def _is_existing_folder(name: str) -> bool:
    try:
        return name not in ("", *ENCODERS) and Path(name).is_dir()
    except OSError:  # too long for a path
        return False
