"""An axial slice of the head: the tissue at each point, for slices from the sella to the ventricles.

Coordinates are (x, y) with the forehead at negative y; the unit is half the field of view, about 12 cm.
`radius` grows from 0 in the middle of the head to 1 at the skin, so that skin, skull and dura are its levels.
"""

import cv2
import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter

from medshot.simulated.texture import Patients, elliptic_radius, smooth_field, smooth_step

Stack = Float[np.ndarray, "images height width"]

ANATOMY = {  # mean and standard deviation over patients
    "half_width": (0.70, 0.025),
    "half_length": (0.86, 0.03),
    "egg": (0.10, 0.04),  # how much wider the back of the head is
    "asymmetry": (0.0, 0.015),
    "scalp": (0.065, 0.015),
    "skull": (0.075, 0.012),
    "atrophy": (0.012, 0.006),  # half width of the sulci
    "ribbon": (0.042, 0.004),  # thickness of the cortex
    "sulcus_depth": (0.20, 0.03),
    "ventricle": (1.0, 0.16),
    "midline": (0.0, 0.008),
}


def head_radius(patients: Patients, x: Stack, y: Stack) -> Stack:
    """Return 0 in the middle of the head, 1 at the skin."""
    p = patients
    across = x / (p["half_width"] * (1 + p["egg"] * np.clip(y, -1, 1)) * (1 + p["asymmetry"] * np.sign(x)))
    along = y / p["half_length"]
    return (np.abs(across) ** 2.2 + np.abs(along) ** 2.2) ** (1 / 2.2)


def wobble(rng: np.random.Generator, radius: Stack, x: Stack, y: Stack) -> tuple[Stack, Stack]:
    """Bend the coordinates at random inside the skull: real fissures are not straight and real nuclei not round."""
    images, size, _ = x.shape
    amount = np.float32(0.018) * smooth_step((0.95 - radius) / 0.3)
    return (
        x + amount * smooth_field(rng, images, size, 0.08) + 0.5 * amount * smooth_field(rng, images, size, 0.035),
        y + amount * smooth_field(rng, images, size, 0.08) + 0.5 * amount * smooth_field(rng, images, size, 0.035),
    )


def dura(patients: Patients) -> Float[np.ndarray, "images 1 1"]:
    """Return the `head_radius` of the inner table of the skull."""
    return 1 - patients["scalp"] - patients["skull"]


def sample_cortex(rng: np.random.Generator, images: int) -> Float[np.ndarray, "images depths angles"]:
    """Sample the pattern of each cortex: sulci are where this periodic function of angle and depth is zero."""
    white = rng.standard_normal((images, 14, 110), dtype=np.float32)
    return gaussian_filter(white, (0, 1, 1), mode="wrap") * np.float32(2 * np.sqrt(np.pi))


def fold(folds: Float[np.ndarray, "images depths angles"], x: Stack, y: Stack, radius: Stack) -> Stack:
    """Return the cortical pattern at each point: columns of `folds` run around the head, rows outwards."""
    _, depths, angles = folds.shape
    column = (np.arctan2(y, x) / (2 * np.pi) + 0.5) * angles
    row = np.clip(radius, 0, 1) * (depths - 1)
    return np.stack(
        [
            cv2.remap(pattern, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
            for pattern, across, down in zip(folds, column, row, strict=True)
        ]
    )


def pial_distance(
    patients: Patients, folds: Float[np.ndarray, "images depths angles"], x: Stack, y: Stack, radius: Stack
) -> Stack:
    """Return the distance inwards from the brain's surface: outer surface, sulci, Sylvian and midline fissures."""
    p = patients
    depth = (dura(p) - radius) * 0.75
    sulci = 0.07 * np.abs(fold(folds, x, y, radius)) + 0.6 * np.maximum(depth - p["sulcus_depth"], 0)
    away = np.abs(x - p["midline"])
    midline = away + np.maximum(0.42 - np.abs(y + 0.02), 0)
    insula = np.abs(away - 0.44 + 1.2 * (y + 0.06) ** 2) + np.maximum(np.abs(y + 0.06) - 0.17, 0)
    sylvian = np.abs(y + 0.13 - 0.5 * (away - 0.43)) + np.maximum(0.43 - away, 0)
    fissures = np.minimum(np.minimum(midline, insula), sylvian)
    return np.minimum(depth, np.minimum(sulci, fissures))


def pair(
    patients: Patients,
    x: Stack,
    y: Stack,
    centre: tuple[float, float],
    radii: tuple[float, float],
    angle: float,
) -> Stack:
    """Return the depth inside a mirrored pair of ellipses, in the grid's units; negative outside."""
    away, images = np.abs(x - patients["midline"]), len(x)
    radius = elliptic_radius(away, y, np.tile(centre, (images, 1)), np.tile(radii, (images, 1)), angle)
    return (1 - radius) * min(radii)


def ventricles(patients: Patients, level: Float[np.ndarray, "images 1 1"], x: Stack, y: Stack) -> Stack:
    """Return the depth inside the ventricles, or in a low slice the basal cisterns; negative outside."""
    p = patients
    frontal = pair(p, x, y, (0.075, -0.25), (0.15, 0.038), 1.95)
    body = pair(p, x, y, (0.085, 0.0), (0.34, 0.04), 1.62)
    occipital = pair(p, x, y, (0.23, 0.30), (0.15, 0.035), 1.05)
    third = pair(p, x, y, (0.0, 0.02), (0.016, 0.13), 0.0)
    high = np.maximum(frontal, occipital) + 0.012 * (p["ventricle"] - 1) / 0.16
    high = np.maximum(high, body - 0.25 * np.maximum(0.78 - level, 0))
    high = np.maximum(high, third) - 0.35 * np.maximum(0.42 - level, 0)
    star = 0.085 * (1 + 0.28 * np.cos(5 * np.arctan2(x, y + 0.12))) - np.hypot(x, y + 0.12)
    ring = np.abs(np.hypot(x / 0.95, (y - 0.10) / 1.05) - 0.165)
    ambient = 0.010 - ring - 0.12 * np.abs(y - 0.17) ** 1.5
    low = np.maximum(star, ambient) - 0.35 * np.maximum(level - 0.34, 0)
    return np.maximum(high, low)


def deep_grey(patients: Patients, level: Float[np.ndarray, "images 1 1"], x: Stack, y: Stack) -> Stack:
    """Return the share of deep grey matter: caudate, lentiform nucleus and thalamus, or brain stem rim."""
    caudate = pair(patients, x, y, (0.145, -0.22), (0.10, 0.05), 1.35)
    lentiform = pair(patients, x, y, (0.265, -0.05), (0.17, 0.065), 1.25)
    thalamus = pair(patients, x, y, (0.11, 0.13), (0.13, 0.085), 1.0)
    nuclei = np.maximum(np.maximum(caudate, lentiform), thalamus)
    present = smooth_step((level - 0.28) / 0.1) * smooth_step((0.85 - level) / 0.1)
    return present * smooth_step(0.5 + nuclei / 0.03)
