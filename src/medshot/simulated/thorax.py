"""The chest as an X-ray sees it from behind: how much tissue and bone lies along each ray.

Coordinates are (x, y) on the detector with y downwards and the patient's left at positive x; the unit is
half a film, 17.5 cm. Thicknesses are in centimetres. Bones and lungs are projections of simple solids: the
rib cage, for one, is a tilted-hoop pattern painted on a shell that the ray crosses twice.
"""

import cv2
import numpy as np
from jaxtyping import Float

from medshot.simulated.texture import Patients, elliptic_radius, smooth_step

Stack = Float[np.ndarray, "images height width"]

ANATOMY = {  # mean and standard deviation over patients
    "cage_width": (0.74, 0.03),  # half width of the rib cage at its widest
    "apex": (-0.84, 0.03),
    "dome": (0.40, 0.06),  # top of the right diaphragm
    "dome_step": (0.06, 0.025),  # how much lower the left one is
    "lung_depth": (16.0, 1.5),
    "wall": (0.17, 0.04),  # soft tissue beside the rib cage
    "body_depth": (23.0, 2.0),
    "breast": (0.8, 1.2),
    "heart_size": (1.0, 0.09),
    "heart_tilt": (0.65, 0.15),
    "aorta": (0.085, 0.014),
    "rotation": (0.0, 0.02),  # shift of what lies in front against the spine
    "rib_spacing": (0.142, 0.006),
    "rib_phase": (0.0, 0.3),
    "rib_drop": (0.50, 0.07),
    "rib_width": (0.25, 0.025),
    "rib_density": (0.75, 0.12),
    "clavicle_height": (-0.60, 0.05),
    "clavicle_slope": (0.12, 0.09),
    "scapula": (0.66, 0.05),
    "arm_gap": (0.12, 0.10),
    "vessel_density": (1.5, 0.3),
    "stomach_gas": (2.0, 2.5),
}


def cage_half_width(patients: Patients, y: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Return the half width of the rib cage at height y: a dome from the apex to the base."""
    base = 0.5
    t = np.clip((base - y) / (base - patients["apex"]), 0, 1)
    return patients["cage_width"] * np.sqrt(np.maximum(1 - t**2.7, 1e-4))


def diaphragm(patients: Patients, x: Stack) -> Stack:
    """Return the height of the diaphragm's outline above each x: two domes, the right one higher."""
    top = patients["dome"] + patients["dome_step"] * (x > 0)
    lateral = np.abs(x) / patients["cage_width"] - 0.45
    return top + np.where(lateral > 0, 0.75, 0.35) * lateral**2 * patients["cage_width"]


def chord(radius: Stack) -> Stack:
    """Return the relative length of a ray through a ball whose centre it passes at `radius` (1 = tangent)."""
    square = radius * radius
    return np.sqrt(np.maximum(1 - square, 0, out=square), out=square)


def organ(x: Stack, y: Stack, centre: tuple, radii: tuple, angle: Float[np.ndarray, "..."] | float = 0.0) -> Stack:
    """Return the chord of an ellipsoid; `centre` and `radii` hold numbers or one value for each patient."""
    columns = [np.broadcast_to(np.ravel(value), len(x)) for value in (*centre, *radii)]
    turn = np.broadcast_to(np.ravel(angle), len(x))
    return chord(elliptic_radius(x, y, np.stack(columns[:2], 1), np.stack(columns[2:], 1), turn))


def mediastinum(patients: Patients, x: Stack, y: Stack) -> Stack:
    """Return the centimetres of heart, great vessels and hila along each ray, which displace lung."""
    p = patients
    x = x - p["rotation"]
    size, level = p["heart_size"], p["dome"]
    ventricles = organ(x, y, (0.15 * size, level - 0.10), (0.36 * size, 0.24 * size), p["heart_tilt"])
    atrium = organ(x, y, (-0.03, level - 0.17), (0.20 * size, 0.30))
    waist = organ(x, y, (0.05, level - 0.28), (0.19, 0.38), -0.25)
    knuckle = organ(x, y, (0.075 + p["aorta"] / 2, -0.36), (p["aorta"], p["aorta"] * 1.1))
    descending = chord((x - 0.09) / 0.085) * smooth_step((y + 0.36) / 0.05)
    upper = chord(x / (0.15 + 0.05 * smooth_step((-0.45 - y) / 0.4)))
    hila = organ(np.abs(x + 0.02), y, (0.21, -0.07), (0.07, 0.15), 0.3)
    heart = (ventricles**2 + atrium**2 + waist**2) ** 0.5
    return 11 * heart + 6 * upper + 5 * knuckle + 3 * descending + 2 * hila**2


def lungs(patients: Patients, x: Stack, y: Stack) -> Stack:
    """Return the centimetres of lung along each ray, before the heart and vessels displace some."""
    p = patients
    half_width = cage_half_width(patients, y)
    depth = patients["lung_depth"] * half_width / patients["cage_width"]
    above = diaphragm(patients, x) - y
    # behind the dome the lung reaches lower still, as a thinning wedge
    remaining = 0.78 * smooth_step(above / 0.02) + 0.22 * smooth_step(1 + above / 0.2)
    medial = smooth_step((np.abs(x) - 0.05) / 0.08) * smooth_step((y - p["apex"]) / 0.1 + 6 * np.abs(x) - 1)
    return depth * chord(x / half_width) * remaining * medial


def body(patients: Patients, x: Stack, y: Stack) -> Stack:
    """Return the centimetres of body along each ray, lungs included: torso, shoulders, neck, arms, breasts."""
    p = patients
    away = np.abs(x)
    flank = p["cage_width"] + p["wall"]
    half_width = flank + 0.7 * smooth_step((0.1 - y) / 0.6)
    top = -1.12 + 0.45 * smooth_step((away - 0.25) / 1.1)
    torso = p["body_depth"] * np.sqrt(chord(away / half_width) * smooth_step((y - top) / 0.45))
    torso *= 1 + 0.12 * smooth_step((y - p["dome"]) / 0.3)
    neck = 12 * chord(x / 0.3) * (y < 0)
    arms = 9 * chord((away - flank - p["arm_gap"] - 0.18) / 0.17) * smooth_step((y + 0.35) / 0.3)
    breasts = np.maximum(p["breast"], 0) * 2 * organ(away, y, (0.42, 0.28), (0.38, 0.34), 0.3) ** 1.5
    return np.maximum(np.maximum(torso, neck), arms) + breasts


def ribs(patients: Patients, x: Stack, y: Stack) -> Stack:
    """Return the centimetres of rib: hoops that fall from the spine forwards, crossed behind and in front."""
    p = patients
    u = x / (cage_half_width(p, y) * 1.02 + 0.01)
    inside = smooth_step((1 - np.abs(u)) / 0.02)
    cosine = chord(u)
    slant = 1 / np.maximum(cosine, 0.45)  # the shell is steep at its sides, so rays stay longer in it
    back = rib_profile(p, y - p["rib_drop"] * 0.5 * (1 - cosine), 1.0)
    front = rib_profile(p, y - p["rib_drop"] * 0.5 * (1 + 1.2 * cosine), 1.25)
    ossified = smooth_step((np.abs(u) - 0.30) / 0.30)  # cartilage does not show
    return p["rib_density"] * inside * slant * (back + 0.6 * ossified * front)


def rib_profile(patients: Patients, level: Stack, width: float) -> Stack:
    """Return the cross-section of the ribs at each height on the shell: marrow between two brighter cortices."""
    p = patients
    half = p["rib_width"] * width
    phase = level / p["rib_spacing"] + p["rib_phase"]
    off_centre = np.abs(phase - np.rint(phase)) / half
    tube = smooth_step((1.1 - off_centre) / 0.2)
    return tube * (0.55 + 0.45 * smooth_step((off_centre - 0.5) / 0.4))


def other_bones(patients: Patients, x: Stack, y: Stack) -> Stack:
    """Return the centimetres of bone in spine, clavicles, scapulae and humeral heads."""
    p = patients
    disc = np.cos(2 * np.pi * (y / (0.95 * p["rib_spacing"]) + p["rib_phase"]))
    spine = chord((x + p["rotation"]) / (0.095 + 0.008 * disc)) * (1.1 + 0.35 * disc)
    along = np.abs(x - 1.5 * p["rotation"])
    bend = 0.03 * np.sin(np.pi * np.clip((along - 0.08) / 0.6, 0, 1) * 2)
    off_axis = y - p["clavicle_height"] + p["clavicle_slope"] * along + bend
    clavicles = chord(off_axis / 0.042) * smooth_step((along - 0.06) / 0.04) * smooth_step((0.85 - along) / 0.1)
    outwards = np.abs(x) - p["scapula"] - 0.18 * (y + 0.3)
    blade = smooth_step(outwards / 0.02) * smooth_step((0.4 - outwards) / 0.2)
    blade *= smooth_step((y + 0.62 + 0.2 * outwards) / 0.1) * smooth_step((0.06 - y - outwards) / 0.08)
    head = organ(np.abs(x), y, (1.08, -0.52), (0.15, 0.16))
    return spine + 1.3 * clavicles + 0.6 * blade + 2.0 * head


def air(patients: Patients, x: Stack, y: Stack) -> Stack:
    """Return the centimetres of air in the trachea, the main bronchi and the stomach."""
    p = patients
    midline = x - p["rotation"] + 0.01
    trachea = chord(midline / 0.05) * smooth_step((-0.22 - y) / 0.05)
    bronchi = chord((np.abs(midline) - 0.9 * (y + 0.24)) / 0.04) * (y > -0.24) * smooth_step((-0.08 - y) / 0.05)
    top = p["dome"] + p["dome_step"]
    stomach = organ(x, y, (0.30, top + 0.14), (0.16, 0.07))
    return 2.0 * trachea + 1.2 * bronchi + np.maximum(p["stomach_gas"], 0) * stomach


def vessel_trees(rng: np.random.Generator, images: int, size: int) -> Stack:
    """Draw branching vessels from both hila outwards; 1 is a vessel of the first order seen side-on."""
    orders, stems = 5, 7
    side = np.repeat([-1.0, 1.0], stems)
    start = np.stack([0.15 * side, np.full(2 * stems, -0.10)], axis=1) + rng.normal(0, 0.03, (images, 1, 2))
    heading = np.pi / 2 * np.tile(np.linspace(-1.0, 0.95, stems), 2) + rng.normal(0, 0.12, (images, 2 * stems))
    branches = []
    for order in range(orders):
        length = 0.20 * 0.87**order * rng.uniform(0.6, 1.2, heading.shape)
        end = start + length[..., None] * np.stack([side * np.cos(heading), np.sin(heading)], axis=-1)
        branches.append(np.stack([start, end], axis=2))
        fork = rng.uniform(0.2, 0.55, heading.shape)
        bend = rng.normal(0, 0.1, (2, *heading.shape))
        heading = np.concatenate([heading + 0.5 * fork + bend[0], heading - fork + bend[1]], axis=1)
        start, side = np.concatenate([end, end], axis=1), np.tile(side, 2)
    return np.stack([draw_tree([order[image] for order in branches], size) for image in range(images)])


def draw_tree(branches: list[Float[np.ndarray, "_ 2 2"]], size: int) -> Float[np.ndarray, "size size"]:
    """Draw one tree, given the segments (start, end) of each order; thick branches over thin ones."""
    canvas, fraction = 256, 4  # pixels per side, bits of subpixel position
    tree = np.zeros((canvas, canvas), np.uint8)
    styles = ((255, 4), (170, 3), (110, 2), (75, 1), (55, 1))  # brightness and thickness by order
    for segments, (brightness, thickness) in reversed(list(zip(branches, styles, strict=True))):
        pixels = ((segments + 1) / 2 * canvas * 2**fraction).astype(np.int32)
        cv2.polylines(tree, list(pixels), False, brightness, thickness, cv2.LINE_AA, fraction)
    soft = cv2.GaussianBlur(tree.astype(np.float32) / 255, (0, 0), 0.8)
    return cv2.resize(soft, (size, size), interpolation=cv2.INTER_AREA)
