"""Where the voxels of a file lie in the patient: affine and spacing, judged."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from medshot.errors import InputError

Affine = Float[np.ndarray, "4 4"]
Spacing = tuple[float | None, float | None, float | None]

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
LEAST_VOLUME = 1e-6  # of the box that three axes of length 1 span
RIGHT_ANGLE = 1e-3  # cosine up to which rounding explains the difference


@dataclass(frozen=True)
class Place:
    """Affine and spacing of a scan, as `Scan` has them, and what had to be assumed for them."""

    affine: Affine | None
    spacing: Spacing
    assumed: tuple[str, ...] = ()


def place_of(path: Path, affine: Affine, assumed: tuple[str, ...] = ()) -> Place:
    """The place that a file's own affine gives.

    Args:
        path: the file, for the sentence of an error.
        affine: from the file's index `(i, j, k, 1)`, i fastest, to RAS millimetres.
        assumed: what was assumed so far.

    Raises:
        InputError: the affine is not finite, or its axes do not span a volume.
    """
    if not np.isfinite(affine).all():
        raise InputError(f"{path} has an affine with numbers that are not finite; mend its header.")
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        axes = affine[:3, :3] / np.where(lengths > 0, lengths, 1)
        volume = abs(np.linalg.det(axes)) if np.isfinite(lengths).all() else 0.0
    if lengths.min() <= 0 or not volume > LEAST_VOLUME:
        raise InputError(f"{path} has a singular affine, whose axes span no volume; mend its header.")
    cosine = np.abs(axes.T @ axes - np.eye(3)).max()
    if cosine > RIGHT_ANGLE:
        degrees = np.rad2deg(np.arcsin(min(1.0, cosine)))
        assumed = (*assumed, f"The axes are sheared, {degrees:.1f} degrees off the right angle; they were kept.")
    return Place(affine[:, [2, 1, 0, 3]], _three(lengths), assumed)


def unplaced(path: Path, spacing: list[float] | None, assumed: tuple[str, ...]) -> Place:
    """A place of which only the spacing along (i, j) or (i, j, k) is known, or nothing.

    Raises:
        InputError: a spacing is zero, negative or not finite.
    """
    if spacing is None:
        return Place(None, (None, None, None), assumed)
    refuse_spacing(path, spacing)
    return Place(None, _three(spacing), assumed)


def refuse_spacing(path: Path, spacing: list[float]) -> None:
    """InputError where a spacing is zero, negative or not finite."""
    if not all(0 < step < np.inf for step in spacing):
        shown = " × ".join(f"{step:g}" for step in spacing)
        raise InputError(f"{path} has a voxel spacing of {shown}; mend its header.")


def _three(along: Float[np.ndarray, " axes"] | list[float]) -> Spacing:
    """Spacing along (i, j, k) or (i, j) in the order (slice, row, column)."""
    slices, rows, columns = [None] * (3 - len(along)) + [float(step) for step in reversed(along)]
    return slices, rows, columns
