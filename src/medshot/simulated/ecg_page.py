"""The page of an electrocardiogram: a hospital's ruled paper, the pen, and the scanner."""

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from scipy.ndimage import maximum_filter1d

from medshot.simulated.electrocardiogram import SECONDS
from medshot.simulated.texture import smooth_field, to_uint8

GRID_COLOURS = np.array(
    [[0.93, 0.55, 0.62], [0.90, 0.35, 0.32], [0.45, 0.60, 0.88], [0.62, 0.62, 0.62], [0.93, 0.62, 0.42]]
)
LAYOUT = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"), ("II",) * 4)
PAGE = (157.5, 280.0)  # mm, height and width
LEFT, TOP, ROW = 18.0, 32.0, 35.0  # mm: start of the traces, base line of the first row, distance of rows
SPEED = 25.0  # mm per second

Page = Float[np.ndarray, "height width 3"]
Ink = Float[np.ndarray, "height width"]
Rows = Float[np.ndarray, "patients 4 samples"]


def draft_width(size: int) -> int:
    """Return the width in pixels at which a page is drawn before it is scanned at `size`."""
    return size * max(2, -(-256 // size))


def columns_of_page(size: int) -> int:
    """Return the number of columns of pixels of a trace on the drawn page."""
    return round(SECONDS * SPEED * draft_width(size) / PAGE[1])


def scan(
    rows: Rows,
    affected: Bool[np.ndarray, "patients 4 samples"],
    hospital: dict[str, float],
    size: int,
    rng: np.random.Generator,
) -> tuple[UInt8[np.ndarray, "patients height width 3"], Bool[np.ndarray, "patients height width"]]:
    """Print every patient's rows on the hospital's paper and photograph the pages."""
    draft = draft_width(size)
    shape = (round(draft * 9 / 16), draft)
    paper, printed = blank_page(shape, hospital)
    pen = np.array([0.05, 0.06, 0.08 + 0.5 * hospital["ink_blue"]], dtype=np.float32)
    final = (round(size * 9 / 16), size)
    fading = 1 - hospital["fading"] * 0.25 * np.abs(smooth_field(rng, len(rows), (9, 16), 0.5))
    light = np.exp(hospital["shading"] * 0.5 * smooth_field(rng, len(rows), final, 1.2))
    noise = hospital["grain"] * rng.standard_normal((len(rows), *final, 3), dtype=np.float32)
    images, masks = [], []
    for i, (row, where) in enumerate(zip(rows, affected, strict=True)):
        low, high = pen_range(row, shape, hospital)
        trace = inked(low, high, shape)
        strength = cv2.resize(np.clip(fading[i], 0.3, 1), shape[::-1]) * hospital["ink"]
        amount = (np.maximum(trace, printed) * strength)[:, :, None]
        camera = viewpoint(rng, shape, hospital)
        page = fold(paper + (pen - paper) * amount, hospital["crease"], rng)
        page = photographed(page, camera, final, hospital["surround"])
        page = cv2.GaussianBlur(page, (0, 0), hospital["blur"] * size) * light[i][:, :, None] + noise[i]
        images.append(compressed(to_uint8(page), hospital["jpeg_quality"]))
        visible = where.reshape(4, low.shape[1], -1).any(axis=-1)
        marked = photographed(inked(low, np.where(visible, high, low), shape), camera, final, 0.0)
        masks.append(marked > 0.3 * max(marked.max(), 1e-3))
    return np.stack(images), np.stack(masks)


def pen_range(
    rows: Float[np.ndarray, "4 samples"], shape: tuple[int, int], hospital: dict[str, float]
) -> tuple[Float[np.ndarray, "4 columns"], Float[np.ndarray, "4 columns"]]:
    """Return the highest and lowest pixel that the pen touches in each column of each row."""
    pixels = shape[1] / PAGE[1]
    columns = round(SECONDS * SPEED * pixels)
    base = TOP + ROW * np.arange(4)[:, None, None]
    y = ((base - hospital["gain"] * rows.reshape(4, columns, -1)) * pixels).clip(0, shape[0] - 1)
    # The pen does not leave the paper: each column reaches to the start of the next one.
    following = np.concatenate([y[:, 1:, :1], y[:, -1:, -1:]], axis=1)
    y = np.concatenate([y, following], axis=2)
    width = max(1, round(hospital["pen"] * pixels))
    half = max(hospital["pen"] * pixels, 1.0) / 2
    high = maximum_filter1d(y.max(axis=2), width, axis=1) + half
    low = -maximum_filter1d(-y.min(axis=2), width, axis=1) - half
    return low, high


def inked(low: Float[np.ndarray, "4 columns"], high: Float[np.ndarray, "4 columns"], shape: tuple[int, int]) -> Ink:
    """Return the exact share of each pixel under ink: the running sum, down each column, of its starts and ends."""
    height, width = shape
    left = round(LEFT * width / PAGE[1])
    column = left + np.broadcast_to(np.arange(low.shape[1]), low.shape)
    steps = np.zeros(height * width)
    for edge, sign in ((low, 1.0), (high, -1.0)):
        edge = edge.clip(0, height - 2)
        row = edge.astype(int)
        part = edge - row
        for shift, weight in ((0, 1 - part), (1, part)):
            place = ((row + shift) * width + column).ravel()
            steps += np.bincount(place, (sign * weight).ravel(), height * width)
    return steps.reshape(shape).cumsum(axis=0).clip(0, 1).astype(np.float32)


def blank_page(shape: tuple[int, int], hospital: dict[str, float]) -> tuple[Page, Ink]:
    """Return the ruled paper, and the ink of what is printed on every page."""
    pixels = shape[1] / PAGE[1]
    rules = np.zeros(shape, dtype=np.float32)
    for spacing, thickness, strength in ((1.0, 0.12, 0.45), (5.0, 0.3, 1.0)):
        lines = [rule_coverage(length, spacing * pixels, thickness * pixels) for length in shape]
        rules = np.maximum(rules, strength * np.maximum(lines[0][:, None], lines[1][None, :]))
    colour = GRID_COLOURS[int(hospital["grid_hue"]) % len(GRID_COLOURS)]
    white = 0.97 - max(hospital["yellowing"], 0.0) * np.array([0.1, 0.35, 1.0])
    paper = white + (colour - 1) * (hospital["grid_strength"] * rules)[:, :, None]
    return paper.astype(np.float32), print_marks(shape, hospital)


def rule_coverage(length: int, spacing: float, thickness: float) -> Float[np.ndarray, " length"]:
    """Return the share of each pixel that is under rules of a thickness at a spacing, all in pixels."""

    def ruled(position: Float[np.ndarray, " edges"]) -> Float[np.ndarray, " edges"]:
        whole = np.floor(position / spacing)
        return whole * thickness + np.minimum(position - whole * spacing, thickness)

    return np.diff(ruled(np.arange(length + 1.0)))


def print_marks(shape: tuple[int, int], hospital: dict[str, float]) -> Ink:
    """Print lead names, calibration pulses of one millivolt, bars between leads, and the recorder's settings."""
    marks = np.zeros(shape, dtype=np.uint8)
    pixels = shape[1] / PAGE[1]
    quarter = SECONDS * SPEED / 4
    pen = max(1, round(hospital["pen"] * pixels))

    def write(text: str, x: float, y: float, size: float) -> None:
        place = (round(x * pixels), round(y * pixels))
        cv2.putText(
            marks,
            text,
            place,
            cv2.FONT_HERSHEY_SIMPLEX,
            size * pixels / 21,
            255,
            max(1, round(pen * 0.7)),
            cv2.LINE_AA,
        )

    for row, names in enumerate(LAYOUT):
        base = TOP + ROW * row
        for column, name in enumerate(names[: 4 if row < 3 else 1]):
            write(name, LEFT + 1.5 + column * quarter, base - 8, 4.0)
            if hospital["separators"] > 0.5 and row < 3 and column > 0:
                x = round((LEFT + column * quarter) * pixels)
                cv2.line(marks, (x, round((base - 6) * pixels)), (x, round((base + 6) * pixels)), 255, pen)
        if hospital["calibration"] > 0.5:
            up = base - hospital["gain"]
            pulse = [(6, base), (8, base), (8, up), (13, up), (13, base), (15, base)]
            cv2.polylines(marks, [np.rint(np.array(pulse) * pixels).astype(np.int32)], False, 255, pen, cv2.LINE_AA)
    write("25 mm/s   10 mm/mV   0.05-40 Hz", LEFT, PAGE[0] - 4, 3.2)
    return (marks / 255).astype(np.float32)


def viewpoint(rng: np.random.Generator, shape: tuple[int, int], hospital: dict[str, float]) -> Float[np.ndarray, "3 3"]:
    """Return the homography of a page that is turned and tilted under the camera."""
    height, width = shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float)
    angle = np.deg2rad(rng.normal(0, hospital["rotation"]))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    centre = corners.mean(axis=0)
    shift = rng.normal(0, 0.006, 2) + rng.uniform(-1, 1, (4, 2)) * hospital["perspective"]
    view = (corners - centre) * rng.uniform(0.97, 1.02) @ turn + centre + shift * width
    return cv2.getPerspectiveTransform(corners.astype(np.float32), view.astype(np.float32))


def fold(page: Page, share: float, rng: np.random.Generator) -> Page:
    """Add, with chance `share`, a crease across the page: a bright ridge beside a dark valley."""
    folded, where, slope, depth = rng.uniform(0, 1, 4)
    if folded > share:
        return page
    height, width = page.shape[:2]
    y, x = np.arange(height, dtype=np.float32)[:, None] / width, np.arange(width, dtype=np.float32) / width
    distance = (x - 0.1 - 0.8 * where + (slope - 0.5) * 0.2 * y) / 0.004
    return page * (1 + (0.1 + 0.25 * depth) * distance * np.exp(-(distance**2)))[:, :, None]


def photographed(
    page: Float[np.ndarray, "height width *colours"],
    camera: Float[np.ndarray, "3 3"],
    final: tuple[int, int],
    surround: float,
) -> Float[np.ndarray, "rows columns *colours"]:
    """Photograph the page at the final height and width."""
    height, width = page.shape[:2]
    view = cv2.warpPerspective(page, camera, (width, height), flags=cv2.INTER_LINEAR, borderValue=(surround,) * 3)
    return cv2.resize(view, final[::-1], interpolation=cv2.INTER_AREA)


def compressed(page: UInt8[np.ndarray, "height width 3"], quality: float) -> UInt8[np.ndarray, "height width 3"]:
    """Return the page after JPEG compression."""
    _, stored = cv2.imencode(".jpg", page[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, round(quality)])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR))[:, :, ::-1])
