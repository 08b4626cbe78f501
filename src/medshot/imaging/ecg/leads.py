"""Where the leads of a page are, and each of them cut out."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from medshot.imaging.arrays import Image
from medshot.imaging.ecg.ink import Ink, read_ink, read_light
from medshot.imaging.ecg.page import LAYOUT

ROWS, COLUMNS = 4, 4  # three rows of four leads, and a strip of one
PAGE_LEADS = (*itertools.chain(*LAYOUT[:-1]), "strip")
BROAD, TRACED = 1.3, 0.8  # how much wider than high a page is, and the share of columns in which a row has ink
INKED = 0.15  # the largest share of a page that is ink
REACH = 0.62  # of the distance of rows: how far above and below its base line a lead is cut


@dataclass(frozen=True)
class Layout:
    """Where the rows of a page are, in pixels.

    Args:
        rows: each row's base line.
        spacing: from one base line to the next.
        start: column in which the traces begin.
        end: column after their last.
    """

    rows: tuple[int, ...]
    spacing: float
    start: int
    end: int


def cut_leads(ink: Ink, layout: Layout) -> list[UInt8[np.ndarray, "_ _"]]:
    """The leads of a page of three rows of four above one strip, row by row, each white on black.

    Args:
        ink: of the page, without upright bars.
        layout: where its rows are.
    """
    white = np.rint(255 * ink).astype(np.uint8)
    rows = [cut(white, layout, row, part, COLUMNS) for row in range(ROWS - 1) for part in range(COLUMNS)]
    return [*rows, cut(white, layout, ROWS - 1, 0, 1)]


def is_page(page: Image) -> bool:
    """Whether it looks like a page of such a layout: wider than high, hardly any ink, and a trace along four even rows.

    Args:
        page: see `read_ink`.
    """
    height, width = read_light(page).shape
    if width < BROAD * height:
        return False
    ink = read_ink(page)
    if (ink > 0.3).mean() > INKED:
        return False
    layout = find_layout(ink)
    near = round(0.45 * layout.spacing)
    for row in layout.rows:
        band = ink[max(0, row - near) : row + near + 1, layout.start : layout.end]
        if (band.max(axis=0) > 0.3).mean() < TRACED:
            return False
    return layout.end - layout.start > width / 2


def find_layout(ink: Ink) -> Layout:
    """The evenly spaced rows that most of the ink lies on, and the columns from which to which they reach."""
    height, width = ink.shape
    profile = np.convolve(ink.sum(axis=1), np.hanning(max(3, height // 50 | 1)), "same")
    first, spacing = _even_rows(profile)
    reach = round(spacing * 0.12)
    rows = []
    for row in range(ROWS):
        middle = round(first + row * spacing)
        top = max(0, middle - reach)
        rows.append(top + int(np.argmax(profile[top : middle + reach + 1])))
    near = round(0.3 * spacing)
    extents = [_extent(ink[max(0, row - near) : row + near + 1]) for row in rows]
    start, end = (round(float(np.median(side))) for side in zip(*extents, strict=True))
    if end - start < width / 2:
        start, end = round(0.05 * width), round(0.97 * width)
    return Layout(tuple(rows), spacing, start, end)


def cut(picture: np.ndarray, layout: Layout, row: int, part: int, parts: int, reach: float = REACH) -> np.ndarray:
    """One part of one row, `reach` of the distance of rows above and below it; beyond the page its edge goes on."""
    half = max(1, round(layout.spacing * reach))
    edges = np.linspace(layout.start, layout.end, parts + 1).round().astype(int)
    rows = np.arange(layout.rows[row] - half, layout.rows[row] + half).clip(0, len(picture) - 1)
    left = min(edges[part], picture.shape[1] - 1)
    return picture[rows, left : max(edges[part + 1], left + 1)]


def _even_rows(profile: Float[np.ndarray, " height"]) -> tuple[float, float]:
    """Base line of the first row and the distance of rows, by the sum of the roots of the ink on them."""
    height = len(profile)
    roots = np.sqrt(np.maximum(profile, 0))
    best = (-1.0, 0.0, height / ROWS)
    step = max(1.0, height / 320)
    for spacing in np.arange(height / (ROWS + 2), height / (ROWS - 0.5), step):
        firsts = np.arange(0.3 * spacing, height - (ROWS - 1) * spacing - 0.2 * spacing, step)
        if len(firsts):
            at = np.rint(firsts[:, None] + spacing * np.arange(ROWS)).astype(int).clip(0, height - 1)
            sums = roots[at].sum(axis=1)
            best = max(best, (float(sums.max()), float(firsts[sums.argmax()]), float(spacing)))
    return best[1:]


def _extent(band: Ink) -> tuple[int, int]:
    """First column of the longest stretch of ink and the one after its last; gaps of half a percent are bridged."""
    width = band.shape[1]
    inked = (band.max(axis=0) > 0.3).astype(np.uint8)[None]
    closed = cv2.morphologyEx(inked, cv2.MORPH_CLOSE, np.ones((1, max(1, width // 200)), np.uint8))[0]
    edges = np.flatnonzero(np.diff(closed, prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    if len(starts) == 0:
        return 0, width
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])
