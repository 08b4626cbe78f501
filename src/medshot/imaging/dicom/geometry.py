"""Read the position of slices in the patient (PS3.3 C.7.6.2) and order them along their normal.

DICOM uses LPS coordinates in millimetres (left, posterior, superior); a `Scan` uses RAS (right, anterior, superior).
"""

import math
import operator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from pydicom.dataset import Dataset

from medshot.imaging.dicom.header import Unsuitable, first_item, number, numbers

Vector = Float[np.ndarray, "3"]

_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SAME_PLACE = 1e-3  # millimetres
_EVEN = 0.01  # of the spacing; scanners round positions to some micrometres
_DIRECTION = 1e-3  # largest difference of a direction's parts


@dataclass(frozen=True)
class SliceGeometry:
    """The position, orientation and spacing of one slice.

    Args:
        position: the centre of the first pixel, in millimetres (LPS).
        down: the unit vector along which the row index grows.
        across: the unit vector along which the column index grows.
        spacing: the distances between rows and between columns, in millimetres.
        depth: the distance between slices according to the file, in millimetres, or None.
    """

    position: Vector
    down: Vector
    across: Vector
    spacing: tuple[float, float]
    depth: float | None

    @property
    def normal(self) -> Vector:
        """Return the unit vector perpendicular to the slice."""
        return np.cross(self.across, self.down)

    def affine(self, step: Vector) -> Float[np.ndarray, "4 4"]:
        """Return the affine from (slice, row, column) to RAS; `step` leads from slice to slice, in LPS."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.stack([step, self.down * self.spacing[0], self.across * self.spacing[1]], axis=1)
        matrix[:3, 3] = self.position
        return _TO_RAS @ matrix


@dataclass(frozen=True)
class Stack:
    """An ordered stack of slices.

    Args:
        order: the index of the picture of each slice.
        affine: from (slice, row, column) to RAS.
        spacing: between slices, rows and columns; the first is None for a single slice without a thickness.
    """

    order: list[int]
    affine: Float[np.ndarray, "4 4"]
    spacing: tuple[float | None, float, float]


def pixel_spacing(dataset: Dataset, assumed: list[str]) -> tuple[float | None, float | None]:
    """Return the distances between rows and columns in millimetres, at the detector if nothing better is known."""
    for keyword, remark in (
        ("PixelSpacing", ""),
        ("ImagerPixelSpacing", "ImagerPixelSpacing was used: it is measured at the detector, the patient is magnified"),
        ("NominalScannedPixelSpacing", "NominalScannedPixelSpacing was used: it is measured on the scanned film"),
    ):
        found = numbers(dataset, keyword, 2)
        if found is not None and min(found) > 0:
            if remark:
                assumed.append(f"PixelSpacing is missing; {remark}.")
            return found[0], found[1]
    region = first_item(dataset, "SequenceOfUltrasoundRegions")
    if region is not None and region.get("PhysicalUnitsXDirection") == region.get("PhysicalUnitsYDirection") == 3:
        down, across = number(region, "PhysicalDeltaY"), number(region, "PhysicalDeltaX")
        if down and across:
            assumed.append("The spacing is that of the first ultrasound region.")
            return 10 * abs(down), 10 * abs(across)
    if dataset.get("PixelSpacing") not in (None, ""):
        assumed.append(f"PixelSpacing {dataset.get('PixelSpacing')} is impossible and was ignored.")
    return None, None


def slice_geometry(
    dataset: Dataset, spacing: tuple[float | None, float | None], assumed: list[str]
) -> SliceGeometry | None:
    """Return the geometry of a slice; None if it is missing or impossible."""
    position, orientation = numbers(dataset, "ImagePositionPatient", 3), numbers(dataset, "ImageOrientationPatient", 6)
    if position is None or orientation is None or spacing[0] is None or spacing[1] is None:
        return None
    across, down = orientation[:3], orientation[3:]
    lengths = math.hypot(*across), math.hypot(*down)
    lean = abs(sum(map(operator.mul, across, down)))
    if min(lengths) < 0.5 or lean > 0.01 * lengths[0] * lengths[1] or max(map(abs, position)) > 1e6:
        assumed.append("ImageOrientationPatient is not a pair of perpendicular directions; the position was ignored.")
        return None
    between, thickness = number(dataset, "SpacingBetweenSlices"), number(dataset, "SliceThickness")
    depth = between or thickness
    return SliceGeometry(
        np.array(position),
        np.array(down) / lengths[1],
        np.array(across) / lengths[0],
        (spacing[0], spacing[1]),
        abs(depth) if depth else None,
    )


def stack(places: list[SliceGeometry], what: str, assumed: list[str]) -> Stack:
    """Order slices along their normal, and report gaps, uneven steps and tilt.

    Args:
        places: the geometry of slices of equal size, no two at the same position.
        what: a plural noun for the slices, used in messages.
        assumed: assumptions are appended here.

    Raises:
        Unsuitable: the slices have several orientations or spacings, or lie side by side.
    """
    first = places[0]
    directions = np.array([(place.down, place.across) for place in places])
    if np.abs(directions - directions[0]).max() > _DIRECTION:
        raise Unsuitable(f"holds {what} of several orientations; keep those of one orientation")
    if not np.allclose([place.spacing for place in places], first.spacing, rtol=1e-3):
        raise Unsuitable(f"holds {what} of several pixel spacings; keep those of one spacing")
    heights = np.array([place.position for place in places]) @ first.normal
    order = [int(index) for index in np.argsort(heights, kind="stable")]
    if len(order) == 1:
        if first.depth is None:
            assumed.append("The file names no slice thickness; the affine's first axis is one millimetre.")
        elif what != "pictures":
            assumed.append("There is one slice; its thickness was taken as the spacing of slices.")
        return Stack(order, first.affine(first.normal * (first.depth or 1.0)), (first.depth, *first.spacing))
    if np.diff(heights[order]).min() < _SAME_PLACE:
        raise Unsuitable(f"holds {what} side by side at one height (stations or tiles); keep one at each height")
    bottom, top = places[order[0]], places[order[-1]]
    step = (top.position - bottom.position) / (len(order) - 1)
    _name_uneven(np.diff(heights[order]), what, assumed)
    _name_tilt(step, bottom, places, order, assumed)
    return Stack(order, bottom.affine(step), (float(np.linalg.norm(step)), *first.spacing))


def coincident(places: list[SliceGeometry]) -> list[list[int]]:
    """Return groups of two or more slices at the same position, in order of first appearance."""
    positions = np.array([place.position for place in places]) / _SAME_PLACE
    directions = np.array([(place.across, place.down) for place in places])
    normals = np.cross(directions[:, 0], directions[:, 1]) / _DIRECTION
    groups: dict[tuple[float, ...], list[int]] = {}
    for index, where in enumerate(np.rint(np.hstack([positions, normals]))):
        groups.setdefault(tuple(where.tolist()), []).append(index)
    return [group for group in groups.values() if len(group) > 1]


def _name_uneven(steps: Float[np.ndarray, " steps"], what: str, assumed: list[str]) -> None:
    usual = float(np.median(steps))
    wide = np.abs(steps - usual) > max(_EVEN * usual, 2 * _SAME_PLACE)
    if not wide.any():
        return
    multiples = steps / usual
    if usual > 0 and (np.abs(multiples - np.rint(multiples)) < 0.05).all() and multiples.min() > 0.9:
        missing = int(np.rint(multiples - 1).sum())
        after = int(np.argmax(multiples)) + 1
        assumed.append(
            f"A gap: {missing} of the {what} seem to be missing, the first after slice {after}; the affine is even "
            "from end to end and wrong in between."
        )
        return
    assumed.append(
        f"The {what} lie unevenly, {steps.min():.3g} to {steps.max():.3g} mm apart; the affine is even from end to end "
        "and wrong in between."
    )


def _name_tilt(
    step: Vector, bottom: SliceGeometry, places: list[SliceGeometry], order: list[int], assumed: list[str]
) -> None:
    along = float(step @ bottom.normal)
    aside = float(np.linalg.norm(step - along * bottom.normal))
    if aside > 1e-3 * abs(along) + 1e-6:
        degrees = np.degrees(np.arctan2(aside, along))
        assumed.append(f"The stack leans by {degrees:.1f}° (gantry tilt); the affine is sheared accordingly.")
    on_line = bottom.position + np.arange(len(order))[:, None] * step
    off = np.array([places[index].position for index in order]) - on_line
    off -= np.outer(off @ bottom.normal, bottom.normal)
    if np.abs(off).max() > 0.1 * min(bottom.spacing) + _SAME_PLACE:
        assumed.append(f"Slices lie up to {np.abs(off).max():.3g} mm beside the stack's straight line.")
