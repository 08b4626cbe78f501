"""What every family of simulated tasks returns: images with labels, patients, and the truth about each finding."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

Grey = UInt8[np.ndarray, "images height width"]


@dataclass(frozen=True)
class Rendered:
    """One simulated task before it becomes a `Task`.

    Args:
        images: grey `(images, height, width)`, RGB `(images, height, width, 3)` or volumes
            `(images, depth, height, width)`.
        labels: class of each image, an index into the family's `CLASSES`.
        patients: patient of each image.
        masks: where the finding is; empty where there is none.
        positions: centre of the finding as (x, y), in a volume (x, y, z), each in 0..1 of width, height and depth; NaN
            where there is none.
        parameters: what was drawn for this task (scanner, population, finding), by name.
    """

    images: Grey | UInt8[np.ndarray, "images height width 3"] | UInt8[np.ndarray, "images depth height width"]
    labels: Int[np.ndarray, " images"]
    patients: Int[np.ndarray, " images"]
    masks: Bool[np.ndarray, "images height width"] | Bool[np.ndarray, "images depth height width"]
    positions: Float[np.ndarray, "images 2"] | Float[np.ndarray, "images 3"]
    parameters: dict[str, float]
