"""Convert between voxel indices and positions in the patient; crop, pad and reorient scans."""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from medshot.errors import InputError
from medshot.imaging.scan import Scan


def to_world(scan: Scan, indices: Num[np.ndarray, "*points 3"]) -> Float[np.ndarray, "*points 3"]:
    """Return the positions of voxels in the patient.

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
    """Return the fractional index (slice, row, column) of positions in the patient: the inverse of `to_world`.

    Args:
        scan: with an affine.
        points: millimetres to the right, front and top of the patient (RAS).

    Raises:
        InputError: the scan has no affine.
    """
    affine = affine_of(scan)
    return (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T


def affine_of(scan: Scan) -> Float[np.ndarray, "4 4"]:
    """Return the affine of a scan in space; InputError if it has none."""
    refuse_time(scan)
    if scan.affine is None:
        raise InputError(
            "The scan has no affine: its file does not give its position in the patient; use one that does."
        )
    return scan.affine


def refuse_time(scan: Scan) -> None:
    """Raise InputError if an axis of the scan is time."""
    if scan.kind in ("frames", "waveform"):
        raise InputError(f"The scan holds {scan.kind}, not a picture or a volume in space; take single frames of it.")


Triple = tuple[int, int, int]


def crop(scan: Scan, starts: Triple, stops: Triple) -> Scan:
    """Return the voxels from `starts` up to but excluding `stops`, in the order (slice, row, column).

    Raises:
        InputError: the box is empty or reaches out of the scan.
    """
    sides = scan.array.shape[:3]
    if not all(0 <= start < stop <= side for start, stop, side in zip(starts, stops, sides, strict=True)):
        size = " × ".join(str(side) for side in sides)
        raise InputError(f"starts={starts}, stops={stops} is not a box within {size} voxels; choose one inside.")
    box = tuple(slice(start, stop) for start, stop in zip(starts, stops, strict=True))
    return replace(
        scan,
        array=scan.array[box],
        kind="picture" if scan.kind == "volume" and stops[0] - starts[0] == 1 else scan.kind,
        affine=_moved(scan, starts),
        overlays=None if scan.overlays is None else scan.overlays[box],
    )


def pad(scan: Scan, before: Triple, after: Triple, value: float) -> Scan:
    """Return the scan padded before and after each axis, in the order (slice, row, column).

    Args:
        scan: any scan.
        before: the number of voxels to add before each axis.
        after: the number of voxels to add after each axis.
        value: the value of the new voxels.

    Raises:
        InputError: a count is negative, or the array's numbers cannot hold the value.
    """
    if min(*before, *after) < 0:
        raise InputError(f"before={before}, after={after} would cut voxels off; give numbers of 0 or more.")
    with np.errstate(over="ignore", invalid="ignore"):
        held = np.array(value).astype(scan.array.dtype)
    if not np.isclose(float(held), value, rtol=1e-6):
        raise InputError(f"value={value} cannot be stored in {scan.array.dtype} voxels; choose one that can.")
    margins = list(zip(before, after, strict=True))
    beyond = [(0, 0)] * (scan.array.ndim - 3)
    array = np.pad(scan.array, margins + beyond, constant_values=held)
    return replace(
        scan,
        array=array,
        kind="volume" if scan.kind == "picture" and len(array) > 1 else scan.kind,
        affine=_moved(scan, (-before[0], -before[1], -before[2])),
        overlays=None if scan.overlays is None else np.pad(scan.overlays, margins),
    )


def _moved(scan: Scan, index: Triple) -> Float[np.ndarray, "4 4"] | None:
    """Return the affine after the voxel at `index` has become the first."""
    if scan.affine is None:
        return None
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ index
    return affine


OPPOSITE = ("RL", "AP", "SI")


def orientation(scan: Scan) -> str:
    """Return the directions of slices, rows and columns: three letters of R(ight), L(eft), A, P, S(uperior), I.

    An oblique axis has the letter of the nearest direction; no two axes share a letter.

    Raises:
        InputError: the scan has no affine.
    """
    from nibabel.orientations import io_orientation, ornt2axcodes  # slow to import

    return "".join(ornt2axcodes(io_orientation(affine_of(scan))))


def reorient(scan: Scan, target: str) -> Scan:
    """Return the same voxels with axes in another order and direction; no voxel is resampled or moved.

    Args:
        scan: with an affine.
        target: the wanted directions of slices, rows and columns, one of 48 orientations such as "SPL".

    Raises:
        InputError: the scan has no affine, or the target is not an orientation.
    """
    from nibabel import orientations  # slow to import

    affine = affine_of(scan)
    if len(target) != 3 or not all(len(set(target) & set(pair)) == 1 for pair in OPPOSITE):
        raise InputError(f"{target!r} is not an orientation; give three letters, one of each of R/L, A/P and S/I.")
    turn = orientations.ornt_transform(orientations.io_orientation(affine), orientations.axcodes2ornt(tuple(target)))
    order = np.argsort(turn[:, 0]).astype(int)

    def turned(array: Any) -> np.ndarray:
        return np.ascontiguousarray(orientations.apply_orientation(array, turn))

    array = turned(scan.array)
    slices, rows, columns = (scan.spacing[axis] for axis in order)
    return replace(
        scan,
        array=array,
        kind="volume" if len(array) > 1 else "picture",
        affine=affine @ orientations.inv_ornt_aff(turn, scan.array.shape[:3]),
        spacing=(slices, rows, columns),
        overlays=None if scan.overlays is None else turned(scan.overlays),
    )
