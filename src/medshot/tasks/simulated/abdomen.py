"""The upper right abdomen in three dimensions: body wall, liver with its vessels, and what lies around it.

Coordinates are those of the cube: x to the patient's left, y to the back, z to the head, -1..1 over about 26 cm.
"""

import numpy as np
from jaxtyping import Float

from medshot.tasks.simulated.solids import (
    Point,
    Solid,
    Volume,
    box_around,
    ellipsoid,
    paint,
    smooth_solid,
    tube,
    within,
)
from medshot.tasks.simulated.texture import smooth_step

Person = dict[str, float]
Hospital = dict[str, float]

AIR, LUNG, FAT, BOWEL, FLUID, MUSCLE, BONE = -1000.0, -820.0, -100.0, 35.0, 10.0, 55.0, 450.0  # Hounsfield units
ANATOMY = {  # mean and deviation over patients
    "girth": (1.0, 0.05),
    "fat": (0.09, 0.025),  # thickness under the skin
    "liver_x": (-0.22, 0.03),
    "liver_y": (0.0, 0.03),
    "liver_z": (0.10, 0.05),
    "liver_width": (0.60, 0.035),
    "liver_depth": (0.62, 0.035),
    "liver_height": (0.60, 0.05),
    "left_lobe": (0.36, 0.05),
    "lumps": (0.05, 0.012),  # of the liver's surface
    "liver_fat": (0.0, 8.0),  # Hounsfield units
    "vessel_width": (1.0, 0.12),
    "gallbladder": (0.11, 0.02),
    "kidney": (0.21, 0.02),
    "bowel_share": (0.1, 0.3),
}
SPINE_X, SPINE_Y = 0.38, 0.55
EDGE = 0.03  # over which one tissue gives way to another
HILUM = (0.12, 0.05, -0.10)


def liver(person: Person, rng: np.random.Generator, x: Solid, y: Solid, z: Solid) -> Solid:
    """Distance from the middle of the liver, right and left lobe, 1 on the surface."""
    size = max(x.shape[-1], y.shape[-2], z.shape[-3])
    right = ellipsoid(x, y, z, liver_centre(person), liver_radii(person))
    lobe = person["left_lobe"]
    left = ellipsoid(x, y, z, (0.32, -0.28, person["liver_z"] + 0.18), (1.1 * lobe, 0.75 * lobe, 0.8 * lobe))
    return np.minimum(right, left) + np.float32(person["lumps"]) * smooth_solid(rng, size, 0.25)


def liver_centre(person: Person) -> Point:
    """Middle of the right lobe."""
    return person["liver_x"], person["liver_y"], person["liver_z"]


def liver_radii(person: Person) -> Point:
    """Half the sides of the right lobe."""
    return person["liver_width"], person["liver_depth"], person["liver_height"]


def paint_abdomen(
    hospital: Hospital, person: Person, rng: np.random.Generator, x: Solid, y: Solid, z: Solid, size: int
) -> tuple[Volume, Volume]:
    """The volume of a patient without lesion in Hounsfield units, and the share of liver in each voxel."""
    volume = np.full((size, size, size), AIR, np.float32)
    body = ellipsoid(x, y, 0 * z, (SPINE_X, 0.06, 0.0), (1.3 * person["girth"], 0.88 * person["girth"], 1.0))
    cavity = 1 - person["fat"]
    paint(volume, FAT, within(body, 1.0, EDGE))
    paint(volume, MUSCLE, within(body, cavity, EDGE))
    slant = np.sin(13 * (z + 0.9 * y) + np.float32(rng.uniform(0, 6)))
    ribs = within(np.abs(body - np.float32(cavity - 0.045)), 0.025, 0.02) * smooth_step((slant - 0.55) / 0.2)
    paint(volume, BONE, ribs)
    inside = within(body, cavity - 0.09, EDGE)
    paint(volume, FAT, inside)
    lumen = smooth_solid(rng, size, 0.16)
    paint(volume, BOWEL, inside * smooth_step((lumen - np.float32(0.6 - person["bowel_share"])) / 0.3))
    paint_neighbours(hospital, person, volume, x, y, z, inside)
    distance = liver(person, rng, x, y, z)
    beside = 1 - within(distance, 1.07, EDGE)  # lung fills what the liver's dome leaves free
    paint(volume, LUNG, inside * beside * smooth_step((z - np.float32(person["liver_z"] + 0.15)) / 0.06))
    share = within(distance, 1.0, 0.06) * inside
    tissue = hospital["liver"] - person["liver_fat"] + 4 * smooth_solid(rng, size, 0.12)
    paint(volume, tissue, share)
    vessels = share * tree(person, rng, x, y, z)
    paint(volume, hospital["vessel"], vessels)
    return volume, share * (1 - vessels)


def paint_neighbours(
    hospital: Hospital, person: Person, volume: Volume, x: Solid, y: Solid, z: Solid, inside: Solid
) -> None:
    """Spine, great vessels, kidney, spleen and gallbladder, in place."""
    spine = ellipsoid(x, y, 0 * z, (SPINE_X, SPINE_Y, 0.0), (0.19, 0.16, 1.0))
    paint(volume, BONE / 2, within(spine, 1.0, 0.15))
    for across, front, radius in ((SPINE_X + 0.06, 0.31, 0.075), (SPINE_X - 0.17, 0.30, 0.085)):
        vessel = ellipsoid(x, y, 0 * z, (across, front, 0.0), (radius, radius, 1.0))
        paint(volume, hospital["vessel"], within(vessel, 1.0, 0.3))
    side = person["kidney"]
    kidney = ellipsoid(x, y, z, (-0.08, 0.50, -0.62), (side, 0.8 * side, 1.7 * side))
    paint(volume, hospital["kidney"], inside * within(kidney, 1.0, 0.12))
    spleen = ellipsoid(x, y, z, (1.0, 0.25, 0.25), (0.22, 0.35, 0.4))
    paint(volume, hospital["liver"] + 15, inside * within(spleen, 1.0, 0.1))
    bladder = person["gallbladder"]
    gallbladder = ellipsoid(x, y, z, (0.05, -0.38, person["liver_z"] - 0.56), (bladder, bladder, 1.5 * bladder))
    paint(volume, FLUID, inside * within(gallbladder, 1.0, 0.2))


def tree(person: Person, rng: np.random.Generator, x: Solid, y: Solid, z: Solid) -> Volume:
    """Share of each voxel that portal and hepatic veins fill."""
    centre, radii = np.array(liver_centre(person)), np.array(liver_radii(person))
    filled = np.zeros((z.shape[0], *x.shape[1:]), np.float32)
    for number in range(8):
        start = np.array(HILUM) if number < 5 else np.array([SPINE_X - 0.17, 0.28, person["liver_z"] + 0.35])
        direction = rng.normal(0, 1, 3)
        end = centre + 0.75 * radii * direction / np.linalg.norm(direction)
        middle = (start + end) / 2 + rng.normal(0, 0.05, 3)
        for first, last, wide, thin in ((start, middle, 0.045, 0.032), (middle, end, 0.032, 0.012)):
            widths = person["vessel_width"] * wide, person["vessel_width"] * thin
            grow_branch(filled, x, y, z, point(first), point(last), *widths)
    return filled


def grow_branch(
    filled: Volume, x: Solid, y: Solid, z: Solid, start: Point, end: Point, wide: float, thin: float
) -> None:
    """Add a vessel that tapers from one point to another to the shares that vessels fill, in place."""
    depth, height, width = box_around(x, y, z, start, end, wide + EDGE)
    plane = (slice(None), height, width)
    distance, along = tube(x[plane], y[plane], z[depth], start, end)
    vessel = within(distance - (np.float32(wide) + np.float32(thin - wide) * along), 0.0, EDGE)
    filled[depth, height, width] = np.maximum(filled[depth, height, width], vessel)


def point(place: Float[np.ndarray, "3"]) -> Point:
    """Three numbers as a point."""
    x, y, z = place.tolist()
    return x, y, z
