"""Inspection of images before they are used: whether each can be read, and what reading had to assume."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from medshot.errors import InputError
from medshot.imaging.formats import NPZ, PLAIN, TIFF, has_name_of, split_member
from medshot.imaging.npy import NO_PLACE
from medshot.imaging.npz import read_volume
from medshot.imaging.opening import read
from medshot.imaging.pictures import NO_SIZE, animation_of
from medshot.imaging.reading import read_content, read_image
from medshot.process import in_threads

INHERENT = (NO_SIZE, NO_PLACE)
"""Sentences that are true of every file of a format, so that they say nothing about one of them."""
_PLAIN = tuple(known for known in PLAIN if known is not TIFF)
_NUMBER = re.compile(r"-?\d[\d.,]*")
_KINDS = 6


@dataclass(frozen=True)
class Inspection:
    """The facts that reading an image gives.

    Args:
        problem: why it cannot be read, one sentence; "" if it can.
        assumed: what was not in the file and what was taken instead, one sentence each.
    """

    problem: str = ""
    assumed: tuple[str, ...] = ()


def inspect(path: Path) -> Inspection:
    """Read an image and return what is wrong with it or what was assumed."""
    file, _ = split_member(path)
    try:
        if has_name_of(file, *_PLAIN):
            read_image(path)
        elif has_name_of(file, NPZ):
            read_volume(path)
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
    file, _ = split_member(path)
    if has_name_of(file, *_PLAIN):
        moving = has_name_of(file, *(known for known in _PLAIN if known.animated))
        return animation_of(read_content(file)) if moving else ()
    return () if has_name_of(file, NPZ) else notable(read(path).assumed)


def notable(assumed: Sequence[str]) -> tuple[str, ...]:
    """Return the sentences that are not true of every file of a format."""
    return tuple(sentence for sentence in assumed if sentence not in INHERENT)


def kind_of(sentence: str) -> str:
    """Return a sentence without its numbers, so that sentences which differ only in numbers count together."""
    return _NUMBER.sub("#", sentence)


def summarise(of_images: Iterable[Sequence[str]]) -> str:
    """Return one sentence on what was assumed for some images, the rarest kind first; "" if nothing was."""
    counts, examples, images, affected = Counter[str](), dict[str, str](), 0, 0
    for sentences in of_images:
        images += 1
        affected += bool(sentences)
        for sentence in sentences:
            counts[kind_of(sentence)] += 1
            examples.setdefault(kind_of(sentence), sentence)
    if not affected:
        return ""
    rarest = sorted(counts, key=lambda kind: (counts[kind], kind))
    named = " ".join(f"{counts[kind]:,} × “{examples[kind]}”" for kind in rarest[:_KINDS])
    more = f" And {len(rarest) - _KINDS} more kinds." if len(rarest) > _KINDS else ""
    return f"Reading {affected:,} of {images:,} images needed assumptions: {named}{more}"
