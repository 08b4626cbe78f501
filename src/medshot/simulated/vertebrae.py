"""The spine as a curved centre line, and coordinates that follow it.

Heights along the spine are counted in levels, upwards from the top of the sacrum: L5 lies between 0 and 1,
T12 between 5 and 6, T1 between 16 and 17. A curve of the spine is a profile of tilts, as a radiologist
measures it: the Cobb angle is the difference between the most tilted end plates (Cobb 1948).
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float

NODES_PER_LEVEL = 16

Stack = Float[np.ndarray, "#images #height #width"]
Points = tuple[tuple[float | int, ...], tuple[float | int, ...]]  # levels, and the values there
Profile = Float[np.ndarray, "images nodes"]


@dataclass(frozen=True)
class SpineLine:
    """The centre lines of several spines, from below upwards.

    Args:
        levels: height of each node in levels.
        x: position of each node in cm, to the right.
        y: position of each node in cm, downwards.
        tilt: angle of the line from the vertical at each node in radians; positive if it rises to the right.
    """

    levels: Float[np.ndarray, " nodes"]
    x: Profile
    y: Profile
    tilt: Profile


def level_nodes(lowest: float, highest: float) -> Float[np.ndarray, " nodes"]:
    """Return evenly spaced heights between two levels."""
    return np.linspace(lowest, highest, round((highest - lowest) * NODES_PER_LEVEL) + 1)


def bend(
    levels: Float[np.ndarray, " nodes"],
    angle: Float[np.ndarray, " images"],
    apex: Float[np.ndarray, " images"],
    reach: Float[np.ndarray, " images"],
) -> Profile:
    """Return the tilts of a curve to the right that leaves the line and returns to it.

    Args:
        levels: heights of the nodes.
        angle: Cobb angle in radians; a negative one curves to the left.
        apex: level of the vertebra that is furthest out.
        reach: levels from the apex to either end vertebra, where the tilt is greatest.
    """
    t = (levels - apex[:, None]) / reach[:, None]
    return -0.5 * angle[:, None] * t * np.exp((1 - t * t) / 2)


def stack_levels(
    levels: Float[np.ndarray, " nodes"],
    tilt: Profile,
    height: Profile,
    x: Float[np.ndarray, " images"],
    y: Float[np.ndarray, " images"],
    anchor: float = 0.0,
) -> SpineLine:
    """Build spines upwards from their lowest node.

    Args:
        levels: heights of the nodes.
        tilt: tilt at each node, in radians.
        height: centimetres per level at each node.
        x: the place of the anchor, in cm.
        y: the place of the anchor, in cm.
        anchor: a level.
    """
    step = (levels[1] - levels[0]) * height
    rise = np.cumsum(step * np.stack([np.sin(tilt), -np.cos(tilt)]), axis=2)
    origin = np.stack([np.interp(anchor, levels, line) for line in rise.reshape(-1, levels.size)]).reshape(2, -1, 1)
    across, up = rise - origin
    return SpineLine(levels, x[:, None] + across, y[:, None] + up, tilt)


class RowTable:
    """Profiles along the spine, looked up by the height y of a pixel.

    Args:
        column: the spines.
        rows: how many rows to tabulate between the lowest and the highest node.
    """

    def __init__(self, column: SpineLine, rows: int = 1024) -> None:
        self.column = column
        self.top, self.bottom = float(column.y.min()), float(column.y.max())
        self.rows = rows

    def of(self, profile: Profile) -> Float[np.ndarray, "images rows"]:
        """Tabulate the profile on evenly spaced rows."""
        y = np.linspace(self.top, self.bottom, self.rows)
        lines = zip(self.column.y, profile, strict=True)
        table = [np.interp(y, heights[::-1], values[::-1]) for heights, values in lines]
        return np.stack(table).astype(np.float32)

    def look_up(self, table: Float[np.ndarray, "images rows"], y: Stack) -> Stack:
        """Return the values of a table at the heights y, between its rows by linear interpolation."""
        place = (y - np.float32(self.top)) * np.float32((self.rows - 1) / (self.bottom - self.top))
        place = np.ascontiguousarray(np.broadcast_to(place, (len(table), *y.shape[1:])))
        still = np.zeros_like(place[0])
        lines = zip(table, place, strict=True)
        return np.stack(
            [cv2.remap(line[None], at, still, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for line, at in lines]
        )


def follow(column: SpineLine, x: Stack, y: Stack, widest: float) -> tuple[Stack, Stack]:
    """Return the coordinates along and across the spine of every pixel.

    Args:
        column: the spines.
        x: position of the pixels in cm.
        y: position of the pixels in cm.
        widest: beyond this distance from the line (cm) the coordinates are those of the distance itself.

    Returns:
        The level of the nearest point of the centre line; the distance from it in cm, positive to the right.
    """
    rows = RowTable(column)
    length = np.hypot(np.gradient(column.x, axis=1), np.gradient(column.y, axis=1))
    lines, tilts, turns = map(rows.of, (column.x, column.tilt, np.gradient(column.tilt, axis=1) / length))
    foot = y[:, :, :1]
    for _ in range(3):  # Newton's method for the nearest point; on the inside of a sharp bend there is none
        tilt = rows.look_up(tilts, foot)
        across = np.clip(x - rows.look_up(lines, foot), -widest, widest)
        sine, cosine = np.sin(tilt), np.cos(tilt)
        ahead = across * sine - (y - foot) * cosine
        foot = foot - ahead * cosine / np.clip(1 - across * rows.look_up(turns, foot), 0.5, 4)
    level = rows.look_up(rows.of(np.broadcast_to(column.levels, column.x.shape)), foot)
    return level, (x - rows.look_up(lines, foot)) * cosine + (y - foot) * sine


def band(distance: Stack, half: Stack | float, edge: float) -> Stack:
    """Return 1 within `half` of zero, 0 outside, with a linear edge of the given width."""
    return np.clip(0.5 + (half - np.abs(distance)) / np.float32(edge), 0, 1)


@lru_cache
def _dense(points: Points) -> Float[np.ndarray, " entries"]:
    heights, values = points
    return np.interp(np.arange(heights[0], heights[-1], 1 / 64), heights, values).astype(np.float32)


def along(points: Points, level: Stack) -> Stack:
    """Return values given at some levels, at every pixel's level (to 1/64 of a level)."""
    table = _dense(points)
    index = (level - np.float32(points[0][0])) * 64
    return table.take(np.clip(index, 0, len(table) - 1).astype(np.int32))


def of_level(values: Float[np.ndarray, "images levels"], level: Stack) -> Stack:
    """Return each pixel's value of the vertebra that it is in; the first column belongs to level 0."""
    count = values.shape[1]
    index = np.clip(np.floor(level), 0, count - 1).astype(np.int32)
    index += count * np.arange(len(values), dtype=np.int32)[:, None, None]
    return values.astype(np.float32).ravel().take(index)
