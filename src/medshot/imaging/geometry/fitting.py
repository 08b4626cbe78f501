"""From a volume of any size to the cube that a network asks for."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float32, UInt8

from medshot.errors import InputError
from medshot.imaging.geometry.orientation import reorient
from medshot.imaging.geometry.resampling import resample
from medshot.imaging.geometry.world import refuse_time
from medshot.imaging.scan import Scan

CANONICAL = "SPL"  # as axial slices are shown: from the feet up, front on top, the patient's right on the left


def fit_volume(scan: Scan, size: int) -> UInt8[np.ndarray, "size size size"] | Float32[np.ndarray, "size size size"]:
    """The scan in a cube: turned to slices from the feet up, isotropic, its longest side filling the cube, around it 0.

    Proportions are kept in millimetres. Where the place in the patient is unknown nothing is turned, and where a
    spacing is unknown voxels count as cubes. Since 0 surrounds the scan, bring its values to a range that starts at 0
    first, by a window say.

    Args:
        scan: a grey picture or volume.
        size: voxels per side of the cube.

    Returns:
        uint8 where the scan is uint8, otherwise float32.

    Raises:
        InputError: the scan is in colour or has an axis of time, or the size is below 1.
    """
    refuse_time(scan)
    if scan.array.ndim != 3:
        raise InputError("The scan is in colour, and a cube is grey; take one of its colours.")
    if size < 1:
        raise InputError(f"size={size} is no size of a cube; give 1 or more.")
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
