"""Axial MR slices of the head without a tumour, or with a glioma, a meningioma or a pituitary tumour.

Every slice is painted from tissues whose brightness depends on the hospital's sequence, then suffers the
coil's bias field, limited resolution and Rician noise. Slice level, anatomy and scanner are drawn alike for
all classes: only the tumour, and the tissue that it pushes aside, distinguishes them.
"""

import numpy as np
from jaxtyping import Float, Int

from medshot.simulated import head
from medshot.simulated.rendered import Rendered
from medshot.simulated.texture import (
    Patients,
    blur,
    draw_population,
    draw_pose,
    generators,
    posed_grid,
    posed_points,
    rician_noise,
    shrink,
    smooth_field,
    smooth_step,
    to_uint8,
)
from medshot.simulated.tumours import Tumours, draw_tumours, push

NAME = "brain"
CLASSES = ("no_tumour", "glioma", "meningioma", "pituitary")
FLIP = True

Stack = Float[np.ndarray, "images height width"]
Hospital = dict[str, float]

COARSEST_GRID = 96  # pixels per side below which the cortex would alias
SEQUENCES = ("T1 with contrast", "T1", "T2", "FLAIR")
SEQUENCE_SHARES = (0.55, 0.1, 0.15, 0.2)
TISSUES = {  # brightness in each of the sequences
    "fat": (0.85, 0.90, 0.70, 0.65),
    "muscle": (0.40, 0.35, 0.25, 0.40),
    "bone": (0.06, 0.06, 0.05, 0.06),
    "marrow": (0.35, 0.40, 0.25, 0.20),
    "fluid": (0.14, 0.12, 0.95, 0.08),
    "grey": (0.38, 0.35, 0.60, 0.56),
    "white": (0.54, 0.58, 0.40, 0.43),
    "dura": (0.60, 0.35, 0.15, 0.30),
    "vessel": (0.90, 0.20, 0.08, 0.15),
    "necrosis": (0.20, 0.20, 0.88, 0.35),
    "oedema": (0.36, 0.38, 0.82, 0.88),
    "glioma": (0.88, 0.27, 0.75, 0.80),
    "meningioma": (0.92, 0.28, 0.72, 0.78),
    "pituitary": (0.85, 0.26, 0.74, 0.80),
}
TUMOUR_TISSUES = ("fluid", "necrosis", "oedema", "glioma", "meningioma", "pituitary")
HOSPITAL = {  # lowest and highest value over hospitals
    "level": (0.30, 0.62),  # mean slice: 0.3 shows the basal cisterns, 0.9 the bodies of the ventricles
    "level_spread": (0.04, 0.14),
    "field_of_view": (0.88, 1.12),
    "pose_spread": (0.01, 0.05),
    "bias_field": (0.03, 0.20),
    "noise": (0.006, 0.035),
    "blur": (0.002, 0.006),  # of the field of view
    "gain": (0.85, 1.20),
    "gain_spread": (0.02, 0.08),
    "stripped": (-0.8, 0.2),  # the skull is taken out above 0
    "tumour_size": (0.85, 1.15),
    "mass_effect": (0.1, 0.4),
}


def render(*, seed: int, patients: int, size: int, difficulty: float) -> Rendered:
    """Render slices from one simulated hospital, one for each patient, class after class.

    Args:
        seed: decides the hospital and its patients; the same seed at another size shows the same anatomy.
        patients: patients per class.
        size: pixels per side.
        difficulty: 0 is an obvious tumour, 1 changes no pixel at all; masks and positions stay true.
    """
    hospital_rng, patient_rng, tumour_rng, noise_rng = generators(NAME, seed, 4)
    hospital = draw_hospital(hospital_rng)
    labels = np.repeat(np.arange(len(CLASSES)), patients)
    people = draw_population(head.ANATOMY, hospital_rng, patient_rng, len(labels))
    zoom = 1 / hospital["field_of_view"]
    people |= draw_pose(patient_rng, len(labels), zoom=zoom, spread=hospital["pose_spread"])
    spread = hospital["level_spread"] * patient_rng.standard_normal((len(labels), 1, 1), dtype=np.float32)
    people["level"] = hospital["level"] + spread
    x, y = posed_grid(people, max(size, COARSEST_GRID))
    scale = hospital["tumour_size"] * (1 - 0.35 * difficulty)
    tumours = draw_tumours(tumour_rng, labels, people, x, y, scale)
    moved_x, moved_y = push(tumours, people, x, y, hospital["mass_effect"] * (1 - difficulty))
    slices, white = paint_head(hospital, people, patient_rng, moved_x, moved_y)
    paint_tumours(hospital, labels, tumours, slices, white, difficulty)
    inside_skull = smooth_step((head.dura(people) - 0.01 - head.head_radius(people, x, y)) / 0.01)
    images = scan(hospital, slices, inside_skull, size, patient_rng, noise_rng)
    masks = shrink(tumours.inside.astype(np.float32), size) > 0
    positions = posed_points(people, tumours.centre)
    positions[labels == 0] = np.nan
    return Rendered(to_uint8(images), labels, np.arange(len(labels)), masks, positions, hospital)


def draw_hospital(rng: np.random.Generator) -> Hospital:
    """Sample a scanner and its sequence: acquisition parameters, and the brightness of each tissue."""
    hospital = {name: rng.uniform(low, high) for name, (low, high) in HOSPITAL.items()}
    sequence = int(rng.choice(len(SEQUENCES), p=SEQUENCE_SHARES))
    hospital["sequence"] = float(sequence)
    for tissue, brightness in TISSUES.items():
        hospital[tissue] = brightness[sequence] * rng.uniform(0.92, 1.08)
    return hospital


def paint(slices: Stack, brightness: float, share: Stack) -> None:
    """Paint one tissue over the slices, in place, on a `share` of each pixel."""
    slices += share * (np.float32(brightness) - slices)


def paint_head(
    hospital: Hospital, people: Patients, rng: np.random.Generator, x: Stack, y: Stack
) -> tuple[Stack, Stack]:
    """Paint the slices without tumours; also return the share of white matter in each pixel."""
    radius, level = head.head_radius(people, x, y), people["level"]
    x, y = head.wobble(rng, radius, x, y)
    inner, outer = head.dura(people), 1 - people["scalp"]
    slices = np.zeros_like(x)
    paint(slices, hospital["fat"], smooth_step((1 - radius) / 0.012))
    temple = smooth_step((0.35 - np.abs(y + 0.15)) / 0.1) * smooth_step((outer + 0.03 - radius) / 0.01)
    paint(slices, hospital["muscle"], temple)
    paint(slices, hospital["bone"], smooth_step((outer - radius) / 0.012))
    diploe = np.abs(radius - (inner + outer) / 2) / people["skull"]
    paint(slices, hospital["marrow"], smooth_step((0.28 - diploe) / 0.15))
    paint(slices, hospital["dura"], smooth_step((inner + 0.008 - radius) / 0.01))
    paint(slices, hospital["fluid"], smooth_step((inner - 0.008 - radius) / 0.012))
    surface = head.pial_distance(people, head.sample_cortex(rng, len(x)), x, y, radius)
    brain = smooth_step((surface - people["atrophy"]) / 0.012 + 0.5)
    white = smooth_step((surface - people["atrophy"] - people["ribbon"]) / 0.02 + 0.5)
    paint(slices, hospital["grey"], brain)
    paint(slices, hospital["white"], white)
    nuclei = head.deep_grey(people, level, x, y)
    paint(slices, 0.6 * hospital["grey"] + 0.4 * hospital["white"], nuclei)
    chambers = smooth_step(head.ventricles(people, level, x, y) / 0.014 + 0.5)
    paint(slices, hospital["fluid"], chambers)
    falx = smooth_step((0.009 - np.abs(x - people["midline"])) / 0.006) * smooth_step((np.abs(y) - 0.42) / 0.05)
    paint(slices, hospital["dura"], falx * smooth_step((inner - radius) / 0.01))
    sinus = np.hypot(x - people["midline"], y - inner * people["half_length"] + 0.02)
    paint(slices, hospital["vessel"], smooth_step((0.035 - sinus) / 0.015))
    slices *= 1 + 0.03 * smooth_field(rng, len(x), x.shape[1], 0.03)
    return slices, white * (1 - nuclei) * (1 - chambers)


def paint_tumours(
    hospital: Hospital,
    labels: Int[np.ndarray, " images"],
    tumours: Tumours,
    slices: Stack,
    white: Stack,
    difficulty: float,
) -> None:
    """Paint each image's tumour over its slice, in place.

    With growing difficulty a tumour first comes to look like brain and then lets the brain behind it through.
    """
    brain = (hospital["grey"] + hospital["white"]) / 2
    look = {tissue: brain + (1 - difficulty) * (hospital[tissue] - brain) for tissue in TUMOUR_TISSUES}
    for label, name in enumerate(CLASSES[1:], start=1):
        chosen = labels == label
        radius, texture, region = tumours.radius[chosen], tumours.texture[chosen], slices[chosen]
        share = (1 - difficulty**3) * tumours.vigour[chosen] * tumours.room[chosen]
        if name == "glioma":
            infiltrated = smooth_step((1.9 - radius + 0.15 * texture) / 0.5) * (0.15 + 0.85 * white[chosen])
            core = smooth_step((0.62 - radius + 0.08 * texture) / 0.15)
            solid = smooth_step((1 - radius) / 0.25 + 0.5) * (1 + 0.15 * np.clip(texture, -2, 1))
            paint(region, look["oedema"], share * infiltrated)
            paint(region, look["glioma"], share * solid)
            paint(region, look["necrosis"], share * core)
        else:
            cleft = smooth_step((1.12 - radius) / 0.05) * (name == "meningioma")
            solid = smooth_step((1 - radius) / 0.08 + 0.5) * (1 - 0.05 * np.abs(texture))
            paint(region, look["fluid"], 0.6 * share * cleft)
            paint(region, look[name], share * solid)
        slices[chosen] = region


def scan(
    hospital: Hospital,
    slices: Stack,
    inside_skull: Stack,
    size: int,
    rng: np.random.Generator,
    noise_rng: np.random.Generator,
) -> Float[np.ndarray, "images rows columns"]:
    """Simulate the scanner: brightness 0..1 of the slices after bias field, resolution, gain and noise."""
    images, fine_size, _ = slices.shape
    bias = np.exp(np.float32(hospital["bias_field"]) * smooth_field(rng, images, fine_size, 0.7))
    spread = hospital["gain_spread"] * rng.standard_normal((images, 1, 1), dtype=np.float32)
    received = blur(slices * bias, hospital["blur"] * fine_size) * (hospital["gain"] * np.exp(spread))
    noise = hospital["noise"] * fine_size / 256  # smaller pixels hold less signal against the same noise
    measured = rician_noise(received, noise, noise_rng)
    if hospital["stripped"] > 0:
        measured *= inside_skull
    return shrink(measured, size)
