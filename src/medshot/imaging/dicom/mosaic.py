"""Unfold a mosaic: a picture of an MR scanner that holds all slices of a volume side by side.

Siemens scanners write them; the position that the file gives is that of the mosaic as if it were one large slice
(https://nipy.org/nibabel/dicom/dicom_mosaic.html).
"""

import math
import struct
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Shaped
from pydicom.dataset import FileDataset

from medshot.imaging.dicom.geometry import SliceGeometry
from medshot.imaging.dicom.header import Unsuitable
from medshot.process import capture_warnings

_SIEMENS, _IMAGES_IN_MOSAIC = "SIEMENS MR HEADER", 0x0A
_REMEDY = "export its slices one by one, or convert the series to NIfTI with dcm2niix"


def slices_in_mosaic(dataset: FileDataset, frames: int, modality: str) -> int:
    """Return the number of slices in a mosaic; 0 if the file is not one.

    Raises:
        Unsuitable: it is a mosaic whose slices cannot be found.
    """
    kinds = {str(word).strip().upper() for word in dataset.get("ImageType") or ()}
    count = _count(dataset, by_scanner="MOSAIC" in kinds)
    if modality != "MR" or (count < 2 and not kinds & {"MOSAIC", "VFRAME"}):
        return 0
    if count < 1 or "VFRAME" in kinds or frames > 1:
        raise Unsuitable(f"is a mosaic of several slices and does not say how many they are; {_REMEDY}")
    side = math.ceil(math.sqrt(count))
    if int(dataset.Rows) % side or int(dataset.Columns) % side:
        raise Unsuitable(f"is a mosaic of {count} slices, which do not fit into its pixels; {_REMEDY}")
    return count


def unfold(picture: Shaped[np.ndarray, "one rows columns"], count: int) -> Shaped[np.ndarray, "slices height width"]:
    """Return the slices of a mosaic, row by row; the last places may be empty."""
    side = math.ceil(math.sqrt(count))
    _, rows, columns = picture.shape
    tiles = picture[0].reshape(side, rows // side, side, columns // side)
    return np.ascontiguousarray(tiles.swapaxes(1, 2).reshape(-1, rows // side, columns // side)[:count])


def places_in_mosaic(
    dataset: FileDataset, mosaic: SliceGeometry | None, count: int, assumed: list[str]
) -> tuple[SliceGeometry, ...]:
    """Return the geometry of each slice.

    Args:
        dataset: the file.
        mosaic: the geometry that the file gives.
        count: the number of slices.
        assumed: assumptions are appended here.

    Raises:
        Unsuitable: the geometry or the distance of slices is missing.
    """
    if mosaic is None or mosaic.depth is None:
        raise Unsuitable(f"is a mosaic of {count} slices without their position or distance; {_REMEDY}")
    side = math.ceil(math.sqrt(count))
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    first = (
        mosaic.position
        + mosaic.down * mosaic.spacing[0] * (rows - rows // side) / 2
        + mosaic.across * mosaic.spacing[1] * (columns - columns // side) / 2
    )
    normal = _normal(dataset)
    assumed.append(f"The file is a mosaic of {count} slices, which were taken apart.")
    if normal is None:
        normal = mosaic.normal
        assumed.append("The mosaic does not give the direction from slice to slice; the usual one was assumed.")
    return tuple(replace(mosaic, position=first + index * mosaic.depth * normal) for index in range(count))


def _count(dataset: FileDataset, by_scanner: bool) -> int:
    """Return the private element NumberOfImagesInMosaic, if asked also from the scanner's header; 0 if missing."""
    try:
        value = dataset.private_block(0x0019, _SIEMENS)[_IMAGES_IN_MOSAIC].value
        if isinstance(value, bytes):  # its type is unknown in a file of implicit types
            return int(struct.unpack("<H", value[:2])[0]) if len(value) == 2 else int(value)
        return int(value)
    except (KeyError, ValueError, TypeError):
        pass
    found = _from_csa(dataset, "get_n_mosaic") if by_scanner else None
    return int(found) if found else 0


def _normal(dataset: FileDataset) -> np.ndarray | None:
    normal = _from_csa(dataset, "get_slice_normal")
    if normal is None or not 0.9 < float(np.linalg.norm(normal)) < 1.1:
        return None
    return np.asarray(normal, float)


def _from_csa(dataset: FileDataset, function: str) -> Any:
    """Return what a function of nibabel finds in the scanner's own header; None if that is missing or damaged."""
    try:
        with capture_warnings():  # importing it warns
            from nibabel.nicom import csareader

            header = csareader.get_csa_header(dataset, "image")
            return None if header is None else getattr(csareader, function)(header)
    except Exception:  # nibabel raises nearly anything on damaged bytes
        return None
