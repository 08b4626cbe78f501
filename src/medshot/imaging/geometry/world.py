"""From indices of voxels to places in the patient, and back."""

import numpy as np
from jaxtyping import Float, Num

from medshot.errors import InputError
from medshot.imaging.scan import Scan


def to_world(scan: Scan, indices: Num[np.ndarray, "*points 3"]) -> Float[np.ndarray, "*points 3"]:
    """Where voxels lie in the patient.

    Args:
        scan: with an affine.
        indices: (slice, row, column); fractions lie between voxels.

    Returns:
        Millimetres to the right, front and top of the patient (RAS).

    Raises:
        InputError: the scan has no affine.
    """
    affine = affine_of(scan)
    return indices @ affine[:3, :3].T + affine[:3, 3]


def to_index(scan: Scan, points: Num[np.ndarray, "*points 3"]) -> Float[np.ndarray, "*points 3"]:
    """Which index (slice, row, column), with fractions, a place in the patient has: undoes `to_world`.

    Args:
        scan: with an affine.
        points: millimetres to the right, front and top of the patient (RAS).

    Raises:
        InputError: the scan has no affine.
    """
    affine = affine_of(scan)
    return (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T


def affine_of(scan: Scan) -> Float[np.ndarray, "4 4"]:
    """The affine of a scan in space; InputError where it has none."""
    refuse_time(scan)
    if scan.affine is None:
        raise InputError("The scan has no affine: its file does not tell its place in the patient; use one that does.")
    return scan.affine


def refuse_time(scan: Scan) -> None:
    """InputError where an axis of the scan is time."""
    if scan.kind in ("frames", "waveform"):
        raise InputError(f"The scan holds {scan.kind}, not a picture or a volume in space; take single frames of it.")
