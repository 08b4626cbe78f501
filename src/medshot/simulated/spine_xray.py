"""Standing antero-posterior films of the whole spine: straight, or with a scoliosis.

Beer-Lambert attenuation of a trunk whose ribs and lungs follow its spine (`trunk`); scatter, counted
photons, and the film or detector of one hospital. Scoliosis is a single or a double curve of a given Cobb
angle, with the vertebrae turned as in patients: the bodies towards the convex side, the spinous processes
to the concave one.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from medshot.simulated.rendered import Rendered, centroids, shrink, shrink_masks
from medshot.simulated.texture import blur, poisson_noise, smooth_field, to_uint8
from medshot.simulated.trunk import HIGHEST, LEVEL_HEIGHT, LOWEST, Trunk, attenuators
from medshot.simulated.vertebrae import Profile, Stack, bend, level_nodes, stack_levels

Film = Float[np.ndarray, "images film_height film_width"]

NAME = "spine_xray"
CLASSES = ("normal", "scoliosis")
FLIP = False

HOSPITAL = {  # lowest and highest value over hospitals
    "scale": (0.72, 0.98),  # mean body size; small if there are children
    "scale_spread": (0.02, 0.07),
    "girth": (0.92, 1.15),
    "field_of_view": (56.0, 70.0),  # cm, height of the film for a grown adult
    "sacrum_height": (0.75, 0.86),  # of the film, from its top
    "placement": (0.2, 1.3),  # cm, standard deviation
    "cobb_low": (22.0, 38.0),  # degrees, smallest curve before `difficulty`
    "cobb_spread": (8.0, 22.0),  # degrees, from the smallest to the largest
    "double_share": (0.15, 0.6),
    "right_share": (0.65, 0.95),  # of thoracic curves
    "soft_attenuation": (0.13, 0.17),  # per cm
    "bone_attenuation": (0.22, 0.36),  # per cm
    "scatter": (0.05, 0.35),
    "photons": (3000.0, 30000.0),  # per pixel of a film 256 pixels high, behind a mean body
    "blur": (0.0008, 0.0030),  # of the film's height
    "equalisation": (0.25, 0.75),  # share of the coarse contrast that is taken away
    "gamma": (0.75, 1.5),
    "black": (2.0, 12.0),  # percentile of the film that is shown black
    "white": (99.3, 99.95),  # and white
    "collimation": (0.0, 0.05),  # of the film's width
    "marker": (-1.0, 1.0),  # place of the side marker; none below 0
}
WIDTH = 0.6  # of the height
AIR = 12.0  # exposure, against a mean body, at which a film is black
FINEST = 128  # rows below which a film is drawn larger, then shrunk


def render(*, seed: int, patients: int, size: int, difficulty: float) -> Rendered:
    """Render films of the spine of one hospital; the mask is the curved part of the column.

    Args:
        seed: decides the hospital and its patients.
        patients: per class, one film each.
        size: height of a film in pixels; it is 0.6 as wide.
        difficulty: 0 is obvious; at 1 every spine is as straight as a normal one.
    """
    hospital_rng, people_rng, finding_rng, film_rng = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(4))
    hospital = {name: float(hospital_rng.uniform(*bounds)) for name, bounds in HOSPITAL.items()}
    labels = np.arange(patients * len(CLASSES)) % len(CLASSES)
    levels = level_nodes(LOWEST, HIGHEST)
    tilt, turn, extent = scoliosis(finding_rng, levels, labels, hospital, 1 - difficulty)
    draft = size * -(-FINEST // size)
    shape = (draft, round(draft * WIDTH))
    trunk = people(people_rng, levels, tilt, turn, hospital, shape)
    pixel = hospital["field_of_view"] * hospital["scale"] / draft
    x = (np.arange(shape[1], dtype=np.float32) + 0.5 - shape[1] / 2)[None, None, :] * np.float32(pixel)
    y = (np.arange(shape[0], dtype=np.float32) + 0.5)[None, :, None] * np.float32(pixel)
    x, y = np.broadcast_to(x, (1, *shape)), np.broadcast_to(y, (1, *shape))
    shadows = [attenuators(one, x, y, pixel) for one in trunk.one_by_one()]
    soft, bone, level, across = (np.concatenate(part) for part in zip(*shadows, strict=True))
    final = (size, round(size * WIDTH))
    images = film(soft, bone, hospital, final, film_rng)
    masks = curved_part(level, across / trunk.scale, extent, final) & (labels == 1)[:, None, None]
    return Rendered(to_uint8(images), labels, np.arange(len(labels)), masks, centroids(masks), hospital)


def scoliosis(
    rng: np.random.Generator,
    levels: Float[np.ndarray, " nodes"],
    labels: Int[np.ndarray, " images"],
    hospital: dict[str, float],
    strength: float,
) -> tuple[Profile, Profile, Float[np.ndarray, "images 2"]]:
    """Return the tilt and turn of the vertebrae that the disease adds, and the levels between which it is."""
    count = len(labels)
    largest = hospital["cobb_low"] + hospital["cobb_spread"] * rng.uniform(0, 1, count)
    angle = np.deg2rad(np.clip(largest, 15, 60)) * strength * (labels == 1)
    double = rng.uniform(0, 1, count) < hospital["double_share"]
    side = np.where(rng.uniform(0, 1, count) < hospital["right_share"], -1.0, 1.0)
    apex = np.where(double, rng.uniform(8.5, 10.5, count), rng.uniform(3.5, 10.0, count))
    reach = np.minimum(np.where(double, rng.uniform(2.4, 3.0, count), rng.uniform(2.6, 3.8, count)), apex)
    low_apex, low_reach = rng.uniform(2.3, 3.3, count), rng.uniform(1.9, 2.4, count)
    low_angle = -angle * double * rng.uniform(0.6, 1.0, count)
    tilt = bend(levels, side * angle, apex, reach) + bend(levels, side * low_angle, low_apex, low_reach)

    def bulge(centre: Float[np.ndarray, " images"], width: Float[np.ndarray, " images"]) -> Profile:
        return np.exp(-0.5 * ((levels - centre[:, None]) / width[:, None]) ** 2)

    turn = (side * angle)[:, None] * bulge(apex, reach) + (side * low_angle)[:, None] * bulge(low_apex, low_reach)
    lowest = np.where(double, low_apex - low_reach, apex - reach)
    return tilt, 0.45 * turn, np.stack([lowest, apex + reach], axis=1)


def people(
    rng: np.random.Generator,
    levels: Float[np.ndarray, " nodes"],
    tilt: Profile,
    turn: Profile,
    hospital: dict[str, float],
    shape: tuple[int, int],
) -> Trunk:
    """Sample the hospital's patients, none quite straight, with their curves."""
    count = len(tilt)

    def each(mean: float, deviation: float) -> Float[np.ndarray, "images 1 1"]:
        own = mean + deviation * rng.standard_normal((count, 1, 1)).clip(-2.5, 2.5)
        return own.astype(np.float32)

    scale = each(hospital["scale"], hospital["scale_spread"] * hospital["scale"])
    slight = np.deg2rad(rng.uniform(-6, 6, count))
    posture = bend(levels, slight, rng.uniform(3, 11, count), rng.uniform(2.5, 4, count))
    lean = np.deg2rad(rng.normal(0, 0.9, (count, 1)))
    height = np.interp(levels, *LEVEL_HEIGHT) * scale[:, :, 0] * (1 + 0.03 * rng.normal(0, 1, (count, 1)))
    film = hospital["field_of_view"] * hospital["scale"]
    place = rng.normal(0, hospital["placement"], (2, count))
    column = stack_levels(levels, tilt + posture + lean, height, place[0], hospital["sacrum_height"] * film + place[1])
    bowel = smooth_field(rng, count, shape, 0.05)
    return Trunk(
        column=column,
        scale=scale,
        girth=each(hospital["girth"], 0.05),
        turn=turn + np.deg2rad(rng.normal(0, 2.5, (count, 1))),
        bowel=bowel,
        wobble=rng.normal(0, 0.022, (count, 24)),
        mineral=each(1.0, 0.12),
        rib_drop=each(1.0, 0.12),
        dome=each(7.6, 0.5),
        heart=each(1.0, 0.08),
    )


def film(
    soft: Stack, bone: Stack, hospital: dict[str, float], final: tuple[int, int], rng: np.random.Generator
) -> Film:
    """Simulate the film that the hospital's tube and detector make of the trunk, in 0..1."""
    count, height, _ = soft.shape
    grain = 1 + 0.10 * smooth_field(rng, count, soft.shape[1:], 0.02)
    tissue = hospital["soft_attenuation"] * soft * (1 + 0.025 * smooth_field(rng, count, soft.shape[1:], 0.06))
    ray = np.exp(-(tissue + hospital["bone_attenuation"] * bone * grain))
    ray += hospital["scatter"] * blur(ray, 0.06 * height)
    ray = shrink(ray, final)
    ray = blur(ray, hospital["blur"] * final[0])
    typical = np.median(ray, axis=(1, 2), keepdims=True)
    counted = poisson_noise(ray / typical, hospital["photons"] * (256 / final[0]) ** 2, rng)
    density = -np.log(np.clip(counted, 1e-3, AIR))
    coarse = blur(density, 0.09 * final[0])
    density -= hospital["equalisation"] * coarse
    black, white = np.percentile(density, [hospital["black"], hospital["white"]], axis=(1, 2))[..., None, None]
    bright = np.clip((density - black) / (white - black), 0, 1) ** hospital["gamma"]
    return finish(bright, hospital, rng)


def finish(bright: Film, hospital: dict[str, float], rng: np.random.Generator) -> Film:
    """Add collimator edges, and the marker of the patient's left."""
    count, height, width = bright.shape
    column = np.arange(width, dtype=np.float32)[None, None, :]
    edges = hospital["collimation"] * width * rng.uniform(0, 2, (2, count, 1, 1)).astype(np.float32)
    bright = bright * np.clip(column - edges[0] + 1, 0.02, 1) * np.clip(width - column - edges[1], 0.02, 1)
    if hospital["marker"] > 0:
        mark = np.zeros((height * 4, width * 4), dtype=np.uint8)
        place = (round(width * 3.45), round(height * 4 * (0.06 + 0.1 * hospital["marker"])))
        cv2.putText(mark, "L", place, cv2.FONT_HERSHEY_SIMPLEX, height / 110, 255, max(1, height // 40), cv2.LINE_AA)
        bright = np.maximum(bright, cv2.resize(mark, (width, height), interpolation=cv2.INTER_AREA) / 255 * 0.95)
    return bright.astype(np.float32)


def curved_part(
    level: Stack, across: Stack, extent: Float[np.ndarray, "images 2"], final: tuple[int, int]
) -> Bool[np.ndarray, "images film_height film_width"]:
    """Return the vertebrae from one end of the curve to the other."""
    low, high = extent.T[:, :, None, None]
    inside = (level > low) & (level < high) & (np.abs(across) < 2.2)
    return shrink_masks(inside, final)
