"""Decoding for the audit: one path to one picture, with what its header contains."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Shaped, UInt8

from medshot.audit.jpeg import jpeg_quality
from medshot.deidentify import identifying_content
from medshot.imaging.display import display
from medshot.imaging.ecg import ecg_page
from medshot.imaging.formats import NPZ, formats_holding, has_name_of
from medshot.imaging.inspection import notable
from medshot.imaging.npz import read_volume, split_member
from medshot.imaging.opening import read
from medshot.imaging.pictures import animation_of
from medshot.imaging.pseudonyms import CannotClean
from medshot.imaging.reading import read_content, read_image
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
        assumed: what reading it had to assume, one sentence each.
    """

    picture: Image
    content: Shaped[np.ndarray, "..."]
    spacing: tuple[float, float] = (0.0, 0.0)
    modality: str = ""
    burnt_in: bool = False
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Header:
    """The number of identifying entries in the header of a file, and its compression.

    Args:
        names: places that name the patient or give a number of theirs.
        traces: other places that identify: dates, devices, institutions, free text.
        quality: of a JPEG, 1 to 100; 0 for other files.
    """

    names: int
    traces: int
    quality: int = 0


NO_HEADER = Header(0, 0)


def header_of(content: bytes) -> Header:
    """Count the identifying entries in the header of a file, and find its JPEG quality, given its bytes."""
    quality = jpeg_quality(content)
    try:
        kinds = [place.kind for place in identifying_content(content)]
    except CannotClean:  # its format has no header that is searched
        return Header(0, 0, quality)
    named = sum(kind in ("name", "identifier") for kind in kinds)
    return Header(named, len(kinds) - named, quality)


def decode(path: str) -> Decoded:
    """Decode an image of any format; InputError if it cannot be read."""
    file, _ = split_member(Path(path))
    if has_name_of(file, *formats_holding("picture")):
        picture = read_image(file)
        return Decoded(picture, picture, assumed=animation_of(read_content(file)))
    if has_name_of(file, NPZ):
        return of_array(read_volume(path))
    scan = read(path)
    if scan.kind == "waveform":
        return Decoded(ecg_page(scan), scan.array, modality=scan.modality, assumed=notable(scan.assumed))
    image = of_array(display(scan) if len(scan.array) > 1 else display(scan)[0])
    rows, columns = (step or 0.0 for step in scan.spacing[1:])
    assumed = notable(scan.assumed)
    return Decoded(image.picture, scan.array, (rows, columns), scan.modality, scan.burnt_in is True, assumed)


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


def thumbnail(grey: UInt8[np.ndarray, "height width"], side: int = 64) -> UInt8[np.ndarray, "side side"]:
    """Resize a picture to a square, since its shape tells nothing about what was cropped."""
    method = cv2.INTER_AREA if min(grey.shape) > side else cv2.INTER_LINEAR
    return cv2.resize(grey, (side, side), interpolation=method)
