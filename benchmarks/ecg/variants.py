"""Ways of preparing a page of an electrocardiogram: grid, leads, traces, beats."""

import cv2
import numpy as np

from medshot.imaging.ecg.leads import Layout, cut, draw_curve, find_beats
from medshot.imaging.ecg.page import SECONDS


def leads(picture: np.ndarray, place: Layout) -> list[np.ndarray]:
    """Return the twelve leads in three rows of four, row by row, and the strip below them."""
    return [cut(picture, place, row, part, 4) for row in range(3) for part in range(4)] + [cut(picture, place, 3, 0, 1)]


def bold(white: np.ndarray) -> np.ndarray:
    """Return strokes that are a pixel wider on each side."""
    return cv2.dilate(white, np.ones((3, 3), np.uint8))


def tiled(tiles: list[np.ndarray], side: int = 448) -> np.ndarray:
    """Return twelve leads as four rows of three and the strip below them, filling a square."""
    sheet = np.zeros((side, side, *tiles[0].shape[2:]), tiles[0].dtype)
    rows, columns = np.linspace(0, side, 6).astype(int), np.linspace(0, side, 4).astype(int)
    for k, one in enumerate(tiles[:12]):
        row, column = k % 4, k // 4  # the leads of one quarter stay together: four rows, three columns
        width, height = columns[column + 1] - columns[column], rows[row + 1] - rows[row]
        sheet[rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = resized(one, width, height)
    sheet[rows[4] :] = resized(tiles[12], side, side - rows[4])
    return sheet


def resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    shrink = picture.shape[1] > width
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)


def rhythm(rows: np.ndarray) -> np.ndarray:
    """Return mean, spread and successive change of the distances of beats in seconds, and the number of beats."""
    beats = find_beats(rows) * SECONDS / rows.shape[1]
    gaps = np.diff(beats)
    if len(gaps) < 2:
        return np.array([1.0, 0.0, 0.0, len(beats) / 10])
    return np.array([gaps.mean(), gaps.std(), np.abs(np.diff(gaps)).mean(), len(beats) / 10])


def redrawn(rows: np.ndarray, side: int = 448) -> np.ndarray:
    """Return the digitised leads and the strip as a clean sheet like that of `tiled`."""
    bounds = np.linspace(0, rows.shape[1], 5).round().astype(int)
    parts = [rows[row, bounds[k] + 2 : bounds[k + 1] - 2] for row in range(3) for k in range(4)]
    edges, columns = np.linspace(0, side, 6).astype(int), np.linspace(0, side, 4).astype(int)
    picture = np.zeros((side, side), np.uint8)
    for k, curve in enumerate(parts):
        row, column = k % 4, k // 4
        place = picture[edges[row] : edges[row + 1], columns[column] : columns[column + 1]]
        place[:] = draw_curve(curve, *place.shape)
    picture[edges[4] :] = draw_curve(rows[3], side - edges[4], side)
    return picture
