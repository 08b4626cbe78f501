"""Which way the axes of a scan run in the patient, and the same scan with axes that run another way."""

from dataclasses import replace
from typing import Any

import numpy as np
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt2axcodes,
    ornt_transform,
)

from medshot.errors import InputError
from medshot.imaging.geometry.world import affine_of
from medshot.imaging.scan import Scan

OPPOSITE = ("RL", "AP", "SI")


def orientation(scan: Scan) -> str:
    """Where slices, rows and columns run to: three letters of R(ight), L(eft), A(nterior), P(osterior), S(uperior), I.

    An oblique axis has the letter of the direction nearest to it, no two axes the same.

    Raises:
        InputError: the scan has no affine.
    """
    return "".join(ornt2axcodes(io_orientation(affine_of(scan))))


def reorient(scan: Scan, target: str) -> Scan:
    """The same voxels with axes in another order and direction: nothing is resampled, and each keeps its place.

    Args:
        scan: with an affine.
        target: where slices, rows and columns are to run to, one of the 48 that `orientation` may give, such as "SPL".

    Raises:
        InputError: the scan has no affine, or the target is no orientation.
    """
    affine = affine_of(scan)
    if len(target) != 3 or not all(len(set(target) & set(pair)) == 1 for pair in OPPOSITE):
        raise InputError(f"{target!r} is no orientation; give three letters, one of each of R/L, A/P and S/I.")
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(target)))
    order = np.argsort(turn[:, 0]).astype(int)

    def turned(array: Any) -> np.ndarray:
        return np.ascontiguousarray(apply_orientation(array, turn))

    array = turned(scan.array)
    slices, rows, columns = (scan.spacing[axis] for axis in order)
    return replace(
        scan,
        array=array,
        kind="volume" if len(array) > 1 else "picture",
        affine=affine @ inv_ornt_aff(turn, scan.array.shape[:3]),
        spacing=(slices, rows, columns),
        overlays=None if scan.overlays is None else turned(scan.overlays),
    )
