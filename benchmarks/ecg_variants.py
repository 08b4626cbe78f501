"""Ways of preparing a page of an electrocardiogram that `ecg_preprocessing.py` compares: grid, leads, traces, beats."""

import cv2
import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import find_peaks

from medshot.imaging.ecg.leads import Layout, cut

SECONDS = 10.0  # of a row of four leads at 25 mm/s


def leads(picture: np.ndarray, place: Layout) -> list[np.ndarray]:
    """The twelve leads in three rows of four, row by row, and the strip below them."""
    return [cut(picture, place, row, part, 4) for row in range(3) for part in range(4)] + [cut(picture, place, 3, 0, 1)]


def bold(white: np.ndarray) -> np.ndarray:
    """Strokes a pixel wider on each side."""
    return cv2.dilate(white, np.ones((3, 3), np.uint8))


def tiled(tiles: list[np.ndarray], side: int = 448) -> np.ndarray:
    """Twelve leads as four rows of three and the strip below them, filling a square."""
    sheet = np.zeros((side, side, *tiles[0].shape[2:]), tiles[0].dtype)
    rows, columns = np.linspace(0, side, 6).astype(int), np.linspace(0, side, 4).astype(int)
    for k, one in enumerate(tiles[:12]):
        row, column = k % 4, k // 4  # the leads of one quarter keep together: four rows, three columns
        width, height = columns[column + 1] - columns[column], rows[row + 1] - rows[row]
        sheet[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = resized(one, width, height)
    sheet[rows[4] :] = resized(tiles[12], side, side - rows[4])
    return sheet


def resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    shrink = picture.shape[1] > width
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)


def digitised(trace: np.ndarray, place: Layout) -> np.ndarray:
    """The height of each row's trace above its base line, in distances of rows, column by column: `(rows, columns)`."""
    return np.stack([followed(cut(trace, place, row, 0, 1, 0.95)) for row in range(len(place.rows))]) / place.spacing


def followed(band: np.ndarray) -> np.ndarray:
    """Height of the trace above the middle of its band, in pixels.

    The path of most ink and least climbing is found by dynamic programming. In every column the stroke through the path
    is then taken from end to end, and the trace is at the end that is farther from the path's running median: a spike
    is one stroke up and down.
    """
    height, width = band.shape
    steps = np.arange(-8, 9)
    climb = 0.08 * np.abs(steps)
    cost = 1 - band + 0.3 * np.abs(np.arange(height) - height / 2)[:, None] / height
    total, came = cost[:, 0], np.zeros((width, height), int)
    for column in range(1, width):
        padded = np.pad(total, 8, constant_values=1e9)
        options = np.lib.stride_tricks.sliding_window_view(padded, 17) + climb
        came[column] = options.argmin(axis=1)
        total = options[np.arange(height), came[column]] + cost[:, column]
    path = np.empty(width, int)
    path[-1] = int(total.argmin())
    for column in range(width - 1, 0, -1):
        path[column - 1] = path[column] + steps[came[column, path[column]]]
    base = median_filter(path.astype(float), size=max(3, width // 12 | 1), mode="nearest")
    solid = band > 0.3
    # nearest empty pixel above and below every pixel, by running extremes
    index = np.arange(height)[:, None]
    above = np.maximum.accumulate(np.where(solid, -1, index), axis=0)
    below = np.minimum.accumulate(np.where(solid, height, index)[::-1], axis=0)[::-1]
    columns = np.arange(width)
    near = solid[path, columns]
    top = np.where(near, above[path, columns] + 1, path)
    bottom = np.where(near, below[path, columns] - 1, path)
    thick = np.median((bottom - top)[near]) if near.any() else 0
    middle = (top + bottom) / 2
    up, down = base - top, bottom - base
    end = np.where(up > down, top + thick / 2, bottom - thick / 2)
    return height / 2 - np.where(bottom - top > 2 * thick + 1, end, middle)


def beat_columns(rows: np.ndarray) -> np.ndarray:
    """Columns of the R peaks, from where all rows together change fastest."""
    per_second = rows.shape[1] / SECONDS
    speed = np.abs(np.diff(rows, axis=1, prepend=rows[:, :1]))
    for quarter in range(1, 4):  # where leads change
        at = round(quarter * rows.shape[1] / 4)
        speed[:3, max(0, at - 3) : at + 4] = 0
    energy = np.convolve(np.sqrt(speed).sum(axis=0), np.hanning(max(3, round(0.1 * per_second) | 1)), "same")
    for quarter in np.array_split(energy, 4):  # a view: leads of one quarter are taller than those of another
        quarter /= max(float(np.percentile(quarter, 97)), 1e-6)
    peaks, _ = find_peaks(energy, distance=max(1, round(0.33 * per_second)))
    if len(peaks) == 0:
        return np.array([rows.shape[1] // 2])
    return peaks[energy[peaks] > 0.5]


def median_beats(rows: np.ndarray, samples: int = 64) -> np.ndarray:
    """The median beat of each of the twelve leads, 0.3 s before to 0.5 s after R: `(12, samples)`."""
    per_second = rows.shape[1] / SECONDS
    beats = beat_columns(rows)
    time = np.linspace(-0.3, 0.5, samples) * per_second
    bounds = np.linspace(0, rows.shape[1], 5)
    found = []
    for row in range(3):
        for part in range(4):
            inside = [b for b in beats if bounds[part] <= b + time[0] and b + time[-1] <= bounds[part + 1]]
            inside = (
                inside or [b for b in beats if bounds[part] <= b < bounds[part + 1]] or [bounds[part : part + 2].mean()]
            )
            low, high = round(bounds[part]), round(bounds[part + 1]) - 1
            at = np.clip(np.array(inside)[:, None] + time, low, high)
            each = np.interp(at.ravel(), np.arange(rows.shape[1]), rows[row]).reshape(at.shape)
            one = np.median(each - np.median(each, axis=1, keepdims=True), axis=0)
            found.append(one)
    return np.stack(found)


def rhythm(rows: np.ndarray) -> np.ndarray:
    """What the distances of beats say: mean, spread and successive change in seconds, and the number of beats."""
    beats = beat_columns(rows) * SECONDS / rows.shape[1]
    gaps = np.diff(beats)
    if len(gaps) < 2:
        return np.array([1.0, 0.0, 0.0, len(beats) / 10])
    return np.array([gaps.mean(), gaps.std(), np.abs(np.diff(gaps)).mean(), len(beats) / 10])


def drawn(values: np.ndarray, width: int, height: int, full: float = 0.6, thickness: int = 2) -> np.ndarray:
    """A curve drawn white on black; `full` above and below 0 fill the height."""
    x = np.linspace(0, width - 1, len(values))
    y = (height - 1) * (0.5 - np.clip(values / (2 * full), -0.5, 0.5))
    points = np.rint(16 * np.stack([x, y], axis=1)).astype(np.int32)
    picture = np.zeros((height, width), np.uint8)
    cv2.polylines(picture, [points], False, 255, thickness, cv2.LINE_AA, 4)
    return picture


def redrawn(rows: np.ndarray, side: int = 448) -> np.ndarray:
    """The digitised leads and the strip as a clean sheet like that of `tiled`."""
    bounds = np.linspace(0, rows.shape[1], 5).round().astype(int)
    parts = [rows[row, bounds[k] + 2 : bounds[k + 1] - 2] for row in range(3) for k in range(4)]
    return sheet([*parts, rows[3]], side)


def sheet(curves: list[np.ndarray], side: int = 448) -> np.ndarray:
    """Twelve curves as four rows of three; a thirteenth fills a row below."""
    lines = 5 if len(curves) > 12 else 4
    edges, columns = np.linspace(0, side, lines + 1).astype(int), np.linspace(0, side, 4).astype(int)
    picture = np.zeros((side, side), np.uint8)
    for k, curve in enumerate(curves[:12]):
        row, column = k % 4, k // 4
        place = picture[edges[row] : edges[row + 1], columns[column] : columns[column + 1]]
        place[:] = drawn(curve - np.median(curve), place.shape[1], place.shape[0])
    if lines == 5:
        place = picture[edges[4] :]
        place[:] = drawn(curves[12] - np.median(curves[12]), side, place.shape[0])
    return picture
