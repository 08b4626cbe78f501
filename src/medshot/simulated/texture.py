"""Building blocks of simulated images: grids, soft shapes, random textures, blur, detector noise.

Everything works on float32 stacks `(images, height, width)`. Random numbers that shape anatomy are drawn
on grids whose size does not depend on the image's, so that one seed shows the same patients at any size.
"""

from math import ceil

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter

Patients = dict[str, Float[np.ndarray, "images 1 1"]]

WIDEST_DIRECT_BLUR = 6.0  # pixels; wider blurs lose nothing on a coarser grid


def grid(
    size: int | tuple[int, int],
) -> tuple[Float[np.ndarray, "1 height width"], Float[np.ndarray, "1 height width"]]:
    """Return pixel centres as (x, y): the longer side spans -1..1, y grows downwards.

    Args:
        size: pixels per side, or (height, width).
    """
    height, width = (size, size) if isinstance(size, int) else size
    longer = max(height, width)
    x = (2 * np.arange(width, dtype=np.float32) + 1 - width) / longer
    y = (2 * np.arange(height, dtype=np.float32) + 1 - height) / longer
    grid_x, grid_y = np.meshgrid(x, y)
    return grid_x[None], grid_y[None]


def smooth_field(
    rng: np.random.Generator, images: int, size: int | tuple[int, int], scale: float
) -> Float[np.ndarray, "images height width"]:
    """Sample independent Gaussian random fields of mean 0 and variance 1, without detail finer than `scale`.

    Args:
        rng: source of randomness; how much is drawn depends on `images`, `scale` and the aspect ratio only.
        images: number of fields.
        size: pixels per side, or (height, width).
        scale: length of the detail, as a fraction of the longer side.
    """
    height, width = (size, size) if isinstance(size, int) else size
    spacing = scale / 2  # two nodes per detail
    reach = 4  # nodes beyond the border, that the filter still reaches
    rows, columns = (ceil(side / max(height, width) / spacing) + 1 + 2 * reach for side in (height, width))
    white = rng.standard_normal((images, rows, columns), dtype=np.float32)
    smooth = gaussian_filter(white, (0, 1, 1))[:, reach:-reach, reach:-reach]
    smooth *= 2 * np.sqrt(np.pi)  # a Gaussian filter of deviation 1 leaves the variance 1 / 4π
    return np.stack([cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC) for field in smooth])


def smooth_step(values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Return the cubic 3t² - 2t³ that rises from 0 at t = 0 to 1 at t = 1, constant outside."""
    t = np.clip(values, 0, 1)
    square = t * t
    t *= -2
    t += 3
    square *= t
    return square


def elliptic_radius(
    grid_x: Float[np.ndarray, "#images height width"],
    grid_y: Float[np.ndarray, "#images height width"],
    centre: Float[np.ndarray, "images 2"],
    radii: Float[np.ndarray, "images 2"],
    angle: Float[np.ndarray, " images"] | float = 0.0,
) -> Float[np.ndarray, "images height width"]:
    """Return the distance from the centre of each image's ellipse in units of its radii: 1 on the outline."""
    centre_x, centre_y, radius_x, radius_y, turn = (
        np.asarray(column, np.float32)[:, None, None]
        for column in (*centre.T, *radii.T, np.broadcast_to(angle, len(centre)))
    )
    x, y = grid_x - centre_x, grid_y - centre_y
    cosine, sine = np.cos(turn), np.sin(turn)
    along = (x * cosine + y * sine) / radius_x
    across = (y * cosine - x * sine) / radius_y
    return np.sqrt(along * along + across * across)


def blur(
    images: Float[np.ndarray, "images height width"], sigma: Float[np.ndarray, " images"] | float
) -> Float[np.ndarray, "images height width"]:
    """Blur by a Gaussian of standard deviation `sigma` pixels, one for all images or one for each."""
    deviations = np.broadcast_to(sigma, len(images))
    return np.stack([blur_one(image, float(s)) for image, s in zip(images, deviations, strict=True)])


def blur_one(image: Float[np.ndarray, "height width"], sigma: float) -> Float[np.ndarray, "height width"]:
    """Blur one image by a Gaussian; a wide one runs on a coarser grid."""
    if sigma <= 0:
        return image
    if sigma <= WIDEST_DIRECT_BLUR:
        return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    height, width = image.shape
    coarser = sigma / WIDEST_DIRECT_BLUR
    coarse_size = (max(1, round(width / coarser)), max(1, round(height / coarser)))
    coarse = cv2.resize(image, coarse_size, interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(coarse, (0, 0), WIDEST_DIRECT_BLUR, borderType=cv2.BORDER_REFLECT)
    return cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)


def shrink(images: Float[np.ndarray, "images height width"], size: int) -> Float[np.ndarray, "images size size"]:
    """Average each image to a coarser detector of `size` pixels per side."""
    return np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA) for image in images])


def poisson_noise(
    images: Float[np.ndarray, "images height width"],
    photons: Float[np.ndarray, " images"] | float,
    rng: np.random.Generator,
) -> Float[np.ndarray, "images height width"]:
    """Add counting noise, as the normal limit of the Poisson law: intensity 1 is `photons` counts per pixel."""
    counts = np.broadcast_to(np.asarray(photons, np.float32), len(images))[:, None, None]
    noise = rng.standard_normal(images.shape, dtype=np.float32)
    return np.maximum(images + np.sqrt(np.maximum(images, 0) / counts) * noise, 0)


def rician_noise(
    images: Float[np.ndarray, "images height width"],
    sigma: Float[np.ndarray, " images"] | float,
    rng: np.random.Generator,
) -> Float[np.ndarray, "images height width"]:
    """Return the magnitude of an MR signal whose two channels carry normal noise of deviation `sigma`.

    Source: Gudbjartsson and Patz, "The Rician distribution of noisy MRI data", 1995.
    """
    deviation = np.broadcast_to(np.asarray(sigma, np.float32), len(images))[:, None, None]
    real, imaginary = deviation * rng.standard_normal((2, *images.shape), dtype=np.float32)
    return np.hypot(images + real, imaginary)


def to_uint8(images: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Convert intensities in 0..1 to bytes 0..255, rounded; values outside are clipped."""
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)


def generators(name: str, seed: int, count: int) -> list[np.random.Generator]:
    """Return independent streams of random numbers for one task, a function of the family's `name` and `seed`.

    Drawing more from one stream does not change the others: a finding drawn from its own stream can be left out,
    and the patient stays the same.
    """
    sequences = np.random.SeedSequence([seed, *name.encode()]).spawn(count)
    return [np.random.default_rng(sequence) for sequence in sequences]


def draw_population(
    table: dict[str, tuple[float, float]],
    hospital_rng: np.random.Generator,
    patient_rng: np.random.Generator,
    images: int,
) -> Patients:
    """Sample each patient's value of each measure in `table` (mean, deviation), around the hospital's own mean."""
    people: Patients = {}
    for name, (mean, deviation) in table.items():
        local_mean = mean + 0.5 * deviation * hospital_rng.standard_normal()
        values = local_mean + deviation * patient_rng.standard_normal((images, 1, 1))
        people[name] = values.astype(np.float32)
    return people


def draw_pose(rng: np.random.Generator, images: int, zoom: float, spread: float) -> Patients:
    """Sample the pose of each patient in the image: `zoom`, `shift_x`, `shift_y` and `turn` (radians)."""
    pose: Patients = {"zoom": zoom * (1 + 0.04 * rng.standard_normal((images, 1, 1), dtype=np.float32))}
    for name in ("shift_x", "shift_y", "turn"):
        pose[name] = spread * rng.standard_normal((images, 1, 1), dtype=np.float32)
    return pose


def posed_grid(
    pose: Patients, size: int
) -> tuple[Float[np.ndarray, "images size size"], Float[np.ndarray, "images size size"]]:
    """Return the place of each pixel of a square image in each patient's own coordinates."""
    grid_x, grid_y = grid(size)
    x, y = (grid_x - pose["shift_x"]) / pose["zoom"], (grid_y - pose["shift_y"]) / pose["zoom"]
    cosine, sine = np.cos(pose["turn"]), np.sin(pose["turn"])
    return x * cosine + y * sine, y * cosine - x * sine


def posed_points(pose: Patients, points: Float[np.ndarray, "images 2"]) -> Float[np.ndarray, "images 2"]:
    """Return the place in the image of one point of each patient, as fractions of its sides; undoes `posed_grid`."""
    zoom, turn = pose["zoom"].ravel(), pose["turn"].ravel()
    x, y = points.T
    along = zoom * (x * np.cos(turn) - y * np.sin(turn)) + pose["shift_x"].ravel()
    down = zoom * (x * np.sin(turn) + y * np.cos(turn)) + pose["shift_y"].ravel()
    return (np.stack([along, down], axis=1) + 1) / 2
