"""The upper right abdomen in three dimensions: body wall, liver with its vessels, and what lies around it.

Coordinates are those of the cube: x to the patient's left, y to the back, z to the head, -1..1 over about 26 cm.
"""

from math import ceil

import numpy as np
from jaxtyping import Bool, Float

from medshot.simulated.texture import smooth_step

Solid = Float[np.ndarray, "#depth #height #width"]
Volume = Float[np.ndarray, "depth height width"]
Point = tuple[float, float, float]


def centres(size: int) -> Float[np.ndarray, " size"]:
    """Return the middles of the voxels along a side that spans -1..1."""
    return ((2 * np.arange(size) + 1 - size) / size).astype(np.float32)


def posed_axes(size: int, pose: dict[str, float]) -> tuple[Solid, Solid, Solid]:
    """Return the place of each voxel of a cube in the patient's own coordinates (x, y, z).

    Args:
        size: voxels per side.
        pose: `zoom`, `shift_x`, `shift_y`, `shift_z` and `turn` (radians, about z).
    """
    middles = centres(size)
    x, y, z = (
        (middles - np.float32(pose[f"shift_{axis}"])).reshape(shape) / np.float32(pose["zoom"])
        for axis, shape in (("x", (1, 1, -1)), ("y", (1, -1, 1)), ("z", (-1, 1, 1)))
    )
    cosine, sine = np.float32(np.cos(pose["turn"])), np.float32(np.sin(pose["turn"]))
    return x * cosine + y * sine, y * cosine - x * sine, z


def posed_point(point: Point, pose: dict[str, float]) -> Float[np.ndarray, "3"]:
    """Return the place in the cube of one point of the patient, as fractions of its sides; undoes `posed_axes`."""
    x, y, z = point
    cosine, sine = np.cos(pose["turn"]), np.sin(pose["turn"])
    turned = np.array([x * cosine - y * sine, x * sine + y * cosine, z])
    shift = [pose["shift_x"], pose["shift_y"], pose["shift_z"]]
    return (pose["zoom"] * turned + shift + 1) / 2


def smooth_solid(rng: np.random.Generator, size: int, scale: float) -> Volume:
    """Sample a Gaussian random field of mean 0 and variance 1 without detail finer than `scale`, in sides of the cube.

    White noise on a grid of nodes is spread by Gaussians; each row of weights has length 1, which keeps the variance.
    """
    spacing = scale / 2  # two nodes per detail
    reach = 3  # nodes beyond the border
    nodes = (np.arange(ceil(1 / spacing) + 1 + 2 * reach) - reach) * spacing
    away = (centres(size)[:, None] + 1) / 2 - nodes
    weights = np.exp(-((away / spacing) ** 2) / 2)
    weights = (weights / np.linalg.norm(weights, axis=1, keepdims=True)).astype(np.float32)
    field = rng.standard_normal((len(nodes),) * 3, dtype=np.float32)
    for _ in range(3):  # spreads the last axis and brings the next one there
        field = np.moveaxis(field @ weights.T, -1, 0)
    return np.ascontiguousarray(field)


def ellipsoid(x: Solid, y: Solid, z: Solid, centre: Point, radii: Point) -> Solid:
    """Return the distance from the centre in units of the radii: 1 on the surface."""
    parts = (((axis - np.float32(c)) / np.float32(r)) ** 2 for axis, c, r in zip((x, y, z), centre, radii, strict=True))
    return np.sqrt(sum(parts, start=np.float32(0)))


def tube(x: Solid, y: Solid, z: Solid, start: Point, end: Point) -> tuple[Solid, Solid]:
    """Return the distance from the line between two points, and how far along it the nearest point is, 0 to 1."""
    line = np.subtract(end, start).astype(np.float32)
    offset = [axis - np.float32(c) for axis, c in zip((x, y, z), start, strict=True)]
    length = float(line @ line)
    along = np.clip(sum(a * b for a, b in zip(offset, line, strict=True)) / np.float32(length), 0, 1)
    apart = (a - along * b for a, b in zip(offset, line, strict=True))
    return np.sqrt(sum((a * a for a in apart), start=np.float32(0))), along


def box_around(x: Solid, y: Solid, z: Solid, start: Point, end: Point, margin: float) -> tuple[slice, slice, slice]:
    """Return the block of voxels outside which nothing is nearer than `margin` to the line between two points.

    Args:
        x: as `posed_axes` gives it, over rows and columns.
        y: likewise.
        z: likewise, over slices.
        start: of the line.
        end: of the line.
        margin: in the patient's coordinates.
    """
    low, high = np.minimum(start, end) - margin, np.maximum(start, end) + margin
    near = [(low[axis] < values) & (values < high[axis]) for axis, values in enumerate((x, y, z))]
    plane = (near[0] & near[1])[0]
    return _span(near[2][:, 0, 0]), _span(plane.any(axis=1)), _span(plane.any(axis=0))


def _span(there: Bool[np.ndarray, " voxels"]) -> slice:
    """Return the slice from the first to the last true value."""
    places = np.flatnonzero(there)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def paint(volume: Volume, value: Solid | float, share: Solid) -> None:
    """Paint one tissue over the volume, in place, on a `share` of each voxel."""
    volume += share * (np.asarray(value, np.float32) - volume)


def within(distance: Solid, outline: float, edge: float) -> Solid:
    """Return 1 if a distance is less than the outline, 0 if it is more, smooth over `edge` in between."""
    return smooth_step((np.float32(outline) - distance) / np.float32(edge) + np.float32(0.5))


def slabs(size: int, thickness: float) -> tuple[Float[np.ndarray, "slabs size"], Float[np.ndarray, "size slabs"]]:
    """Return weights that average a cube's rows of voxels over slabs, and weights that interpolate the slabs back.

    Args:
        size: voxels along the side.
        thickness: of a slab, in sides of the cube.
    """
    count = max(1, min(size, round(1 / thickness)))
    bounds = np.arange(count + 1) * size / count
    voxels = np.arange(size)
    overlap = np.minimum(bounds[1:, None], voxels + 1) - np.maximum(bounds[:-1, None], voxels)
    averaging = np.clip(overlap, 0, 1) * count / size
    place = np.clip((voxels + 0.5) * count / size - 0.5, 0, count - 1)
    back = np.clip(1 - np.abs(place[:, None] - np.arange(count)), 0, 1)
    return averaging.astype(np.float32), back.astype(np.float32)


def shrink_solid(volume: Volume, size: int) -> Float[np.ndarray, "size size size"]:
    """Average the volume to `size` voxels per side."""
    if len(volume) == size:
        return volume
    averaging, _ = slabs(len(volume), 1 / size)
    for _ in range(3):
        volume = np.moveaxis(volume @ averaging.T, -1, 0)
    return np.ascontiguousarray(volume)


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
    """Return the distance from the middle of the liver, right and left lobe, 1 on the surface."""
    size = max(x.shape[-1], y.shape[-2], z.shape[-3])
    right = ellipsoid(x, y, z, liver_centre(person), liver_radii(person))
    lobe = person["left_lobe"]
    left = ellipsoid(x, y, z, (0.32, -0.28, person["liver_z"] + 0.18), (1.1 * lobe, 0.75 * lobe, 0.8 * lobe))
    return np.minimum(right, left) + np.float32(person["lumps"]) * smooth_solid(rng, size, 0.25)


def liver_centre(person: Person) -> Point:
    """Return the middle of the right lobe."""
    return person["liver_x"], person["liver_y"], person["liver_z"]


def liver_radii(person: Person) -> Point:
    """Return half the sides of the right lobe."""
    return person["liver_width"], person["liver_depth"], person["liver_height"]


def paint_abdomen(
    hospital: Hospital, person: Person, rng: np.random.Generator, x: Solid, y: Solid, z: Solid, size: int
) -> tuple[Volume, Volume]:
    """Paint a patient without lesion in Hounsfield units; also return the share of liver in each voxel."""
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
    """Paint spine, great vessels, kidney, spleen and gallbladder, in place."""
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
    """Return the share of each voxel that portal and hepatic veins fill."""
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
    """Return three numbers as a point."""
    x, y, z = place.tolist()
    return x, y, z
