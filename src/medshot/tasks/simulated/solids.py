"""Building blocks of simulated volumes: grids, random fields, ellipsoids, tubes, coarser voxels and thick slices.

Everything works on one float32 volume `(depth, height, width)`. As in `texture`, random numbers that shape anatomy do
not depend on the size, so that one seed shows the same patients at any size.
"""

from math import ceil

import numpy as np
from jaxtyping import Bool, Float

from medshot.tasks.simulated.texture import smooth_step

Solid = Float[np.ndarray, "#depth #height #width"]
Volume = Float[np.ndarray, "depth height width"]
Point = tuple[float, float, float]


def centres(size: int) -> Float[np.ndarray, " size"]:
    """Middles of the voxels along a side that spans -1..1."""
    return ((2 * np.arange(size) + 1 - size) / size).astype(np.float32)


def posed_axes(size: int, pose: dict[str, float]) -> tuple[Solid, Solid, Solid]:
    """Where each voxel of a cube lies in the patient's own coordinates (x, y, z).

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
    """Where one point of the patient lies in the cube, as fractions of its sides: undoes `posed_axes`."""
    x, y, z = point
    cosine, sine = np.cos(pose["turn"]), np.sin(pose["turn"])
    turned = np.array([x * cosine - y * sine, x * sine + y * cosine, z])
    shift = [pose["shift_x"], pose["shift_y"], pose["shift_z"]]
    return (pose["zoom"] * turned + shift + 1) / 2


def smooth_solid(rng: np.random.Generator, size: int, scale: float) -> Volume:
    """A Gaussian random field of mean 0 and variance 1 without detail finer than `scale`, in sides of the cube.

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
    """Distance from the centre in units of the radii: 1 on the surface."""
    parts = (((axis - np.float32(c)) / np.float32(r)) ** 2 for axis, c, r in zip((x, y, z), centre, radii, strict=True))
    return np.sqrt(sum(parts, start=np.float32(0)))


def tube(x: Solid, y: Solid, z: Solid, start: Point, end: Point) -> tuple[Solid, Solid]:
    """Distance from the line between two points, and how far along it the nearest point lies, 0 to 1."""
    line = np.subtract(end, start).astype(np.float32)
    offset = [axis - np.float32(c) for axis, c in zip((x, y, z), start, strict=True)]
    length = float(line @ line)
    along = np.clip(sum(a * b for a, b in zip(offset, line, strict=True)) / np.float32(length), 0, 1)
    apart = (a - along * b for a, b in zip(offset, line, strict=True))
    return np.sqrt(sum((a * a for a in apart), start=np.float32(0))), along


def box_around(x: Solid, y: Solid, z: Solid, start: Point, end: Point, margin: float) -> tuple[slice, slice, slice]:
    """Voxels outside of which nothing is nearer than `margin` to the line between two points.

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
    """From the first to the last that is there."""
    places = np.flatnonzero(there)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def paint(volume: Volume, value: Solid | float, share: Solid) -> None:
    """Lay one tissue over the volume, in place, covering `share` of each voxel."""
    volume += share * (np.asarray(value, np.float32) - volume)


def within(distance: Solid, outline: float, edge: float) -> Solid:
    """1 where a distance is less than the outline, 0 where it is more, smooth over `edge` in between."""
    return smooth_step((np.float32(outline) - distance) / np.float32(edge) + np.float32(0.5))


def slabs(size: int, thickness: float) -> tuple[Float[np.ndarray, "slabs size"], Float[np.ndarray, "size slabs"]]:
    """Weights that average a cube's rows of voxels over slabs, and those that interpolate the slabs back.

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
    """The volume with `size` voxels per side, each the mean over its space."""
    if len(volume) == size:
        return volume
    averaging, _ = slabs(len(volume), 1 / size)
    for _ in range(3):
        volume = np.moveaxis(volume @ averaging.T, -1, 0)
    return np.ascontiguousarray(volume)
