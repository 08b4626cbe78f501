"""Cues: groups of simple numbers for every image that might give a label away without showing any disease."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float32, Int, UInt8

from medshot.audit.decoding import decode, of_array, thumbnail
from medshot.audit.listing import Categories
from medshot.audit.sample import AuditedTask
from medshot.errors import InputError
from medshot.imaging import GridInput
from medshot.imaging.preparing import percentile_window, prepare
from medshot.imaging.scan import FittedImage, Image, Pixels
from medshot.process import in_threads

Kind = Literal["made", "visible", "stated"]

_COMMON = 20  # most values of a column that get a number of their own
_BINS = 10
_THREADS = 2


@dataclass(frozen=True)
class Cue:
    """Numbers by which the classes should not differ.

    Args:
        name: what they are of.
        kind: "made": how the file was made, which no disease changes; "visible": of the picture, which a disease may
            change a little; "stated": beside the picture, which a network does not get.
        values: a few numbers for each sample.
    """

    name: str
    kind: Kind
    values: Float32[np.ndarray, "samples numbers"]


def cues(task: AuditedTask, rows: np.ndarray) -> list[Cue]:
    """Return all cues of these samples of a task, without those that are the same for all."""
    numbers = {name: values[rows] for name, values in task.numbers.items()}
    grey = float(np.mean(numbers["colourfulness"] > 0.02)) < 0.9
    aspect = numbers["width"] / numbers["height"]
    per_pixel = numbers["bytes"] / (numbers["width"] * numbers["height"])
    kinds: list[tuple[str, Kind, list[np.ndarray]]] = [
        ("image size", "made", [binned(numbers["width"]), binned(numbers["height"]), binned(aspect)]),
        ("file type and bit depth", "made", [one_hot(numbers[name]) for name in ("type", "bits", "channels")]),
        ("bytes per pixel", "visible", [binned(per_pixel)]),
        ("pixel spacing and modality", "made", [binned(numbers["spacing_rows"]), one_hot(numbers["modality"])]),
        ("colour", "made" if grey else "visible", [binned(numbers["colourfulness"])]),
        ("coloured marks", "made", [binned(numbers["coloured"])] if grey else []),
        ("text in the margins", "made", [binned(numbers["characters"])]),
        ("border strip", "visible", [task.fact("border")[rows].astype(np.float32) / 255]),
        ("grey levels", "visible", [np.sqrt(task.fact("histogram")[rows])]),
        ("file name", "stated", [_name_patterns(task, rows)] if task.listing.paths else []),
    ]
    kinds += [(f"column {name}", "stated", [_of_column(column, rows)]) for name, column in task.columns.items()]
    found = [Cue(name, kind, np.concatenate(parts, axis=1)) for name, kind, parts in kinds if parts]
    return [cue for cue in found if np.ptp(cue.values, axis=0).any()]


def one_hot(values: np.ndarray) -> Float32[np.ndarray, "samples values"]:
    """Return one column for each of the most common values."""
    kinds, counts = np.unique(values, return_counts=True)
    common = kinds[np.argsort(-counts, kind="stable")[:_COMMON]]
    return (values[:, None] == common).astype(np.float32)


def binned(values: np.ndarray) -> Float32[np.ndarray, "samples bins"]:
    """Return one column for each tenth of the samples by this number; for each value if there are few."""
    if len(np.unique(values)) <= _COMMON:
        return one_hot(values)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return one_hot(np.searchsorted(edges, values, side="right"))


def _of_column(column: Categories, rows: np.ndarray) -> Float32[np.ndarray, "samples values"]:
    """Encode numbers by tenths, with a column for missing ones; words by the most common."""
    numbers = np.full(len(column.names), np.nan)
    for code, name in enumerate(column.names):
        try:
            numbers[code] = float(name)
        except ValueError:
            continue
    codes = column.codes[rows]
    filled = np.array([bool(name) for name in column.names])
    if np.isnan(numbers[filled]).any() or not filled.any():
        return one_hot(codes)
    values = numbers[codes]
    missing = np.isnan(values)
    return np.column_stack([binned(np.where(missing, -1e300, values)), missing]).astype(np.float32)


def _name_patterns(task: AuditedTask, rows: np.ndarray) -> Float32[np.ndarray, "samples patterns"]:
    """Encode file names whose numbers became 0: prefixes, separators, lengths."""
    stems = [PurePath(task.listing.paths[int(index)]).stem for index in task.rows[rows]]
    words = Categories.of([re.sub(r"\d+", "0", stem) for stem in stems])
    lengths = np.array([len(stem) for stem in stems])
    return np.concatenate([one_hot(words.codes), one_hot(lengths), _first_numbers(stems)], axis=1)


def _first_numbers(stems: Sequence[str]) -> Float32[np.ndarray, "samples bins"]:
    found = [re.search(r"\d+", stem) for stem in stems]
    return binned(np.array([float(match[0][:15]) if match else -1.0 for match in found]))


class SampleImages:
    """The images of a task as an `ImageSource`, decoded whenever they are asked for.

    Args:
        task: what they are of.
        samples: the samples; all if left out.
    """

    def __init__(self, task: AuditedTask, samples: Int[np.ndarray, " chosen"] | None = None) -> None:
        self.task = task
        self.samples = np.arange(len(task)) if samples is None else samples

    @property
    def axes(self) -> int:
        """The number of axes, two: a volume is shown as its middle planes side by side."""
        return 2

    def __len__(self) -> int:
        """Number of images."""
        return len(self.samples)

    def hashes(self) -> list[str]:
        """Return the SHA-256 of each file, from the facts."""
        return [row.tobytes().hex() for row in self.task.fact("file")[self.samples]]

    def pixels(self, spec: GridInput) -> Pixels:
        """Return all images as `(images, channels, size, size)`, in memory."""
        images = list(self.stream(spec, np.arange(len(self))))
        wide = any(image.dtype == np.uint16 for image in images)
        return np.stack(
            [image.astype(np.uint16) * 257 if wide and image.dtype == np.uint8 else image for image in images]
        )

    def stream(self, spec: GridInput, rows: Int[np.ndarray, " samples"]) -> Iterator[FittedImage]:
        """Yield the images of these rows in order, each in the type of its file."""
        return in_threads(lambda row: self._fitted(spec, int(row)), rows, _THREADS)

    def squeezed(self, side: int) -> UInt8[np.ndarray, "images side side"]:
        """Return every picture in grey, resized to a square."""
        squares = np.zeros((len(self), side, side), np.uint8)
        for place, square in zip(squares, in_threads(self._squeezed, range(len(self)), _THREADS), strict=True):
            place[:] = square
        return squares

    def picture(self, row: int) -> Image:
        """Return one picture of 8 bits; InputError if it can no longer be read."""
        index = int(self.task.rows[self.samples[row]])
        listing = self.task.listing
        decoded = of_array(listing.array[index]) if listing.array is not None else decode(listing.paths[index])
        picture = decoded.picture
        return picture if picture.dtype == np.uint8 else (percentile_window(picture) >> 8).astype(np.uint8)

    def _fitted(self, spec: GridInput, row: int) -> FittedImage:
        picture = self.picture(row)
        return prepare(picture, spec, picture.dtype)

    def _squeezed(self, row: int) -> UInt8[np.ndarray, "side side"]:
        try:
            picture = self.picture(row)
        except InputError:  # it was readable when it was measured
            return np.zeros((64, 64), np.uint8)
        return thumbnail(picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
