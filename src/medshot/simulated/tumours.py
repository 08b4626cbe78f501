"""Brain tumours as regions: their place, their extent, and the tissue that they displace."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from medshot.simulated.head import dura, head_radius
from medshot.simulated.texture import Patients, smooth_field, smooth_step

Stack = Float[np.ndarray, "images height width"]
PerImage = Float[np.ndarray, " images"]

IRREGULARITY = (0.0, 0.22, 0.06, 0.08)  # of the outline: none, glioma, meningioma, pituitary


@dataclass(frozen=True)
class Tumours:
    """A tumour for each image; images without one have an infinite `radius` everywhere.

    Args:
        centre: middle of each tumour, in head coordinates.
        radius: distance from the middle in units of the irregular outline, 1 on it.
        inside: pixels within the tumour.
        room: share of each pixel that a tumour may fill, the space inside dura and falx.
        texture: unevenness of the tissue, mean 0 and variance 1.
        vigour: how strongly each patient's tumour shows, 0.8 to 1.
    """

    centre: Float[np.ndarray, "images 2"]
    radius: Stack
    inside: Bool[np.ndarray, "images height width"]
    room: Stack
    texture: Stack
    vigour: Float[np.ndarray, "images 1 1"]


def draw_tumours(
    rng: np.random.Generator,
    labels: Int[np.ndarray, " images"],
    people: Patients,
    x: Stack,
    y: Stack,
    scale: float,
) -> Tumours:
    """Sample tumours of kinds `labels` (0 none, 1 glioma, 2 meningioma, 3 pituitary), `scale` times as large."""
    images, pixels, _ = x.shape
    falcine = np.less(rng.random(images), 0.25)
    side = rng.choice([-1.0, 1.0], images)
    low, high = np.array([[0.1, 0.15, 0.14, 0.10], [0.1, 0.25, 0.22, 0.16]])[:, labels]
    size = scale * rng.uniform(low, high)
    places = [
        np.zeros((images, 2)),
        np.stack([side * rng.uniform(0.18, 0.40, images), rng.uniform(-0.40, 0.40, images)], axis=1),
        meningioma_places(rng, people, side, falcine, size),
        rng.normal((0, -0.12), (0.008, 0.02), (images, 2)),
    ]
    centre = np.stack(places)[labels, np.arange(images)].astype(np.float32)
    distance = np.hypot(x - centre[:, :1, None], y - centre[:, 1:, None]) / size.astype(np.float32)[:, None, None]
    irregularity = np.array(IRREGULARITY, np.float32)[labels, None, None]
    outline = 1 + irregularity * smooth_field(rng, images, pixels, 0.07)
    radius = distance / np.clip(outline, 0.6, 1.6)
    radius[labels == 0] = np.inf
    room = smooth_step((dura(people) - head_radius(people, x, y)) / 0.01)
    beside_falx = smooth_step(side.astype(np.float32)[:, None, None] * (x - people["midline"]) / 0.01)
    room = np.where((falcine & (labels == 2))[:, None, None], room * beside_falx, room)
    return Tumours(
        centre=centre,
        radius=radius,
        inside=(radius < 1) & (room > 0.5),
        room=room,
        texture=smooth_field(rng, images, pixels, 0.04),
        vigour=rng.uniform(0.8, 1, (images, 1, 1)).astype(np.float32),
    )


def meningioma_places(
    rng: np.random.Generator,
    people: Patients,
    side: PerImage,
    falcine: Bool[np.ndarray, " images"],
    size: PerImage,
) -> Float[np.ndarray, "images 2"]:
    """Return centres less than a radius from the dura: on the convexity, or beside the falx."""
    images = len(side)
    angle = rng.uniform(-0.42, 0.42, images) * np.pi
    ray = np.stack([side * np.cos(angle), np.sin(angle)], axis=1)
    unit = 0.7 * ray.astype(np.float32)[:, :, None, None]
    reach = 0.7 * dura(people).ravel() / head_radius(people, unit[:, 0], unit[:, 1]).ravel()
    convexity = ray * (reach - 0.55 * size)[:, None]
    end = rng.choice([-1.0, 1.0], images)
    beside = np.stack([side * 0.55 * size + people["midline"].ravel(), end * rng.uniform(0.42, 0.55, images)], axis=1)
    return np.where(falcine[:, None], beside, convexity)


def push(tumours: Tumours, people: Patients, x: Stack, y: Stack, effect: float) -> tuple[Stack, Stack]:
    """Return the place before the tumour grew of the tissue now at (x, y); skull and falx base do not move."""
    free = smooth_step((dura(people) - head_radius(people, x, y)) / 0.3)
    share = effect * free * np.exp(-((tumours.radius / 1.6) ** 2))
    centre_x, centre_y = tumours.centre[:, :1, None], tumours.centre[:, 1:, None]
    return x - share * (x - centre_x), y - share * (y - centre_y)
