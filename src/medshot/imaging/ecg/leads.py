"""Find the leads on a page of an electrocardiogram, cut them out, and draw their median beats."""

import itertools
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from medshot.imaging.ecg.page import LAYOUT, SECONDS, Ink, read_ink, read_light, without_bars
from medshot.imaging.scan import Image

ROWS, COLUMNS = 4, 4  # three rows of four leads, and a strip of one
PAGE_LEADS = (*itertools.chain(*LAYOUT[:-1]), "strip")
BROAD, TRACED = 1.3, 0.8  # how much wider than high a page is, and the share of columns in which a row has ink
INKED = 0.15  # the largest share of a page that is ink
REACH = 0.62  # of the distance of rows: how far above and below its base line a lead is cut


@dataclass(frozen=True)
class Layout:
    """The positions of the rows of a page, in pixels.

    Args:
        rows: the base line of each row.
        spacing: the distance between base lines.
        start: the first column of the traces.
        end: the column after their last.
    """

    rows: tuple[int, ...]
    spacing: float
    start: int
    end: int


def cut_leads(ink: Ink, layout: Layout) -> list[UInt8[np.ndarray, "_ _"]]:
    """Cut out the leads of a page of three rows of four above one strip, row by row, white on black.

    Args:
        ink: the ink of the page, without vertical bars.
        layout: the positions of its rows.
    """
    white = np.rint(255 * ink).astype(np.uint8)
    rows = [cut(white, layout, row, part, COLUMNS) for row in range(ROWS - 1) for part in range(COLUMNS)]
    return [*rows, cut(white, layout, ROWS - 1, 0, 1)]


def is_page(page: Image) -> bool:
    """Whether a picture looks like such a page: wider than high, little ink, and a trace along four even rows.

    Args:
        page: as for `read_ink`.
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
    """Find the evenly spaced rows that hold most of the ink, and their first and last column."""
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
    """Cut one part of a row, `reach` row distances above and below it; the page's edge is repeated beyond the page."""
    half = max(1, round(layout.spacing * reach))
    edges = np.linspace(layout.start, layout.end, parts + 1).round().astype(int)
    rows = np.arange(layout.rows[row] - half, layout.rows[row] + half).clip(0, len(picture) - 1)
    left = min(edges[part], picture.shape[1] - 1)
    return picture[rows, left : max(edges[part + 1], left + 1)]


def _even_rows(profile: Float[np.ndarray, " height"]) -> tuple[float, float]:
    """Return the first base line and the row distance that maximise the sum of square roots of the ink on the rows."""
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
    """Return the first and the end column of the longest run of ink; gaps of half a percent are bridged."""
    width = band.shape[1]
    inked = (band.max(axis=0) > 0.3).astype(np.uint8)[None]
    closed = cv2.morphologyEx(inked, cv2.MORPH_CLOSE, np.ones((1, max(1, width // 200)), np.uint8))[0]
    edges = np.flatnonzero(np.diff(closed, prepend=0, append=0))
    starts, ends = edges[::2], edges[1::2]
    if len(starts) == 0:
        return 0, width
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])


TRACE_REACH = 0.95  # of the distance of rows: how far above and below its base line a trace is looked for
JUMP, CLIMB = 8, 0.08  # pixels that the path may climb in a column, and what one of them costs
STRAY = 0.3  # what lying at the far edge of the band costs, and the ink that makes a pixel part of a stroke


def follow_traces(ink: Ink, layout: Layout) -> Float[np.ndarray, "traces width"]:
    """Return the height of each row's trace above the middle of its band in each column, in row distances.

    Dynamic programming finds the path with the most ink and the least climbing. In each column the trace is then the
    end of the stroke through the path that is farther from the path's running median, since a spike is one stroke up
    and down.

    Args:
        ink: the ink of the page, without vertical bars.
        layout: the positions of its rows.
    """
    from scipy.ndimage import median_filter  # slow to import

    bands = np.stack([cut(ink, layout, row, 0, 1, TRACE_REACH) for row in range(ROWS)])
    height, width = bands.shape[1:]
    path = _path(bands)
    base = median_filter(path.astype(float), size=(1, max(3, width // 12 | 1)), mode="nearest")
    solid = bands > STRAY
    top, bottom = _stroke(solid, path)
    near = np.take_along_axis(solid, path[:, None], 1)[:, 0]
    thick = np.array(
        [[np.median(size[on])] if on.any() else [0.0] for size, on in zip(bottom - top, near, strict=True)]
    )
    end = np.where(base - top > bottom - base, top + thick / 2, bottom - thick / 2)
    return (height / 2 - np.where(bottom - top > 2 * thick + 1, end, (top + bottom) / 2)) / layout.spacing


def _path(bands: Float[np.ndarray, "traces height width"]) -> Int[np.ndarray, "traces width"]:
    """Return the pixel row of the cheapest path through each band, in each column."""
    height, width = bands.shape[1:]
    stray = STRAY * np.abs(np.arange(height) - height / 2) / height
    cost = np.moveaxis(1 - bands, 2, 0) + stray
    steps = np.arange(-JUMP, JUMP + 1)
    total, came = cost[0], np.zeros((width, len(bands), height), int)
    for column in range(1, width):
        padded = np.pad(total, ((0, 0), (JUMP, JUMP)), constant_values=np.inf)
        options = np.lib.stride_tricks.sliding_window_view(padded, len(steps), axis=1) + CLIMB * np.abs(steps)
        came[column] = options.argmin(axis=2)
        total = np.take_along_axis(options, came[column][..., None], 2)[..., 0] + cost[column]
    path = np.empty((len(bands), width), int)
    path[:, -1] = total.argmin(axis=1)
    rows = np.arange(len(bands))
    for column in range(width - 1, 0, -1):
        path[:, column - 1] = path[:, column] + steps[came[column, rows, path[:, column]]]
    return path


def _stroke(
    solid: Bool[np.ndarray, "traces height width"], path: Int[np.ndarray, "traces width"]
) -> tuple[Int[np.ndarray, "traces width"], Int[np.ndarray, "traces width"]]:
    """Return the first and last pixel of the stroke through the path, or the path itself if there is no ink."""
    height = solid.shape[1]
    index = np.arange(height)[:, None]
    above = np.maximum.accumulate(np.where(solid, -1, index), axis=1)
    below = np.minimum.accumulate(np.where(solid, height, index)[:, ::-1], axis=1)[:, ::-1]
    at = path[:, None]
    near = np.take_along_axis(solid, at, 1)[:, 0]
    top = np.where(near, np.take_along_axis(above, at, 1)[:, 0] + 1, path)
    bottom = np.where(near, np.take_along_axis(below, at, 1)[:, 0] - 1, path)
    return top, bottom


BEFORE, AFTER = 0.3, 0.5  # seconds around R
SAMPLES = 64
REFRACTORY = 0.33  # seconds: beats are at least so far apart
SIDE = 448  # pixels of the picture
FULL = 0.6  # distances of rows that reach from a curve's middle to its edge
PEN = 2  # pixels


def find_beats(traces: Float[np.ndarray, "traces width"]) -> Int[np.ndarray, " beats"]:
    """Return the columns of the R peaks, where all rows together change fastest; the middle column if nothing changes.

    Args:
        traces: the result of `follow_traces`: three rows of four leads in turn, and a strip of one.
    """
    from scipy.signal import find_peaks  # imported here, since it takes a second and only pages need it

    width = traces.shape[1]
    per_second = width / SECONDS
    speed = np.abs(np.diff(traces, axis=1, prepend=traces[:, :1]))
    for change in _edges(width)[1:-1]:
        speed[: ROWS - 1, max(0, change - 3) : change + 4] = 0
    window = np.hanning(max(3, round(0.1 * per_second) | 1))
    energy = np.convolve(np.sqrt(speed).sum(axis=0), window, "same")
    quarters = np.array_split(energy, COLUMNS)  # leads differ in height
    energy = np.concatenate([quarter / max(float(np.percentile(quarter, 97)), 1e-6) for quarter in quarters])
    peaks, _ = find_peaks(energy, distance=max(1, round(REFRACTORY * per_second)))
    return peaks[energy[peaks] > 0.5] if len(peaks) else np.array([width // 2])


def median_beats(traces: Float[np.ndarray, "traces width"]) -> Float[np.ndarray, "leads samples"]:
    """Return the median beat of each of the twelve leads, from 0.3 s before R to 0.5 s after it.

    Each beat is first shifted so that its own median is 0.

    Args:
        traces: as for `find_beats`.
    """
    width = traces.shape[1]
    peaks, edges = find_beats(traces), _edges(width)
    time = np.linspace(-BEFORE, AFTER, SAMPLES) * width / SECONDS
    found = []
    for row in range(ROWS - 1):
        for first, last in pairwise(edges):
            whole = peaks[(peaks + time[0] >= first) & (peaks + time[-1] <= last)]
            some = peaks[(peaks >= first) & (peaks < last)]
            inside = next((each for each in (whole, some) if len(each)), np.array([(first + last) / 2]))
            at = np.clip(inside[:, None] + time, first, last - 1)
            beats = np.interp(at.ravel(), np.arange(width), traces[row]).reshape(at.shape)
            found.append(np.median(beats - np.median(beats, axis=1, keepdims=True), axis=0))
    return np.stack(found)


def draw_beats(beats: Float[np.ndarray, "leads samples"]) -> UInt8[np.ndarray, "side side"]:
    """Draw the beats white on black in four rows of three; the leads of a row were recorded at the same time."""
    sheet = np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = (np.linspace(0, SIDE, count + 1).astype(int) for count in (COLUMNS, ROWS - 1))
    for number, beat in enumerate(beats):
        column, row = divmod(number, COLUMNS)
        place = sheet[rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
        place[:] = draw_curve(beat, *place.shape)
    return sheet


def draw_curve(values: Float[np.ndarray, " samples"], height: int, width: int) -> UInt8[np.ndarray, "height width"]:
    """Draw one curve white on black over the whole width, its median in the middle, clipped at the edges."""
    x = np.linspace(0, width - 1, len(values))
    y = (height - 1) * (0.5 - np.clip((values - np.median(values)) / (2 * FULL), -0.5, 0.5))
    points = np.rint(16 * np.stack([x, y], axis=1)).astype(np.int32)
    picture = np.zeros((height, width), np.uint8)
    cv2.polylines(picture, [points], False, 255, PEN, cv2.LINE_AA, 4)
    return picture


def _edges(width: int) -> Int[np.ndarray, " edges"]:
    """Return the first column of each lead, and the column after the last lead."""
    return np.linspace(0, width, COLUMNS + 1).round().astype(int)


PAGE_PICTURES = (*PAGE_LEADS, "beats")


def page_pictures(page: Image) -> list[UInt8[np.ndarray, "_ _"]]:
    """Return the pictures of a page with three rows of four leads and one strip, in the order of `PAGE_PICTURES`.

    All are white on black, without the grid. Those of leads show each beat as it was recorded; the last picture shows
    the median beat of each lead.

    Args:
        page: as for `read_ink`.
    """
    ink = read_ink(page)
    layout = find_layout(ink)
    ink = without_bars(ink)
    return [*cut_leads(ink, layout), draw_beats(median_beats(follow_traces(ink, layout)))]
