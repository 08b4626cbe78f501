"""From the ink of a page to the height of its traces."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import median_filter

from medshot.imaging.ecg.ink import Ink
from medshot.imaging.ecg.leads import ROWS, Layout, cut

TRACE_REACH = 0.95  # of the distance of rows: how far above and below its base line a trace is looked for
JUMP, CLIMB = 8, 0.08  # pixels that the path may climb in a column, and what one of them costs
STRAY = 0.3  # what lying at the far edge of the band costs, and the ink that makes a pixel part of a stroke


def follow_traces(ink: Ink, layout: Layout) -> Float[np.ndarray, "traces width"]:
    """How high each row's trace is above the middle of its band, column by column, in distances of rows.

    The path of most ink and least climbing is found by dynamic programming. In every column the stroke through the path
    is then taken from end to end, and the trace is at the end that is farther from the path's running median: a spike
    is one stroke up and down.

    Args:
        ink: of the page, without upright bars.
        layout: where its rows are.
    """
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
    """The row of pixels in every column of the cheapest way through each band."""
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
    """First and last pixel of the stroke through the path; the path itself where there is no ink."""
    height = solid.shape[1]
    index = np.arange(height)[:, None]
    above = np.maximum.accumulate(np.where(solid, -1, index), axis=1)
    below = np.minimum.accumulate(np.where(solid, height, index)[:, ::-1], axis=1)[:, ::-1]
    at = path[:, None]
    near = np.take_along_axis(solid, at, 1)[:, 0]
    top = np.where(near, np.take_along_axis(above, at, 1)[:, 0] + 1, path)
    bottom = np.where(near, np.take_along_axis(below, at, 1)[:, 0] - 1, path)
    return top, bottom
