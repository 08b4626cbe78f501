"""Draw a twelve-lead waveform as a recorder prints it, without the grid, and read the ink of such pages."""

import re

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from medshot.errors import InputError
from medshot.imaging.scan import MILLIVOLTS, Image, Scan

LAYOUT = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"), ("II",))
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
SPEED = 25.0  # mm per second
GAIN = 10.0  # mm per millivolt
SCALE = 4  # pixels per mm
SECONDS = 10.0  # of a whole row
ROW = 38.0  # mm from base line to base line
HEIGHT, WIDTH = 152.0, 270.0  # mm
LEFT, TOP = 10.0, 24.0  # mm: start of the traces, base line of the first row
PEN = 0.25  # mm; smoothing of its edges doubles it

_KNOWN = {name.lower(): name for name in LEADS}

Trace = Float[np.ndarray, " samples"]


def ecg_page(scan: Scan) -> UInt8[np.ndarray, "height width"]:
    """Draw the page of a twelve-lead electrocardiogram: three rows of four leads above a strip of lead II.

    Scales are those of paper, 25 mm per second and 10 mm per millivolt, at 4 pixels per millimetre, so equal voltages
    look equal for all recorders. Each of the twelve leads shows 2.5 seconds, one column after the other in time as far
    as the recording reaches; the strip shows 10 seconds. Each lead has its median on the base line. The pen is black on
    white, as on scanned paper, so that one task may hold both waveforms and pages. The place of a missing lead is
    empty.

    Args:
        scan: a waveform as `medshot.imaging.read` returns it; leads other than the twelve are ignored.

    Returns:
        A grey picture, 608 pixels high and 1080 wide.

    Raises:
        InputError: the scan is not a waveform, has no usable sampling rate or unit, or holds values that are not
            finite; none of its leads is one of the twelve, or one of them occurs twice.
    """
    leads, rate = _millivolts(scan)
    page = np.full((round(HEIGHT * SCALE), round(WIDTH * SCALE)), 255, dtype=np.uint8)
    for row, names in enumerate(LAYOUT):
        seconds = SECONDS / len(names)
        for column, name in enumerate(names):
            if name in leads:
                part = _section(leads[name], column * seconds, seconds, rate)
                _draw(page, part, rate, LEFT + column * seconds * SPEED, TOP + row * ROW)
    return page


def lead_name(name: str) -> str | None:
    """Return the lead that a name such as "Lead I (Einthoven)" or "MDC_ECG_LEAD_aVR" means; None for other names."""
    short = re.sub(r"\(.*?\)|mdc_ecg_lead_|\blead\b|[\s_-]", "", name.lower())
    return _KNOWN.get(short)


def _millivolts(scan: Scan) -> tuple[dict[str, Trace], float]:
    """Return those of the twelve leads that the scan has, in millivolts with median 0, and the samples per second."""
    step = scan.spacing[2]
    if scan.kind != "waveform" or scan.array.ndim != 3 or scan.array.shape[1] != len(scan.leads):
        raise InputError(f"an ECG page is drawn from a waveform with one name per lead, and this is a {scan.kind}.")
    if step is None or not np.isfinite(step) or not 0 < step <= 1000 / SPEED:
        raise InputError(f"the waveform has {step} ms from sample to sample; give a spacing above 0 and up to 40 ms.")
    if scan.units not in MILLIVOLTS:
        raise InputError(f"the waveform's unit is '{scan.units}'; convert it to mV, uV or V.")
    leads: dict[str, Trace] = {}
    for name, values in zip(scan.leads, scan.array[0].astype(np.float64), strict=True):
        known = lead_name(name)
        if known is None:
            continue
        if known in leads:
            raise InputError(f"the waveform holds lead {known} twice; keep one of the two.")
        if values.size < 2 or not np.isfinite(values).all():
            raise InputError(f"lead {known} holds values that are not finite, or fewer than 2; leave the lead out.")
        leads[known] = (values - np.median(values)) * MILLIVOLTS[scan.units]
    if not leads:
        raise InputError(f"the waveform's leads are {', '.join(scan.leads)[:200]}, none of the twelve; rename them.")
    return leads, 1000 / step


def _section(lead: Trace, start: float, seconds: float, rate: float) -> Float[np.ndarray, " part"]:
    """Return the samples from `start` seconds on; the last `seconds` of a lead that ends earlier."""
    count = round(seconds * rate) + 1
    first = max(0, min(round(start * rate), lead.size - count))
    return lead[first : first + count]


def _draw(page: UInt8[np.ndarray, "height width"], lead: Trace, rate: float, left: float, base: float) -> None:
    """Draw a line through the samples, clipped at the edges of the page."""
    x = left + np.arange(lead.size) * SPEED / rate
    y = np.clip(base - GAIN * lead, -HEIGHT, 2 * HEIGHT)
    points = np.rint(np.stack([x, y], axis=1) * SCALE * 16).astype(np.int32)
    cv2.polylines(page, [points], False, 0, round(PEN * SCALE), cv2.LINE_AA, shift=4)


INK_WIDTH = 1120  # pixels; larger pages are shrunk to it
LEAST = 64  # pixels; shorter sides are stretched to it
FAINT, FULL = 0.35, 0.75  # shares of the darkness of the strongest strokes at which ink begins and is full
_ANGLES = np.arange(-4, 4.01, 0.25).tolist()  # degrees

Light = UInt8[np.ndarray, "_ _"]
Ink = Float32[np.ndarray, "rows columns"]


def read_ink(page: Image) -> Ink:
    """Return the share of ink in each pixel, 0 to 1, after levelling the rows of the page.

    A morphological closing finds the paper between the lines, so that uneven light has no effect; what is much darker
    than most of the paper is background. Long vertical lines, which separate the leads on some pages, are kept: see
    `without_bars`.

    Args:
        page: a scan or a photograph, upright to within a few degrees; black bars at its sides are cut off.
    """
    return _level(_darkness(read_light(page)))


def read_light(page: Image) -> Light:
    """Return the brightest of the three colours, which hides a coloured grid, in the size of the ink.

    Args:
        page: as for `read_ink`.
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
    """Return the ink without vertical lines longer than a third of the page."""
    kernel = np.ones((max(3, len(ink) // 3), 1), np.uint8)
    bars = cv2.morphologyEx(np.pad(ink, ((9, 9), (0, 0))), cv2.MORPH_OPEN, kernel)[9:-9]
    return np.where(cv2.dilate(bars, np.ones((3, 3), np.uint8)) > 0.3, np.float32(0), ink)


def _without_margins(light: Light) -> Light:
    """Crop rows and columns that are all black from the sides of the page."""
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
    """Rotate the ink by the angle that concentrates it in the fewest rows."""
    height, width = ink.shape
    small = cv2.resize(ink, (280, max(1, round(280 * height / width))), interpolation=cv2.INTER_AREA)

    def gathered(degrees: float) -> float:
        return float(np.square(_turned(small, degrees).sum(axis=1, dtype=np.float64)).sum() - 1e-3 * abs(degrees))

    return _turned(ink, max(_ANGLES, key=gathered))


def _turned(ink: Ink, degrees: float) -> Ink:
    height, width = ink.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(ink, turn, (width, height)) if degrees else ink
