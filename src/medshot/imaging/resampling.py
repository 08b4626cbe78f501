"""Resample scans to another grid of voxels by SimpleITK."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32, Shaped, UInt8

from medshot.errors import InputError
from medshot.imaging.geometry import affine_of, refuse_time, reorient
from medshot.imaging.scan import Scan
from medshot.imaging.volumes.volume import VOLUME_LIMIT

Matrix = Float[np.ndarray, "4 4"]
Shape = tuple[int, int, int]

METHODS = {"nearest": "sitkNearestNeighbor", "linear": "sitkLinear", "cubic": "sitkBSpline3"}
HALF_WIDTHS = 2 * np.sqrt(2 * np.log(2))  # full width at half maximum of a Gaussian of deviation 1
EXACT = 1e-9  # voxels; nearer to a whole number than this is rounding


def resample(
    scan: Scan,
    *,
    spacing: tuple[float, float, float] | None = None,
    like: Scan | None = None,
    interpolation: str = "linear",
) -> Scan:
    """Resample a scan to a given spacing over the same field of view, or to the grid of another scan.

    If the new voxels lie wider apart than the old ones, detail between them would cause false patterns (aliasing). So
    the scan is blurred first, along each of its own axes by as much as its voxels widen there: an old
    voxel is a Gaussian as wide at half maximum as the voxel, and so is the new one (Cardoso et al., "Scale factor
    point spread function matching", 2015). Axis by axis matters in medical scans, since slices are often five times
    as thick as pixels are wide. Brought to common voxels, only the axes within the slice must lose detail; blurred
    alike, the slices would lose what little they have.

    Args:
        scan: a picture or volume.
        spacing: the distances between slices, rows and columns, in millimetres.
        like: the scan whose grid to take. Both scans then need an affine. Outside of `scan` the result has the scan's
            least value.
        interpolation: "nearest" keeps the kind of number and invents no value, as labels need; "linear" and "cubic"
            (B-splines of degree 3) give float32, or float64 where the scan has that or whole numbers of 32 bits or
            more. Masks and overlays are always resampled by "nearest".

    Raises:
        InputError: the scan lacks the affine or spacing that it needs, neither or both of `spacing` and `like` are
            given, or the result would be larger than `VOLUME_LIMIT`.
    """
    refuse_time(scan)
    if (spacing is None) == (like is None):
        raise InputError("resample takes either spacing or like; give one of the two.")
    affine: Matrix | None
    if like is not None:
        affine, shape, steps = affine_of(like), _sides(like), like.spacing
        to_old = np.linalg.inv(affine_of(scan)) @ affine
        to_old = np.where(np.abs(to_old - np.rint(to_old)) < EXACT, np.rint(to_old), to_old)
    else:
        to_old, shape = _finer(scan, spacing or (0, 0, 0))
        affine, steps = None if scan.affine is None else scan.affine @ to_old, spacing or scan.spacing
    if interpolation not in METHODS:
        raise InputError(f"interpolation={interpolation!r} is unknown; choose one of {', '.join(METHODS)}.")
    count = int(np.prod(shape, dtype=object)) * (scan.array.size // max(1, int(np.prod(_sides(scan)))))
    if 8 * count > VOLUME_LIMIT:
        sides = " × ".join(str(side) for side in shape)
        raise InputError(f"Resampled, the scan would have {sides} voxels, which is too large; choose a wider spacing.")
    array = _on_grid(scan.array, to_old, shape, interpolation)
    overlays = None if scan.overlays is None else _on_grid(scan.overlays, to_old, shape, "nearest")
    kind: Literal["volume", "picture"] = "volume" if len(array) > 1 else "picture"
    return replace(scan, array=array, kind=kind, affine=affine, spacing=steps, overlays=overlays)


def _sides(scan: Scan) -> Shape:
    slices, rows, columns = scan.array.shape[:3]
    return slices, rows, columns


def _finer(scan: Scan, spacing: tuple[float, float, float]) -> tuple[Matrix, Shape]:
    """Return the affine to the scan's indices and the shape of the grid of another spacing with the same centre."""
    if not all(0 < step < np.inf for step in spacing):
        raise InputError(f"spacing={spacing} is not possible; give three numbers above 0, in millimetres.")
    old = np.array([np.nan if step is None else step for step in scan.spacing], float)
    if np.isnan(old).any():
        raise InputError("The scan's spacing is unknown, so it cannot be changed; give a scan that has one.")
    ratio = np.array(spacing) / old
    sides = np.array(_sides(scan))
    slices, rows, columns = (max(1, round(min(side, 1e12))) for side in sides / ratio)
    to_old = np.diag([*ratio, 1.0])
    to_old[:3, 3] = (sides - 1) / 2 - ratio * (np.array([slices, rows, columns]) - 1) / 2
    return to_old, (slices, rows, columns)


def _on_grid(
    array: Shaped[np.ndarray, "slices rows columns *colours"],
    to_old: Matrix,
    shape: Shape,
    interpolation: str,
) -> Shaped[np.ndarray, "new_slices new_rows new_columns *colours"]:
    """Return the array on new indices, which `to_old` maps to its own."""
    import SimpleITK as sitk  # slow to import

    if array.ndim == 4:
        colours = [_on_grid(array[..., colour], to_old, shape, interpolation) for colour in range(array.shape[3])]
        return np.stack(colours, axis=-1)
    if array.dtype == bool:
        return _on_grid(array.astype(np.uint8), to_old, shape, "nearest").astype(bool)
    image = sitk.GetImageFromArray(array)
    kind = image.GetPixelID()
    if interpolation != "nearest":
        exact = array.dtype.itemsize > 4 or (array.dtype.itemsize == 4 and array.dtype.kind != "f")
        kind = sitk.sitkFloat64 if exact else sitk.sitkFloat32
        image = _without_detail(image, kind, np.linalg.norm(to_old[:3, :3], axis=1))
    map_back = sitk.AffineTransform(3)  # ITK counts (column, row, slice)
    map_back.SetMatrix(to_old[2::-1, 2::-1].ravel().tolist())
    map_back.SetTranslation(to_old[2::-1, 3].tolist())
    origin, steps, axes = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), tuple(np.eye(3).ravel().tolist())
    outside = float(array.min())
    method = getattr(sitk, METHODS[interpolation])
    resampled = sitk.Resample(image, shape[::-1], map_back, method, origin, steps, axes, outside, kind)
    return sitk.GetArrayFromImage(resampled)


def _without_detail(image: Any, kind: int, widening: Float[np.ndarray, "3"]) -> Any:
    """Blur what voxels `widening` times as wide, by (slice, row, column), cannot show of an image of SimpleITK."""
    import SimpleITK as sitk  # slow to import

    variance = np.maximum(widening**2 - 1, 0) / HALF_WIDTHS**2
    if variance.max() < EXACT:
        return image
    widest = int(2 * np.ceil(4 * np.sqrt(variance.max())) + 1)
    return sitk.DiscreteGaussian(sitk.Cast(image, kind), variance[::-1].tolist(), widest, 0.01, False)


CANONICAL = "SPL"  # as axial slices are shown: from the feet up, front on top, the patient's right on the left


def fit_volume(scan: Scan, size: int) -> UInt8[np.ndarray, "size size size"] | Float32[np.ndarray, "size size size"]:
    """Fit a scan into a cube: reorient it to slices from the feet up, make it isotropic, and pad it with 0.

    Proportions are kept in millimetres, and the longest side fills the cube. If the position in the patient is unknown,
    the scan is not reoriented; if a spacing is unknown, voxels count as cubes. Since the padding is 0, first bring the
    values to a range that starts at 0, for example by a window.

    Args:
        scan: a grey picture or volume.
        size: voxels per side of the cube.

    Returns:
        uint8 if the scan is uint8, otherwise float32.

    Raises:
        InputError: the scan is in colour or has an axis of time, or the size is below 1.
    """
    refuse_time(scan)
    if scan.array.ndim != 3:
        raise InputError("The scan is in colour, and a cube is grey; take one of its colours.")
    if size < 1:
        raise InputError(f"size={size} is not the size of a cube; give 1 or more.")
    if scan.affine is not None:
        scan = reorient(scan, CANONICAL)
    known = [step for step in scan.spacing if step is not None]
    steps = np.array(known if len(known) == 3 else [1.0, 1.0, 1.0])
    slices, rows, columns = steps.tolist()
    scan = replace(scan, spacing=(slices, rows, columns), overlays=None)
    step = float((steps * scan.array.shape).max()) / size
    fitted = resample(scan, spacing=(step, step, step)).array
    cube = np.zeros((size, size, size), np.uint8 if scan.array.dtype == np.uint8 else np.float32)
    middle = tuple(slice((size - side) // 2, (size - side) // 2 + side) for side in fitted.shape)
    cube[middle] = np.rint(fitted) if cube.dtype == np.uint8 else fitted
    return cube
