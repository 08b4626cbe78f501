"""Inspection of images before they are used: whether each can be read, and what reading had to assume."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medshot.errors import InputError
from medshot.imaging.cache import in_threads
from medshot.imaging.formats import NPZ, TIFF, formats_holding, has_name_of
from medshot.imaging.npy import NO_PLACE
from medshot.imaging.npz import parted, read_volume
from medshot.imaging.opening import read
from medshot.imaging.pictures import NO_SIZE, animation_of
from medshot.imaging.reading import read_content, read_image

INHERENT = (NO_SIZE, NO_PLACE)
"""Sentences that are true of every file of a format, so that they say nothing about one of them."""


@dataclass(frozen=True)
class Inspection:
    """What is known of an image once it was read.

    Args:
        problem: why it cannot be read, one sentence; "" if it can.
        assumed: what was not in the file and what was taken instead, one sentence each.
    """

    problem: str = ""
    assumed: tuple[str, ...] = ()


def inspect(path: Path) -> Inspection:
    """Read an image and return what is wrong with it or what was assumed."""
    try:
        return Inspection(assumed=assumed_of(path))
    except InputError as error:
        return Inspection(problem=str(error))


def inspect_all(paths: Sequence[Path]) -> Iterator[Inspection]:
    """Yield the inspections of images in order, made by threads."""
    return in_threads(inspect, paths, os.cpu_count() or 1)


def assumed_of(path: Path) -> tuple[str, ...]:
    """Return what reading an image assumes, without what is true of every file of its format.

    Raises:
        InputError: it cannot be read.
    """
    file, _ = parted(path)
    if has_name_of(file, *(known for known in formats_holding("picture") if known is not TIFF)):
        read_image(path)
        return animation_of(read_content(file))
    if has_name_of(file, NPZ):
        read_volume(path)
        return ()
    return notable(read(path).assumed)


def notable(assumed: Sequence[str]) -> tuple[str, ...]:
    """Return the sentences that are not true of every file of a format."""
    return tuple(sentence for sentence in assumed if sentence not in INHERENT)
