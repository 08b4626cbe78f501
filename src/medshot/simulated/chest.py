"""Postero-anterior chest films, with or without a lung nodule.

Each film is computed as physics: the tissue along every ray attenuates it (Beer-Lambert), scattered light
veils it, photons are counted, and a film curve turns exposure into brightness. The nodule is a ball of
tissue in the lung, so that ribs, heart and diaphragm may hide it as they do in patients.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float

from medshot.simulated import thorax
from medshot.simulated.rendered import Rendered
from medshot.simulated.texture import (
    Patients,
    blur,
    draw_population,
    draw_pose,
    generators,
    grid,
    poisson_noise,
    posed_grid,
    posed_points,
    shrink,
    smooth_field,
    smooth_step,
    to_uint8,
)

NAME = "chest"
CLASSES = ("normal", "nodule")
FLIP = False

Stack = Float[np.ndarray, "images height width"]
Hospital = dict[str, float]

HALF_FILM = 17.5  # cm
COARSEST_RAYS = 96  # rays per side below which ribs would alias
HOSPITAL = {  # lowest and highest value over hospitals
    "soft_attenuation": (0.15, 0.19),  # per cm; falls with the tube voltage
    "bone_attenuation": (0.18, 0.36),  # per cm, beyond soft tissue; falls faster
    "lung_density": (0.20, 0.32),  # of soft tissue
    "scatter": (0.12, 0.40),  # share of the mean primary intensity around
    "scatter_width": (0.15, 0.30),  # of the film
    "photons": (3000.0, 30000.0),  # per pixel in air, on a film of 256 pixels
    "blur": (0.001, 0.004),  # of the film
    "film_slope": (1.7, 2.7),
    "film_speed": (-0.1, 0.5),
    "gamma": (0.8, 1.25),
    "field_of_view": (0.87, 1.02),
    "collimation": (-0.05, 0.05),  # width of the black border in half films; none below 0
    "marker": (0.0, 1.0),  # share of films with a side marker
    "inspiration": (-0.07, 0.06),  # how much lower the diaphragm is
    "pose_spread": (0.01, 0.035),
    "nodule_radius_low": (0.50, 0.75),  # cm
    "nodule_radius_high": (1.0, 1.7),  # cm
    "nodule_density": (0.8, 1.2),  # of soft tissue
}


def render(*, seed: int, patients: int, size: int, difficulty: float) -> Rendered:
    """Render films of one simulated hospital, one for each patient: first normal ones, then those with a nodule.

    Args:
        seed: decides the hospital and its patients; the same seed at another size shows the same anatomy.
        patients: patients per class.
        size: pixels per side.
        difficulty: 0 is an obvious nodule, 1 adds nothing at all; masks and positions stay true.
    """
    hospital_rng, patient_rng, nodule_rng, noise_rng = generators(NAME, seed, 4)
    hospital = {name: hospital_rng.uniform(low, high) for name, (low, high) in HOSPITAL.items()}
    labels = np.repeat([0, 1], patients)
    people = draw_population(thorax.ANATOMY, hospital_rng, patient_rng, len(labels))
    people["dome"] += np.float32(hospital["inspiration"])
    zoom = 1 / hospital["field_of_view"]
    people |= draw_pose(patient_rng, len(labels), zoom=zoom, spread=hospital["pose_spread"])
    x, y = posed_grid(people, max(size, COARSEST_RAYS))
    attenuation = anatomy(hospital, people, patient_rng, x, y)
    centre, radius = draw_nodules(hospital, people, nodule_rng)
    thickness, inside = nodules(centre, radius, nodule_rng, x, y)
    ill = labels[:, None, None] == 1
    strength = hospital["nodule_density"] * 2.5 * (1 - difficulty) ** 1.5
    attenuation += hospital["soft_attenuation"] * strength * (ill * thickness)
    images = expose(hospital, attenuation, size, patient_rng, noise_rng)
    masks = ill & (shrink(inside.astype(np.float32), size) > 0)
    positions = posed_points(people, centre)
    positions[labels == 0] = np.nan
    return Rendered(to_uint8(images), labels, np.arange(len(labels)), masks, positions, hospital)


def anatomy(hospital: Hospital, people: Patients, rng: np.random.Generator, x: Stack, y: Stack) -> Stack:
    """Return the attenuation of every ray by the patient without a nodule (a natural logarithm, no unit)."""
    images, size, _ = x.shape
    lung = thorax.lungs(people, x, y)
    displaced = np.minimum(thorax.mediastinum(people, x, y), lung)
    aerated = lung - displaced
    vessels = people["vessel_density"] * thorax.vessel_trees(rng, images, size) * (aerated > 1)
    texture = 0.03 * aerated * smooth_field(rng, images, size, 0.03)
    mottle = 0.5 * smooth_field(rng, images, size, 0.12)
    body = thorax.body(people, x, y)
    soft = body - (1 - hospital["lung_density"]) * aerated - thorax.air(people, x, y) + vessels + texture
    soft += mottle * (body > 0)
    bone = thorax.ribs(people, x, y) + thorax.other_bones(people, x, y)
    bone *= smooth_step(body / 4)
    return np.maximum(hospital["soft_attenuation"] * soft, 0) + hospital["bone_attenuation"] * bone


def draw_nodules(
    hospital: Hospital, people: Patients, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "images 2"], Float[np.ndarray, " images"]]:
    """Sample centre (patient coordinates) and radius (half films) of a nodule in a lung of each patient."""
    images = len(people["apex"])
    height = rng.uniform(0.12, 1.0, images)[:, None, None]
    y = people["apex"] + height * (people["dome"] - people["apex"])
    side = rng.choice([-1.0, 1.0], images)
    x = side * rng.uniform(0.25, 0.90, images) * thorax.cage_half_width(people, y).ravel()
    low, high = hospital["nodule_radius_low"], hospital["nodule_radius_high"]
    radius = low * (high / low) ** rng.uniform(0, 1, images)
    return np.stack([x, y.ravel()], axis=1).astype(np.float32), (radius / HALF_FILM).astype(np.float32)


def nodules(
    centre: Float[np.ndarray, "images 2"],
    radius: Float[np.ndarray, " images"],
    rng: np.random.Generator,
    x: Stack,
    y: Stack,
) -> tuple[Stack, Bool[np.ndarray, "images height width"]]:
    """Return the centimetres of nodule along each ray, and which rays meet it (the nearest one at least)."""
    dx, dy = x - centre[:, :1, None], y - centre[:, 1:, None]
    distance = np.hypot(dx, dy) / radius[:, None, None]
    angle = np.arctan2(dy, dx)
    for lobes in (2, 3, 5):
        amount = rng.standard_normal((len(x), 1, 1), dtype=np.float32) * (0.16 / lobes)
        phase = rng.random((len(x), 1, 1), dtype=np.float32) * (2 * np.pi)
        distance *= 1 + amount * np.cos(lobes * angle + phase)
    thickness = 2 * HALF_FILM * radius[:, None, None] * thorax.chord(distance)
    nearest = distance == distance.min(axis=(1, 2), keepdims=True)
    return thickness, (distance < 1) | nearest


def expose(
    hospital: Hospital,
    attenuation: Stack,
    size: int,
    rng: np.random.Generator,
    noise_rng: np.random.Generator,
) -> Float[np.ndarray, "images rows columns"]:
    """Simulate the developed films: brightness 0..1 after scatter, counting noise, blur, film curve, marker, border."""
    images, fine_size, _ = attenuation.shape
    primary = np.exp(-attenuation - side_markers(rng, images, fine_size, hospital["marker"]))
    veil = hospital["scatter"] * blur(np.minimum(primary, 0.3), hospital["scatter_width"] * fine_size)
    photons = hospital["photons"] * (256 / fine_size) ** 2
    exposure = blur(poisson_noise(primary + veil, photons, noise_rng), hospital["blur"] * fine_size)
    logarithm = np.log(np.maximum(shrink(exposure, size), 1e-4))
    middle = slice(size // 5, size - size // 5)
    # the phototimer holds the mean exposure of the middle of each film
    reference = logarithm[:, middle, middle].mean(axis=(1, 2), keepdims=True) + hospital["film_speed"]
    density = 1 / (1 + np.exp(hospital["film_slope"] * (logarithm - reference)))
    grid_x, grid_y = grid(size)
    border = hospital["collimation"] + 0.02 * rng.standard_normal((images, 1, 1), dtype=np.float32)
    lit = smooth_step(size * (1 - border - np.maximum(np.abs(grid_x), np.abs(grid_y))) + 0.5)
    return density ** hospital["gamma"] * lit


def side_markers(rng: np.random.Generator, images: int, size: int, share: float) -> Stack:
    """Return the attenuation of a lead letter beside the patient's shoulder, on a share of the films."""
    canvas = 256
    markers = np.zeros((images, size, size), np.float32)
    visible, left = rng.uniform(size=images) < share, rng.uniform(size=images) < 0.5
    places = rng.uniform(0.02, 0.10, (images, 2))
    for index in np.flatnonzero(visible):
        letter = np.zeros((canvas, canvas), np.uint8)
        across = 1 - places[index, 0] - 0.06 if left[index] else places[index, 0]
        corner = (int(across * canvas), int((places[index, 1] + 0.08) * canvas))
        cv2.putText(letter, "L" if left[index] else "R", corner, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2, cv2.LINE_AA)
        markers[index] = cv2.resize(letter, (size, size), interpolation=cv2.INTER_AREA) / 64
    return markers
