"""What every family of simulated tasks returns: images with labels, patients, and the truth about each finding."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8


@dataclass(frozen=True)
class Rendered:
    """One simulated task before it becomes a `Task`.

    Args:
        images: grey `(images, height, width)` or RGB `(images, height, width, 3)`.
        labels: class of each image, an index into the family's `CLASSES`.
        patients: patient of each image.
        masks: where the finding is; empty where there is none.
        positions: centre of the finding as (x, y), each in 0..1 of width and height; NaN where there is none.
        parameters: what was drawn for this task (scanner, population, finding), by name.
    """

    images: UInt8[np.ndarray, "images height width"] | UInt8[np.ndarray, "images height width 3"]
    labels: Int[np.ndarray, " images"]
    patients: Int[np.ndarray, " images"]
    masks: Bool[np.ndarray, "images height width"]
    positions: Float[np.ndarray, "images 2"]
    parameters: dict[str, float]
