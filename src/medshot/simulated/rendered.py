"""The result of every family of simulated tasks: images with labels, patients, and the truth about each finding."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

Grey = UInt8[np.ndarray, "images height width"]


@dataclass(frozen=True)
class Rendered:
    """A simulated task before it becomes a `Task`.

    Args:
        images: grey `(images, height, width)`, RGB `(images, height, width, 3)` or volumes
            `(images, depth, height, width)`.
        labels: class of each image, an index into the family's `CLASSES`.
        patients: patient of each image.
        masks: the pixels of the finding; empty if there is none.
        positions: centre of the finding as (x, y), in a volume (x, y, z), each in 0..1 of width, height and depth; NaN
            if there is none.
        parameters: what was drawn for this task (scanner, population, finding), by name.
    """

    images: Grey | UInt8[np.ndarray, "images height width 3"] | UInt8[np.ndarray, "images depth height width"]
    labels: Int[np.ndarray, " images"]
    patients: Int[np.ndarray, " images"]
    masks: Bool[np.ndarray, "images height width"] | Bool[np.ndarray, "images depth height width"]
    positions: Float[np.ndarray, "images 2"] | Float[np.ndarray, "images 3"]
    parameters: dict[str, float]


def shrink(
    drawings: Float[np.ndarray, "images rows columns"], size: tuple[int, int]
) -> Float[np.ndarray, "images height width"]:
    """Average the drawings over the pixels of images of a height and width."""
    small = [cv2.resize(drawing, size[::-1], interpolation=cv2.INTER_AREA) for drawing in drawings]
    return np.stack(small)


def shrink_masks(
    masks: Bool[np.ndarray, "images rows columns"], size: tuple[int, int]
) -> Bool[np.ndarray, "images height width"]:
    """Return the pixels that a mask fills by half of what it fills of any pixel."""
    share = shrink(masks.astype(np.float32), size)
    return share > 0.5 * np.maximum(share.max(axis=(1, 2), keepdims=True), 1e-6)


def centroids(masks: Bool[np.ndarray, "images height width"]) -> Float[np.ndarray, "images 2"]:
    """Return the centre of each mask as (x, y) in 0..1 of width and height; NaN for an empty mask."""
    _, height, width = masks.shape
    area = masks.sum(axis=(1, 2)).astype(float)
    area[area == 0] = np.nan
    x = (masks.sum(axis=1) @ (np.arange(width) + 0.5)) / area / width
    y = (masks.sum(axis=2) @ (np.arange(height) + 0.5)) / area / height
    return np.stack([x, y], axis=1)
