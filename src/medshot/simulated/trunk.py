"""The standing trunk as an X-ray sees it from the front: centimetres of soft tissue and bone along each ray.

Positions are in centimetres: x to the right of the film (the patient's left), y downwards. Heights along
the spine are levels (see `vertebrae`), so that ribs and lungs go with the curve of the spine that carries
them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float

from medshot.simulated.texture import smooth_step
from medshot.simulated.vertebrae import RowTable, SpineLine, Stack, along, band, follow, of_level

LOWEST, HIGHEST = -7.0, 24.0  # levels
LEVEL_HEIGHT = ((-7, 0, 4, 8, 16, 17, 24), (3.6, 3.5, 3.3, 2.6, 1.85, 1.7, 1.6))  # cm
CHEST = (
    (-7, 2, 5, 7.5, 10, 13, 15.5, 16.8, 17.4, 24),
    (8, 9.5, 12.2, 13.4, 13.0, 11.3, 8.4, 5, 2.5, 2.5),
)  # cm
BODY = (
    (-7, -2, 1, 3.5, 6, 10, 14, 16, 17.5, 19, 21, 24),
    (18.5, 18, 15.5, 14, 15, 17, 19.5, 19, 13, 6.5, 6.5, 8),
)
Each = Float[np.ndarray, "images 1 1"]


@dataclass(frozen=True)
class Trunk:
    """The trunks of people in front of the film, one value each.

    Args:
        column: centre lines of the spines.
        turn: axial rotation of the vertebrae along the column, in radians.
        wobble: small differences of the vertebrae in height and width.
        bowel: random field that decides which bowel holds gas.
        scale: size against a grown adult.
        girth: width of the soft tissue against the skeleton.
        mineral: mineral content of the bones.
        rib_drop: how steeply the ribs fall to the sides.
        dome: height of the diaphragm, in levels.
        heart: size of the heart.
    """

    column: SpineLine
    turn: Float[np.ndarray, "images nodes"]
    wobble: Float[np.ndarray, "images levels"]
    bowel: Float[np.ndarray, "images rows columns"]
    scale: Each
    girth: Each
    mineral: Each
    rib_drop: Each
    dome: Each
    heart: Each

    def one_by_one(self) -> Iterator["Trunk"]:
        """Yield each person alone, since pictures of one person fit in the processor's cache."""
        for i in range(len(self.scale)):
            own = slice(i, i + 1)
            values = {field.name: getattr(self, field.name)[own] for field in fields(self) if field.name != "column"}
            column = self.column
            yield replace(
                self,
                column=replace(column, x=column.x[own], y=column.y[own], tilt=column.tilt[own]),
                **values,
            )


def attenuators(trunk: Trunk, x: Stack, y: Stack, pixel: float) -> tuple[Stack, Stack, Stack, Stack]:
    """Return centimetres of soft tissue and bone along each ray; each pixel's place along and across the spine.

    Args:
        trunk: the people.
        x: position of the pixels.
        y: position of the pixels.
        pixel: side of a pixel in cm; no edge of a vertebra is sharper.
    """
    column, scale = trunk.column, float(trunk.scale.max())
    rows = RowTable(column)
    levels = np.broadcast_to(column.levels, column.x.shape)
    middle = x - rows.look_up(rows.of(column.x), y[:, :, :1])
    lean = rows.look_up(rows.of(column.tilt), y[:, :, :1])
    rib_level = rows.look_up(rows.of(levels), y - 0.7 * middle * np.sin(lean))
    side = middle / (along(CHEST, rib_level) * trunk.scale)
    soft = soft_tissue(trunk, x, rib_level, middle, side)
    bone = ribs(trunk, rib_level, side) + shoulders_and_head(trunk, rib_level, middle)

    # Only these columns and rows hold vertebrae and pelvis.
    spine = slice(*np.searchsorted(x[0, 0], [column.x.min() - 7 * scale, column.x.max() + 7 * scale]))
    below = slice(np.searchsorted(y[0, :, 0], column.y[:, np.searchsorted(column.levels, 0)].min() - 4 * scale), None)
    level, across = np.zeros_like(soft), np.full_like(soft, np.inf)
    level[:, :, spine], across[:, :, spine] = follow(column, x[:, :, spine], y[:, :, spine], 6.0)
    turn = rows.look_up(rows.of(trunk.turn), y[:, :, :1])
    bone[:, :, spine] += vertebrae(trunk, level[:, :, spine], across[:, :, spine], turn, pixel)
    bone[:, below] += pelvis(trunk, x[:, below], y[:, below], pixel)
    return soft, bone * trunk.mineral, level, across


def soft_tissue(trunk: Trunk, x: Stack, level: Stack, middle: Stack, side: Stack) -> Stack:
    """Return the depth of the body without its air: lungs above the domes of the diaphragm, and bowel gas."""
    scale = trunk.scale
    outline = along(BODY, level) * scale * trunk.girth
    inside = np.clip(1 - (np.abs(0.4 * middle + 0.6 * x) / outline) ** 3, 0, 1)
    depth = (19 + 2 * np.cos(level * 0.35)) * scale * trunk.girth * np.sqrt(inside)

    right = (middle < 0).astype(np.float32)
    lateral = np.abs(side) - 0.42
    floor = trunk.dome + 0.5 * right - np.where(lateral > 0, 6.0, 1.5).astype(np.float32) * lateral * lateral
    over, up = middle / scale - 2.2, (level - trunk.dome - 1.4) * 2.4
    heart = np.hypot((over - 0.55 * up) / 6.3, (up + 0.55 * over) / 4.9)
    heart = smooth_step((1.08 * trunk.heart - heart) * 2.5)
    hilum = (2.1 + 0.8 * np.exp(-(((level - 12.3) / 1.3) ** 2))) * scale
    free = smooth_step((np.abs(middle) - hilum) / (1.1 * scale)) * (1 - 0.65 * heart)
    lung = smooth_step((0.97 - np.abs(side)) * 9) * smooth_step((level - floor) * 2.5) * free
    vessels = 1 - 0.3 * np.exp(-np.abs(middle) / (3.5 * scale))
    depth *= 1 - 0.68 * lung * vessels * np.sqrt(np.clip(1.05 - side * side, 0, 1))
    depth += 1.5 * smooth_step((floor - level) * 1.5) * right * smooth_step(level - 3)  # the liver
    belly = (
        smooth_step((floor - 0.3 - level) * 2) * smooth_step((level + 4) / 2) * smooth_step((0.85 - np.abs(side)) * 4)
    )
    gas = 5.0 * smooth_step((trunk.bowel - 1.35) * 1.6) * (1 - 0.8 * right * smooth_step((level - 3) / 2))
    return np.maximum(depth - gas * belly * scale, 0)


def ribs(trunk: Trunk, level: Stack, side: Stack) -> Stack:
    """Return twelve pairs of ribs: the back arc falls to the side, the front arc on to the breastbone."""
    reach = np.abs(side)
    total = np.zeros_like(side)
    for path, lowest, strength in (
        (level + trunk.rib_drop * (1.9 * reach * reach - 0.5 * reach), 5.0, 1.0),
        (level + trunk.rib_drop * (4.6 - 2.7 * reach), 8.2, 0.5),
    ):
        across = path - np.floor(path) - 0.5
        half = 0.20 + 0.02 * np.cos(3 * path)
        tube = np.sqrt(np.clip(1 - (across / half) ** 2, 0, 1))
        rim = np.clip(1 - np.abs(np.abs(across) - half * 0.85) / 0.08, 0, 1)
        kept = smooth_step((path - lowest) * 6) * smooth_step((16.9 - path) * 6)
        total += strength * kept * (0.55 * tube + 0.6 * rim)
    edge = np.exp(-(((reach - 0.965) / 0.03) ** 2)) * smooth_step((level - 4.5) * 2) * smooth_step((16 - level) * 2)
    return trunk.scale * (total * smooth_step((1 - reach) * 12) * smooth_step((reach - 0.10) * 15) + 0.9 * edge)


def shoulders_and_head(trunk: Trunk, level: Stack, middle: Stack) -> Stack:
    """Return collar bones, shoulder blades, and the jaw and skull above the neck."""
    away = np.abs(middle) / trunk.scale
    collar = np.clip(1 - ((level - 16.1 - 0.06 * away - 0.25 * np.sin(0.45 * away)) / 0.36) ** 2, 0, 1)
    collar = np.sqrt(collar) * smooth_step(away - 2) * smooth_step((15.5 - away) / 2)
    blade = smooth_step((1 - np.hypot((away - 12.6 - 0.45 * (level - 12.5)) / 3.0, (level - 13.2) / 2.7)) * 4)
    skull = smooth_step((1 - np.hypot(away / 8.0, (level - 25.4) * 1.6 / 6.8)) * 5)
    return trunk.scale * (1.1 * collar + 0.35 * blade + 3.0 * skull)


def vertebrae(trunk: Trunk, level: Stack, across: Stack, turn: Stack, pixel: float) -> Stack:
    """Return bodies with end plates and cortex, pedicles, spinous and transverse processes."""
    scale = trunk.scale
    wobble = of_level(trunk.wobble, level)
    turned = np.sin(turn)
    tall = along(LEVEL_HEIGHT, level) * scale  # cm
    up = (level - np.floor(level) - 0.5) * tall
    half = (2.45 - 0.08 * np.clip(level, 0, 16)) * scale * (1 + wobble)
    high = (0.385 + 0.3 * wobble) * tall
    edge = max(0.22, pixel)
    rise = np.clip(up / high, -1.2, 1.2)
    waist = half * (0.88 + 0.13 * rise * rise)
    inside = band(across, waist, edge)

    body = band(up, high, edge) * inside
    shell = np.exp(-(((np.abs(up) - high + 0.6 * edge) / (0.55 * edge)) ** 2)) * inside
    walls = np.exp(-(((np.abs(across) - waist + 0.5 * edge) / (0.5 * edge)) ** 2)) * band(up, high, edge)
    behind = across + 2.2 * scale * turned
    apart = half * (0.60 + 0.03 * np.clip(5 - level, 0, 5))
    eye = np.hypot((np.abs(behind) - apart) / (0.40 * scale), (up - 0.13 * tall) / (0.20 * tall))
    eyes = 0.3 * smooth_step((1.1 - eye) * 3) + np.exp(-(((eye - 1) / 0.32) ** 2))
    tip = np.hypot((across + 4.6 * scale * turned) / (0.30 * scale), (up + 0.22 * tall) / (0.30 * tall))
    spine = 0.4 * smooth_step((1.15 - tip) * 3) + 0.8 * np.exp(-(((tip - 1) / 0.32) ** 2))
    arch = band(behind, 1.25 * apart, 0.8) * np.exp(-(((up + 0.24 * tall) / (0.15 * tall)) ** 2))
    joint = np.exp(-(((np.abs(behind) - 0.85 * apart) / (0.35 * scale)) ** 2 + ((np.abs(up) - 0.46 * tall) / 0.5) ** 2))
    length = half * (1.8 - 0.2 * np.abs(level - 2.5) * (level < 5))
    wing = band(behind, length, 0.5) * np.exp(-(((up - 0.1 * tall) / (0.28 * scale)) ** 2)) * (1 - inside)
    present = smooth_step(level * 8) * smooth_step((23.5 - level) * 3)
    thick = scale * present * (1 + 0.04 * np.clip(6 - level, -8, 6))
    front = 0.85 * body + 0.8 * shell + 0.75 * walls
    return thick * (front + 1.0 * eyes + 0.95 * spine + 0.65 * arch + 0.5 * joint + 0.5 * wing)


def pelvis(trunk: Trunk, x: Stack, y: Stack, pixel: float) -> Stack:
    """Return sacrum with its holes, iliac wings with their crests, pelvic ring, and heads of the femurs."""
    column = trunk.column
    x, y = (
        (place - np.array([[[np.interp(0, column.levels, one)]] for one in line], dtype=np.float32)) / trunk.scale
        for place, line in ((x, column.x), (y, column.y))
    )
    away = np.abs(x)
    taper = 5.2 - 0.38 * np.clip(y, 0, 12)
    sacrum = band(x, taper, max(0.8, pixel)) * smooth_step((y + 0.3) / 0.6) * smooth_step((11 - y) / 2)
    hole = np.hypot((away - 0.42 * taper) / 0.5, (np.mod(y - 1, 2.2) - 1.1) / 0.42)
    rim = np.exp(-(((hole - 1.2) / 0.4) ** 2)) * (y > 1) * (y < 9)
    holes = smooth_step((1.3 - hole) * 2) * (y > 1) * (y < 9)
    wing = np.hypot((away - 8.4 + 0.28 * (y - 2)) / 5.9, (y - 4.4) / 7.2)
    ring = np.hypot(x / 6.6, (y - 11.6) / 5.0)
    outer = np.hypot(x / 9.3, (y - 12.2) / 7.2)
    ilium = smooth_step((1 - wing) * 8) * smooth_step((ring - 1) * 6)
    crest = np.exp(-(((wing - 0.96) / 0.045) ** 2)) * (away > 4.2) * smooth_step((9 - y) / 3)
    brim = np.exp(-(((ring - 1.04) / 0.05) ** 2)) * (y > 3)
    rami = smooth_step((1 - outer) * 5) * smooth_step((ring - 1) * 6) * smooth_step((y - 7) / 3)
    opening = smooth_step((1 - np.hypot((away - 4.6) / 2.0, (y - 17.6) / 1.7)) * 4)
    gap = np.exp(-(((away - taper - 0.1) / 0.25) ** 2)) * (y > 0.5) * (y < 6)
    head = smooth_step((1 - np.hypot(away - 10.3, y - 13.4) / 2.5) * 6)
    shaft = band(away - 13.4 - 0.05 * (y - 15), 1.7, 0.6) * smooth_step((y - 14.5) / 2)
    sheet = ilium * (0.7 + 0.6 * np.clip((away - 6) / 6, 0, 1) - 0.5 * gap) + 1.2 * crest + 1.0 * brim
    limbs = np.maximum(1.8 * head, 1.6 * shaft) + 1.3 * rami * (1 - opening)
    return trunk.scale * (sacrum * (1.0 - 0.5 * holes + 0.4 * rim) + sheet + limbs)
