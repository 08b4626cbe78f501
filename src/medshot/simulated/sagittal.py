"""The lumbar spine and its neighbours in the midsagittal plane, painted with the signal of each tissue.

Positions are in centimetres: x to the right of the image, which is the patient's back, y downwards. Heights
along the spine are levels (see `vertebrae`); whole numbers are the middles of discs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from medshot.simulated.texture import smooth_step
from medshot.simulated.vertebrae import NODES_PER_LEVEL, RowTable, SpineLine, Stack, along, band, follow, of_level

LOWEST, HIGHEST = -6.0, 13.0  # levels
LEVEL_HEIGHT = ((-6, -3, -1, 0, 4, 8, 13), (1.6, 2.2, 2.9, 3.6, 3.5, 2.9, 2.4))  # cm
TILT = (
    (-6, -4, -2, -0.6, 0.3, 1, 2.5, 5, 7, 9, 13),
    (0, -26, -42, -46, -32, -18, 0, 15, 12, 3, -12),
)  # degrees
DEPTH = ((-6, -4, -2, -0.3, 0, 5, 13), (0.4, 0.6, 1.0, 1.6, 1.75, 1.65, 1.3))  # half depth of a body, cm
Each = Float[np.ndarray, "images 1 1"]
Field = Float[np.ndarray, "images rows columns"]


@dataclass(frozen=True)
class Loin:
    """The lower backs of people in the scanner, one value each.

    Args:
        column: centre lines through the vertebral bodies.
        slip: forward shift of each vertebra, in cm; the first belongs to level -6.
        dryness: 0 for a young disc, 1 for one without water; the first belongs to the disc at level -6.
        marrow: random field of the marrow.
        bowel: random field of what lies in front of the spine.
        scale: size against a mean adult.
        conus: level at which the cord ends.
        fat: thickness of the fat under the skin, in cm.
        back: distance from the bodies to the skin, in cm.
        aorta: distance of the aorta in front of the bodies, in cm.
        canal: depth of the spinal canal, in cm.
        vessel: how much of the aorta lies in the slice.
    """

    column: SpineLine
    slip: Float[np.ndarray, "images levels"]
    dryness: Float[np.ndarray, "images discs"]
    marrow: Field
    bowel: Field
    scale: Each
    conus: Each
    fat: Each
    back: Each
    aorta: Each
    canal: Each
    vessel: Each

    def one_by_one(self) -> Iterator["Loin"]:
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


def signal(person: Loin, tissue: dict[str, float], x: Stack, y: Stack, pixel: float) -> tuple[Stack, Stack, Stack]:
    """Return the signal without coil or noise, and each pixel's place along and across the spine (slipped with it).

    Args:
        person: who is in the scanner.
        tissue: signal of each tissue in this sequence.
        x: position of the pixels.
        y: position of the pixels.
        pixel: side of a pixel in cm; no edge is sharper.
    """
    rows = RowTable(person.column)
    smooth_line = gaussian_filter1d(person.column.x, 1.5 * NODES_PER_LEVEL, axis=1)
    behind = (x - rows.look_up(rows.of(smooth_line), y[:, :, :1])) / person.scale
    column, scale = person.column, float(person.scale.max())
    levels = np.broadcast_to(column.levels, column.x.shape)
    rough = rows.look_up(rows.of(levels), y[:, :, :1])
    picture = surroundings(person, tissue, behind, rough)

    # Only these columns hold the spine and its processes.
    spine = slice(*np.searchsorted(x[0, 0], [column.x.min() - 3 * scale, column.x.max() + 9 * scale]))
    level, body = np.zeros_like(picture), np.full_like(picture, np.inf)
    level[:, :, spine], across = follow(column, x[:, :, spine], y[:, :, spine], 6.0)
    steps = np.repeat(person.slip, NODES_PER_LEVEL, axis=1)
    glide = gaussian_filter1d(np.concatenate([steps, steps[:, -1:]], axis=1), 0.3 * NODES_PER_LEVEL, axis=1)
    sac = across / person.scale + rows.look_up(rows.of(glide), y[:, :, :1])
    body[:, :, spine] = across / person.scale + of_level(person.slip, level[:, :, spine] - LOWEST)
    part = replace(person, marrow=person.marrow[:, :, spine], bowel=person.bowel[:, :, spine])
    paint_back(picture[:, :, spine], part, tissue, level[:, :, spine], sac, behind[:, :, spine])
    paint_canal(picture[:, :, spine], part, tissue, level[:, :, spine], sac)
    paint_bodies(picture[:, :, spine], part, tissue, level[:, :, spine], body[:, :, spine], pixel)
    return picture * smooth_step((person.back - behind) / 0.15), level, body


def paint(picture: Stack, share: Stack, colour: Stack | float) -> None:
    """Paint a colour where `share` is 1."""
    picture += share * (colour - picture)


def surroundings(person: Loin, tissue: dict[str, float], behind: Stack, level: Stack) -> Stack:
    """Paint bowel and fat in front, great vessels, muscle behind, and the fat under the skin."""
    loops = smooth_step(0.5 + 0.55 * person.bowel + 0.12 * person.marrow)
    picture = tissue["fat"] * 0.8 + loops * (tissue["bowel"] * (1 + 0.25 * person.bowel) - tissue["fat"] * 0.9)
    paint(picture, smooth_step((person.bowel - 1.7) * 3), tissue["air"])
    paint(picture, smooth_step((behind + 3.4) / 0.8), 0.6 * tissue["fat"] + 0.4 * tissue["muscle"])
    vessel = band(behind + 1.9 + person.aorta, 0.25 + 0.55 * person.vessel, 0.4) * smooth_step((level - 0.8) * 2)
    wall = band(behind + 1.9 + person.aorta, 0.4 + 0.6 * person.vessel, 0.4) * smooth_step((level - 0.7) * 2)
    paint(picture, person.vessel * wall, tissue["muscle"])
    paint(picture, person.vessel * vessel, tissue["vessel"])
    fibres = 1 + 0.12 * person.marrow + 0.35 * smooth_step(person.bowel * 2 - 1)
    paint(picture, smooth_step((behind - 2.0) / 0.4), tissue["muscle"] * fibres)
    skin_fat = smooth_step((behind - person.back + person.fat) / 0.35)
    paint(
        picture,
        np.maximum(skin_fat, smooth_step(-level - 0.6) * smooth_step((behind - 3.5) / 0.6)),
        tissue["fat"],
    )
    paint(picture, smooth_step((behind - person.back + 0.22) / 0.12), tissue["muscle"])
    return picture


def paint_back(picture: Stack, person: Loin, tissue: dict[str, float], level: Stack, sac: Stack, behind: Stack) -> None:
    """Paint spinous processes that slope downwards, and the ligaments and fat between them."""
    start = along(DEPTH, level) + person.canal + 0.3
    out = sac - start
    shifted = level + 0.16 * out / 2 + 0.32
    up = (shifted - np.floor(shifted) - 0.5) * along(LEVEL_HEIGHT, level)
    long = smooth_step((3.1 - 0.22 * np.abs(level - 3) - out) / 0.25) * smooth_step(out / 0.25)
    long *= smooth_step((level + 1.2) * 3)
    tall = 0.55 + 0.28 * np.clip(out / 2.5, 0, 1)
    deep = smooth_step((person.back - person.fat - behind) / 0.3)
    long *= deep
    between = deep * smooth_step(out / 0.2) * smooth_step((3.3 - out) / 0.4) * smooth_step((level + 0.8) * 3)
    stripes = 0.45 + 0.15 * np.sin(8 * out + 5 * up + person.marrow) + 0.12 * person.marrow
    paint(picture, 0.85 * between, tissue["muscle"] + 0.7 * stripes * (tissue["fat"] - tissue["muscle"]))
    paint(picture, long * band(up, tall + 0.14, 0.15), tissue["cortex"])
    paint(picture, long * band(up, tall - 0.04, 0.15), tissue["marrow"] * (1 + 0.1 * person.marrow))
    paint(picture, deep * band(out - 3.35, 0.10, 0.15) * smooth_step((level + 0.5) * 3), tissue["cortex"])


def paint_canal(picture: Stack, person: Loin, tissue: dict[str, float], level: Stack, sac: Stack) -> None:
    """Paint the dural sac with its fluid, the cord down to the conus, the roots below it, and fat around the sac."""
    out = sac - along(DEPTH, level) - 0.12
    depth = person.canal * (0.55 + 0.45 * smooth_step((level + 2.0) / 2.5))

    def within(low: float, past: float) -> Stack:
        return smooth_step((out - low) / 0.12) * smooth_step((depth + past - out) / 0.12)

    sacral = smooth_step(level + 3.7)
    paint(picture, within(-0.15, 0.28) * sacral, tissue["cortex"])
    triangle = 0.38 * np.clip(np.cos(2 * np.pi * (level - 0.02)), 0, 1) + 0.3 * smooth_step(0.3 - level)
    paint(picture, band(out - depth - 0.12, triangle, 0.15) * sacral, tissue["fat"])
    paint(picture, within(-0.05, 0.0) * sacral, tissue["fat"])
    fluid = within(0.02, -0.05) * smooth_step((level + 2.0) * 1.5)
    paint(picture, fluid, tissue["fluid"])
    above = level - person.conus
    half = 0.36 * np.sqrt(np.clip(above / 1.2, 0, 1))
    centre = depth * (0.52 + 0.1 * np.clip(1 - above, 0, 1))
    paint(picture, fluid * band(out - centre, half, 0.12) * (above > 0), tissue["cord"])
    below = np.clip(-above, 0, 6)
    place = (out / depth - 0.62 + 0.02 * below) / (0.30 - 0.015 * below)
    strands = (
        smooth_step((1 - np.abs(place)) * 3)
        * (0.45 + 0.35 * np.sin(14 * place + 0.8 * level))
        * smooth_step(0.6 - 2 * above)
    )
    paint(picture, fluid * strands * smooth_step((level + 1.2) / 1.5), tissue["cord"])


def paint_bodies(
    picture: Stack, person: Loin, tissue: dict[str, float], level: Stack, body: Stack, pixel: float
) -> None:
    """Paint vertebral bodies with cortex, marrow and basivertebral vein, and the discs between them."""
    tall = along(LEVEL_HEIGHT, level)
    edge = max(0.10, 0.8 * pixel)
    depth = along(DEPTH, level)
    sacral = smooth_step(-2 * level)
    dry = of_level(person.dryness, level - LOWEST + 0.5)
    up = (level - np.floor(level) - 0.5) * tall
    high = (0.378 + 0.03 * dry + 0.07 * sacral) * tall
    from_disc = (level - np.rint(level)) * tall
    thick = 0.5 * tall - high
    rise = np.clip(up / high, -1.15, 1.15)
    wall = depth * (0.92 + 0.09 * rise * rise)
    present = smooth_step((level + 4.4) * 2)

    disc = band(from_disc, thick + 0.12, edge) * band(body, depth * (1.02 + 0.05 * dry), edge) * present
    paint(picture, disc, tissue["annulus"])
    core = np.hypot((body + 0.05) / (0.74 * depth), from_disc / (0.92 * thick + 0.05))
    nucleus = smooth_step((1.02 - core) * 3) * (1 - 0.8 * sacral)
    cleft = 1 - 0.18 * np.exp(-((from_disc / 0.09) ** 2)) * (1 - dry)
    wet = tissue["nucleus"] + dry * (0.7 * tissue["annulus"] + 0.3 * tissue["muscle"] - tissue["nucleus"])
    paint(picture, nucleus * disc, wet * cleft)

    corner = np.maximum(np.abs(up) / high, 0) ** 8 + (np.abs(body) / wall) ** 8
    reach = (1 - corner ** (1 / 8)) * np.minimum(high, wall)  # cm inside the outline
    paint(picture, smooth_step((reach + 0.06) / edge + 0.5) * present, tissue["cortex"])
    marrow = tissue["marrow"] * (1 + 0.09 * person.marrow)
    paint(picture, smooth_step((reach - 0.07) / edge + 0.5) * present, marrow)
    vein = np.hypot((body - wall + 0.1) / 0.75, up / 0.22)
    paint(picture, 0.6 * smooth_step((1.1 - vein) * 2) * (1 - sacral) * (body < wall), tissue["vein"])
