"""Cut a box out of a scan, or put a margin around it."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from medshot.errors import InputError
from medshot.imaging.scan import Scan

Triple = tuple[int, int, int]


def crop(scan: Scan, starts: Triple, stops: Triple) -> Scan:
    """The voxels from `starts` up to `stops`, which is left out, in the order (slice, row, column).

    Raises:
        InputError: the box is empty or reaches out of the scan.
    """
    sides = scan.array.shape[:3]
    if not all(0 <= start < stop <= side for start, stop, side in zip(starts, stops, sides, strict=True)):
        shown = " × ".join(str(side) for side in sides)
        raise InputError(f"starts={starts}, stops={stops} is no box within {shown} voxels; choose one inside.")
    box = tuple(slice(start, stop) for start, stop in zip(starts, stops, strict=True))
    return replace(
        scan,
        array=scan.array[box],
        kind="picture" if scan.kind == "volume" and stops[0] - starts[0] == 1 else scan.kind,
        affine=_moved(scan, starts),
        overlays=None if scan.overlays is None else scan.overlays[box],
    )


def pad(scan: Scan, before: Triple, after: Triple, value: float) -> Scan:
    """The scan with more voxels before and after each axis, in the order (slice, row, column).

    Args:
        scan: any.
        before: how many to put before the first of each axis.
        after: how many to put behind the last.
        value: of the new voxels.

    Raises:
        InputError: a count is negative, or the array's numbers cannot hold the value.
    """
    if min(*before, *after) < 0:
        raise InputError(f"before={before}, after={after} would cut voxels off; give numbers of 0 or more.")
    with np.errstate(over="ignore", invalid="ignore"):
        held = np.array(value).astype(scan.array.dtype)
    if not np.isclose(float(held), value, rtol=1e-6):
        raise InputError(f"value={value} cannot stand among {scan.array.dtype} voxels; choose one that can.")
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
    """The affine once the voxel at `index` is the first."""
    if scan.affine is None:
        return None
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ index
    return affine
