"""Sagittal MR images of the lumbar spine: all vertebrae in line, a kyphosis, or a spondylolisthesis.

The signal of a tissue is that of a spin echo, S = density (1 - exp(-TR / T1)) exp(-TE / T2), with the
hospital's T1- or T2-weighted timing; a surface coil under the back, resolution and Rician noise follow. A
kyphosis is one vertebra wedged in front with the spine bent over it; a spondylolisthesis is one vertebra
that slips forward on the next, measured as a share of the depth of its body (Meyerding 1932).
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from medshot.simulated.rendered import Rendered, centroids, shrink, shrink_masks
from medshot.simulated.sagittal import DEPTH, HIGHEST, LEVEL_HEIGHT, LOWEST, TILT, Loin, signal
from medshot.simulated.texture import blur, rician_noise, smooth_field, smooth_step, to_uint8
from medshot.simulated.vertebrae import Profile, Stack, level_nodes, stack_levels

Image = Float[np.ndarray, "images image_height image_width"]

NAME = "spine_mri"
CLASSES = ("normal", "kyphosis", "spondylolisthesis")
FLIP = False

HOSPITAL = {  # lowest and highest value over hospitals
    "t2_weighted": (-1.0, 1.5),  # T2 above 0, else T1
    "repetition": (0.0, 1.0),  # place within the usual range of TR
    "echo": (0.0, 1.0),  # place within the usual range of TE
    "fatty_marrow": (0.2, 0.8),  # the older the patients, the more fat
    "dryness": (0.15, 0.6),  # of the discs, mean
    "scale": (0.92, 1.06),
    "field_of_view": (27.0, 34.0),  # cm, height
    "centre": (1.9, 3.0),  # level in the middle of the image
    "placement": (0.3, 1.0),  # cm, standard deviation
    "fat": (0.8, 2.6),  # cm under the skin
    "wedge": (26.0, 40.0),  # degrees, mean angle of a kyphosis
    "slip": (0.28, 0.45),  # of the body's depth, mean
    "coil_reach": (12.0, 40.0),  # cm over which the signal falls to 1/e
    "saturation": (0.0, 0.9),  # of the signal in front of the spine
    "resolution": (0.05, 0.14),  # cm
    "noise": (0.008, 0.05),  # of the brightest signal
    "gamma": (0.8, 1.2),
    "white": (95.5, 99.3),  # percentile of the image that is shown white
}
TISSUES = {  # density, T1 and T2 in ms at 1.5 tesla, T2 as a fast spin echo sees it
    "fat": (1.0, 280.0, 140.0),
    "muscle": (0.8, 950.0, 42.0),
    "bowel": (0.75, 900.0, 65.0),
    "air": (0.05, 900.0, 40.0),
    "vessel": (0.08, 1200.0, 100.0),
    "vein": (0.8, 900.0, 130.0),
    "cortex": (0.12, 900.0, 25.0),
    "fluid": (1.0, 4000.0, 1500.0),
    "cord": (0.8, 900.0, 88.0),
    "annulus": (0.6, 1000.0, 32.0),
    "nucleus": (0.95, 1250.0, 130.0),
}
T1_TIMING = ((420.0, 700.0), (8.0, 16.0))  # ms, TR and TE
T2_TIMING = ((2600.0, 4500.0), (80.0, 125.0))
WIDTH = 0.75  # of the height
FINEST = 128  # rows below which an image is drawn larger, then shrunk


def render(*, seed: int, patients: int, size: int, difficulty: float) -> Rendered:
    """Render sagittal images of one hospital; the mask is the wedged or the slipped vertebra.

    Args:
        seed: decides the hospital and its patients.
        patients: per class, one image each.
        size: height of an image in pixels; it is 0.75 as wide.
        difficulty: 0 is obvious; at 1 no vertebra is wedged and none has slipped.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)]
    hospital_rng, people_rng, finding_rng, scanner_rng = streams
    hospital = {name: float(hospital_rng.uniform(*bounds)) for name, bounds in HOSPITAL.items()}
    labels = np.arange(patients * len(CLASSES)) % len(CLASSES)
    draft = size * -(-FINEST // size)
    shape, final = (draft, round(draft * WIDTH)), (size, round(size * WIDTH))
    levels = level_nodes(LOWEST, HIGHEST)
    wedged, angle, slipped, slip = findings(finding_rng, labels, hospital, 1 - difficulty)
    crowd = people(people_rng, levels, kyphosis(levels, wedged, angle), listhesis(slipped, slip), hospital, shape)

    pixel = hospital["field_of_view"] / draft
    x = (np.arange(shape[1], dtype=np.float32)[None, None, :] + 0.5 - shape[1] / 2) * np.float32(pixel)
    y = (np.arange(shape[0], dtype=np.float32)[None, :, None] + 0.5 - shape[0] / 2) * np.float32(pixel)
    tissue = signals(hospital)
    x, y = np.broadcast_to(x, (1, *shape)), np.broadcast_to(y, (1, *shape))
    views = [signal(one, tissue, x, y, pixel) for one in crowd.one_by_one()]
    pictures, level, body = (np.concatenate(part) for part in zip(*views, strict=True))
    images = scan(pictures, x / hospital["scale"], hospital, final, scanner_rng)
    affected = np.where(labels == 1, wedged, slipped)
    masks = vertebra(level, body, affected, labels > 0, final)
    return Rendered(to_uint8(images), labels, np.arange(len(labels)), masks, centroids(masks), hospital)


def findings(
    rng: np.random.Generator, labels: Int[np.ndarray, " images"], hospital: dict[str, float], strength: float
) -> tuple[
    Int[np.ndarray, " images"],
    Float[np.ndarray, " images"],
    Int[np.ndarray, " images"],
    Float[np.ndarray, " images"],
]:
    """Sample wedged vertebra and its angle (radians), slipped vertebra and its slip (cm), of every patient."""
    count = len(labels)
    wedged = rng.integers(3, 6, count)
    angle = np.deg2rad((hospital["wedge"] + rng.normal(0, 4, count)).clip(15, 48)) * strength * (labels == 1)
    slipped = rng.integers(0, 2, count)
    share = (hospital["slip"] + rng.normal(0, 0.05, count)).clip(0.15, 0.6)
    return wedged, angle, slipped, 2 * DEPTH[1][4] * share * strength * (labels == 2)


def kyphosis(
    levels: Float[np.ndarray, " nodes"],
    wedged: Int[np.ndarray, " images"],
    angle: Float[np.ndarray, " images"],
) -> tuple[Profile, Profile]:
    """Return the tilt that a wedge adds around its vertebra, and the share of height that the vertebra loses."""
    place = levels - wedged[:, None]
    over = smooth_step((place - 0.08) / 0.84) - 0.5
    away = np.exp(-(((place - 0.5) / 5) ** 2))
    lost = 0.35 * np.clip(angle, 0, 1)[:, None] * np.exp(-(((place - 0.5) / 0.4) ** 4))
    return -angle[:, None] * over * away, lost


def listhesis(
    slipped: Int[np.ndarray, " images"], slip: Float[np.ndarray, " images"]
) -> Float[np.ndarray, "images levels"]:
    """Return the forward shift of each vertebra: all vertebrae above the slipped one move with it."""
    level = np.arange(LOWEST, HIGHEST)
    return slip[:, None] * (level >= slipped[:, None])


def people(
    rng: np.random.Generator,
    levels: Float[np.ndarray, " nodes"],
    wedge: tuple[Profile, Profile],
    slip: Float[np.ndarray, "images levels"],
    hospital: dict[str, float],
    shape: tuple[int, int],
) -> Loin:
    """Sample the hospital's patients, each with a posture of their own, and with their findings."""
    count = len(slip)

    def each(mean: float, deviation: float) -> Float[np.ndarray, "images 1 1"]:
        own = mean + deviation * rng.standard_normal((count, 1, 1)).clip(-2.5, 2.5)
        return own.astype(np.float32)

    scale = each(hospital["scale"], 0.04)
    lordosis, lean = each(0.95, 0.2)[:, :, 0], np.deg2rad(each(0.0, 3.0)[:, :, 0])
    tilt = lordosis * np.deg2rad(np.interp(levels, *TILT)) + lean + wedge[0]
    height = np.interp(levels, *LEVEL_HEIGHT) * scale[:, :, 0] * (1 - wedge[1])
    place = rng.normal(0, hospital["placement"], (2, count))
    column = stack_levels(levels, tilt, height, place[0] - 1.0, place[1], hospital["centre"])
    ageing = hospital["dryness"] + 0.25 * np.exp(-((np.arange(LOWEST, HIGHEST + 1) - 0.5) ** 2) / 3)
    return Loin(
        column=column,
        slip=slip,
        dryness=(ageing + 0.28 * rng.standard_normal((count, len(ageing)))).clip(0, 1),
        marrow=smooth_field(rng, count, shape, 0.03),
        bowel=smooth_field(rng, count, shape, 0.07),
        scale=scale,
        vessel=rng.uniform(0, 1, (count, 1, 1)).astype(np.float32),
        conus=each(4.7, 0.35),
        fat=np.maximum(each(hospital["fat"], 0.4), 0.4),
        back=each(6.2 + hospital["fat"], 0.5),
        aorta=each(1.2, 0.25),
        canal=each(1.55, 0.12),
    )


def signals(hospital: dict[str, float]) -> dict[str, float]:
    """Return the signal of each tissue at the hospital's echo and repetition times, that of fat being 1."""
    repetition, echo = T2_TIMING if hospital["t2_weighted"] > 0 else T1_TIMING
    tr, te = np.interp(hospital["repetition"], (0, 1), repetition), np.interp(hospital["echo"], (0, 1), echo)
    spin_echo = {
        name: float(density * (1 - np.exp(-tr / t1)) * np.exp(-te / t2)) for name, (density, t1, t2) in TISSUES.items()
    }
    fatty = hospital["fatty_marrow"]
    spin_echo["marrow"] = 0.85 * (fatty * spin_echo["fat"] + (1 - fatty) * spin_echo["muscle"] * 1.4)
    return {name: value / spin_echo["fat"] for name, value in spin_echo.items()}


def scan(
    pictures: Stack, x: Stack, hospital: dict[str, float], final: tuple[int, int], rng: np.random.Generator
) -> Image:
    """Simulate a surface coil under the back, at the scanner's resolution, in 0..1."""
    count, height, _ = pictures.shape
    reach = np.exp((x - 5) / hospital["coil_reach"]) * (1 - hospital["saturation"] * smooth_step((-3.5 - x) / 3))
    uneven = np.exp(0.08 * smooth_field(rng, count, pictures.shape[1:], 0.8))
    received = blur(pictures * reach * uneven, hospital["resolution"] / hospital["field_of_view"] * height)
    received = shrink(received, final)
    bright = np.percentile(received, 99, axis=(1, 2))
    noisy = rician_noise(received, hospital["noise"] * (final[0] / 256) ** 0.5 * bright, rng)
    white = np.percentile(noisy, hospital["white"], axis=(1, 2), keepdims=True)
    return np.clip(noisy / white, 0, 1).astype(np.float32) ** np.float32(hospital["gamma"])


def vertebra(
    level: Stack,
    body: Stack,
    which: Int[np.ndarray, " images"],
    present: Bool[np.ndarray, " images"],
    final: tuple[int, int],
) -> Bool[np.ndarray, "images image_height image_width"]:
    """Return the body of one vertebra in each image if the finding is present."""
    low = which[:, None, None]
    inside = (level > low) & (level < low + 1) & (np.abs(body) < 1.9) & present[:, None, None]
    return shrink_masks(inside, final)
