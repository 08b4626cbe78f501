"""The usual heartbeat of an electrocardiogram: the median of each lead's beats, as numbers and as a picture."""

from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from medshot.imaging.ecg.leads import COLUMNS, ROWS
from medshot.imaging.ecg.page import SECONDS

BEFORE, AFTER = 0.3, 0.5  # seconds around R
SAMPLES = 64
REFRACTORY = 0.33  # seconds: beats are at least so far apart
SIDE = 448  # pixels of the picture
FULL = 0.6  # distances of rows that reach from a curve's middle to its edge
PEN = 2  # pixels


def find_beats(traces: Float[np.ndarray, "traces width"]) -> Int[np.ndarray, " beats"]:
    """The columns of the R peaks: where all rows together change fastest; the middle where nothing changes.

    Args:
        traces: as `follow_traces` finds them: three rows of four leads in turn, and a strip of one.
    """
    from scipy.signal import find_peaks  # takes a second to import, and only pages need it

    width = traces.shape[1]
    per_second = width / SECONDS
    speed = np.abs(np.diff(traces, axis=1, prepend=traces[:, :1]))
    for change in _edges(width)[1:-1]:
        speed[: ROWS - 1, max(0, change - 3) : change + 4] = 0
    window = np.hanning(max(3, round(0.1 * per_second) | 1))
    energy = np.convolve(np.sqrt(speed).sum(axis=0), window, "same")
    quarters = np.array_split(energy, COLUMNS)  # leads of one are taller than those of another
    energy = np.concatenate([quarter / max(float(np.percentile(quarter, 97)), 1e-6) for quarter in quarters])
    peaks, _ = find_peaks(energy, distance=max(1, round(REFRACTORY * per_second)))
    return peaks[energy[peaks] > 0.5] if len(peaks) else np.array([width // 2])


def median_beats(traces: Float[np.ndarray, "traces width"]) -> Float[np.ndarray, "leads samples"]:
    """The median beat of each of the twelve leads, from 0.3 s before R to 0.5 s after it.

    Every beat is first moved so that its own median is 0.

    Args:
        traces: see `find_beats`.
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
    """The beats white on black, leads recorded at the same time in one row: four rows of three."""
    sheet = np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = (np.linspace(0, SIDE, count + 1).astype(int) for count in (COLUMNS, ROWS - 1))
    for number, beat in enumerate(beats):
        column, row = divmod(number, COLUMNS)
        place = sheet[rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
        place[:] = draw_curve(beat, *place.shape)
    return sheet


def draw_curve(values: Float[np.ndarray, " samples"], height: int, width: int) -> UInt8[np.ndarray, "height width"]:
    """One curve from side to side, white on black, its median in the middle; what reaches beyond is cut off."""
    x = np.linspace(0, width - 1, len(values))
    y = (height - 1) * (0.5 - np.clip((values - np.median(values)) / (2 * FULL), -0.5, 0.5))
    points = np.rint(16 * np.stack([x, y], axis=1)).astype(np.int32)
    picture = np.zeros((height, width), np.uint8)
    cv2.polylines(picture, [points], False, 255, PEN, cv2.LINE_AA, 4)
    return picture


def _edges(width: int) -> Int[np.ndarray, " edges"]:
    """Columns where leads begin, and the one after the last."""
    return np.linspace(0, width, COLUMNS + 1).round().astype(int)
