"""Decoding for the audit: one path to one picture with what its header contains; and the search for crops."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, Int64, Shaped, UInt8

from medshot.deidentify import identifying_content
from medshot.imaging.display import display
from medshot.imaging.ecg import ecg_page
from medshot.imaging.formats import NPZ, formats_holding, has_name_of
from medshot.imaging.npz import parted, read_volume
from medshot.imaging.opening import read
from medshot.imaging.pseudonyms import CannotClean
from medshot.imaging.reading import read_image
from medshot.imaging.scan import Image


@dataclass(frozen=True)
class Decoded:
    """A picture and what its file contains about it.

    Args:
        picture: what there is to see, grey or RGB.
        content: the values that identify it, as they were decoded.
        spacing: millimetres from row to row and column to column; 0 if unknown.
        modality: as DICOM abbreviates it; "" if unknown.
        burnt_in: whether the header states that text is burnt into its pixels.
    """

    picture: Image
    content: Shaped[np.ndarray, "..."]
    spacing: tuple[float, float] = (0.0, 0.0)
    modality: str = ""
    burnt_in: bool = False


@dataclass(frozen=True)
class Header:
    """How many identifying entries the header of a file has.

    Args:
        names: places that name the patient or give a number of theirs.
        traces: other places that identify: dates, devices, institutions, free text.
    """

    names: int
    traces: int


NO_HEADER = Header(0, 0)


def header_of(content: bytes) -> Header:
    """Count the identifying entries in the header of a file, given its bytes."""
    try:
        kinds = [place.kind for place in identifying_content(content)]
    except CannotClean:  # it is of no kind whose header is known
        return NO_HEADER
    named = sum(kind in ("name", "identifier") for kind in kinds)
    return Header(named, len(kinds) - named)


def decode(path: str) -> Decoded:
    """Decode an image of any format; InputError if it cannot be read."""
    file, _ = parted(Path(path))
    if has_name_of(file, *formats_holding("picture")):
        picture = read_image(file)
        return Decoded(picture, picture)
    if has_name_of(file, NPZ):
        return of_array(read_volume(path))
    scan = read(path)
    if scan.kind == "waveform":
        return Decoded(ecg_page(scan), scan.array, modality=scan.modality)
    shown = of_array(display(scan) if len(scan.array) > 1 else display(scan)[0])
    rows, columns = (step or 0.0 for step in scan.spacing[1:])
    return Decoded(shown.picture, scan.array, (rows, columns), scan.modality, scan.burnt_in is True)


def of_array(image: Shaped[np.ndarray, "..."]) -> Decoded:
    """Make a picture of one image of an array: the middle planes of a volume side by side, the middle colour frame."""
    if image.ndim == 2 or image.shape[-1] == 3:
        return Decoded(image, image)
    if image.ndim == 4:
        return Decoded(image[len(image) // 2], image)
    planes = [image.take(side // 2, axis=axis) for axis, side in enumerate(image.shape)]
    height = max(plane.shape[0] for plane in planes)
    padded = [np.pad(plane, ((0, height - plane.shape[0]), (0, 0))) for plane in planes]
    return Decoded(np.concatenate(padded, axis=1), image)


_BLOCK = 1024  # whole images compared at once
SIDE = 20  # pixels: what correlation is taken of
KEPT = np.arange(0.5, 1.0, 0.02)  # shares of one side that a crop keeps
_LEAST = 0.97  # correlation of an image and its crop
_STANDS_OUT = 0.4  # of the distance to the next best

Thumbnails = UInt8[np.ndarray, "images side side"]


def cropped_pairs(
    whole: Thumbnails, cut: Thumbnails, apart: Int64[np.ndarray, " whole"], other: Int64[np.ndarray, " cut"]
) -> Int64[np.ndarray, "pairs 2"]:
    """Find pairs (i, j) where `cut[j]` is `whole[i]` less equal strips on two opposite sides.

    Sets of square pictures are made in this way (MedMNIST from the films of Kermany, for example). The correlation must
    be 0.97 and stand out: its distance from 1 is less than 0.4 of that of the next best. Neighbouring slices of a scan,
    and pages of one layout, are all near each other and so do not stand out.

    Measured: of 1,050 films of Kermany's set, 96 % are found in PneumoniaMNIST, all with the same diagnosis there.

    Args:
        whole: squeezed to squares of at least 28 pixels.
        cut: the same.
        apart: only images with another number here are compared,
        other: and there.
    """
    if not len(whole):
        return np.empty((0, 2), np.int64)
    targets = _normalised(_sized(cut))
    blocks = range(0, len(whole), _BLOCK)
    found = [
        _stand_out(whole[k : k + _BLOCK], targets, apart[k : k + _BLOCK], other) + np.array([k, 0]) for k in blocks
    ]
    return np.concatenate(found)


def _stand_out(
    whole: Thumbnails,
    targets: Float32[np.ndarray, "cut values"],
    apart: Int64[np.ndarray, " whole"],
    other: Int64[np.ndarray, " cut"],
) -> Int64[np.ndarray, "pairs 2"]:
    """Find the best match of each whole image at any crop, if it is good and no other is nearly as good."""
    best = np.full(len(whole), -1, np.float32)
    second, match = best.copy(), np.zeros(len(whole), np.int64)
    for views in _views(whole):
        likeness = _normalised(views) @ targets.T
        likeness[apart[:, None] == other[None]] = -1
        column = likeness.argmax(axis=1)
        rows = np.arange(len(whole))
        top = likeness[rows, column]
        likeness[rows, column] = -1
        runner_up = likeness.max(axis=1)
        better = top > best
        # what was best before may have been this very image, at another crop
        second = np.maximum(second, runner_up)
        second = np.where(better & (column != match), np.maximum(second, best), second)
        second = np.where(~better & (column != match), np.maximum(second, top), second)
        match, best = np.where(better, column, match), np.maximum(best, top)
    stands_out = (best >= _LEAST) & (1 - best <= _STANDS_OUT * (1 - second))
    found = np.flatnonzero(stands_out)
    return np.stack([found, match[found]], axis=1)


def thumbnail(grey: UInt8[np.ndarray, "height width"], side: int = 64) -> UInt8[np.ndarray, "side side"]:
    """Resize a picture to a square, since its shape tells nothing about what was cropped."""
    method = cv2.INTER_AREA if min(grey.shape) > side else cv2.INTER_LINEAR
    return cv2.resize(grey, (side, side), interpolation=method)


def _views(whole: Thumbnails) -> Iterator[Float32[np.ndarray, "images small small"]]:
    yield _sized(whole)
    side = whole.shape[1]
    for share in KEPT:
        kept = round(side * share)
        edge = (side - kept) // 2
        yield _sized(whole[:, :, edge : edge + kept])
        yield _sized(whole[:, edge : edge + kept])


def _sized(images: Sequence[np.ndarray] | np.ndarray) -> Float32[np.ndarray, "images small small"]:
    small = [cv2.resize(np.ascontiguousarray(image), (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in images]
    return np.stack(small).astype(np.float32)


def _normalised(images: Float32[np.ndarray, "images small small"]) -> Float32[np.ndarray, "images values"]:
    values = images.reshape(len(images), -1)
    values = values - values.mean(axis=1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
