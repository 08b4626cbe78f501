"""What the pen wrote on a page of an electrocardiogram, without the ruling, the paper and the light on it."""

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from medshot.imaging.arrays import Image

INK_WIDTH = 1120  # pixels; larger pages are shrunk to it
LEAST = 64  # pixels; shorter sides are stretched to it
FAINT, FULL = 0.35, 0.75  # of the darkness of the page's strongest strokes: where ink begins and where it is full
_ANGLES = np.arange(-4, 4.01, 0.25).tolist()  # degrees

Light = UInt8[np.ndarray, "_ _"]
Ink = Float32[np.ndarray, "rows columns"]


def read_ink(page: Image) -> Ink:
    """The share of ink in every pixel, 0 to 1, of the page turned so that its rows are level.

    Paper is what a morphological closing finds between the lines, so that uneven light does not count, and what is much
    darker than most of the paper is what the page lies on. Long upright lines, which part the leads on some pages,
    stay: see `without_bars`.

    Args:
        page: a scan or a photograph, upright to a few degrees; black bars at its sides are cut off.
    """
    return _level(_darkness(read_light(page)))


def read_light(page: Image) -> Light:
    """The brightest of the three colours, which hides a coloured ruling from a dark pen, as large as the ink.

    Args:
        page: see `read_ink`.
    """
    light = page.max(axis=2) if page.ndim == 3 else page
    if light.dtype == np.uint16:
        light = (light >> 8).astype(np.uint8)
    if light.shape[1] > INK_WIDTH:
        size = (INK_WIDTH, max(1, round(light.shape[0] * INK_WIDTH / light.shape[1])))
        light = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
    light = _without_margins(light)
    if min(light.shape) < LEAST:
        light = cv2.resize(light, (max(LEAST, light.shape[1]), max(LEAST, light.shape[0])))
    return light


def without_bars(ink: Ink) -> Ink:
    """The ink without upright lines longer than a third of the page."""
    kernel = np.ones((max(3, len(ink) // 3), 1), np.uint8)
    bars = cv2.morphologyEx(np.pad(ink, ((9, 9), (0, 0))), cv2.MORPH_OPEN, kernel)[9:-9]
    return np.where(cv2.dilate(bars, np.ones((3, 3), np.uint8)) > 0.3, np.float32(0), ink)


def _without_margins(light: Light) -> Light:
    """The page without rows and columns at its sides that are black throughout."""
    rows, columns = np.flatnonzero(light.any(axis=1)), np.flatnonzero(light.any(axis=0))
    return light[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else light


def _darkness(light: Light) -> Ink:
    side = max(1, light.shape[1] // 40) * 2 + 1
    # continued at its borders, so that a sliver of what the page lies on is not as narrow as a stroke
    wide = cv2.copyMakeBorder(cv2.medianBlur(light, 3), side, side, side, side, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    paper = cv2.medianBlur(closed, min(side, 31))[side:-side, side:-side].astype(np.float32)
    lit = paper > 0.3 * np.percentile(paper, 90)
    dark = np.where(lit, 1 - light / np.maximum(paper, 1), 0).astype(np.float32)
    strongest = max(float(np.percentile(dark, 99.5)), 0.05)
    return np.clip((dark / strongest - FAINT) / (FULL - FAINT), 0, 1)


def _level(ink: Ink) -> Ink:
    """The ink turned by the angle that gathers it in the fewest rows."""
    height, width = ink.shape
    small = cv2.resize(ink, (280, max(1, round(280 * height / width))), interpolation=cv2.INTER_AREA)

    def gathered(degrees: float) -> float:
        return float(np.square(_turned(small, degrees).sum(axis=1, dtype=np.float64)).sum() - 1e-3 * abs(degrees))

    return _turned(ink, max(_ANGLES, key=gathered))


def _turned(ink: Ink, degrees: float) -> Ink:
    height, width = ink.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(ink, turn, (width, height)) if degrees else ink
