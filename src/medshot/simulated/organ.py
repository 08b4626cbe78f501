"""CT volumes of the liver without a lesion, or with a cyst, a haemangioma or a metastasis.

Tissues have their Hounsfield units in the portal venous phase, as far as the hospital's timing got there. Then comes
the scanner: resolution within the slice, slices of some thickness put back on cubes, quantum noise, cupping and the
window in which the hospital saves its volumes. Patients and scanners are drawn alike for all classes, and place and
size of a lesion for all kinds. Brightness distinguishes the kinds only in part; texture, outline and rim do the rest.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8
from scipy.ndimage import gaussian_filter

from medshot.errors import InputError
from medshot.simulated.abdomen import (
    ANATOMY,
    Hospital,
    Person,
    Point,
    Solid,
    Volume,
    centres,
    ellipsoid,
    liver_centre,
    liver_radii,
    paint_abdomen,
    posed_axes,
    posed_point,
    shrink_solid,
    slabs,
    smooth_solid,
    within,
)
from medshot.simulated.rendered import Rendered
from medshot.simulated.texture import draw_population, draw_pose, generators, smooth_step, to_uint8

NONE, CYST, HAEMANGIOMA, METASTASIS = range(4)
IRREGULARITY = (0.0, 0.02, 0.12, 0.17)  # of the outline
EDGE = (1.0, 0.12, 0.15, 0.35)  # of the radius, over which the lesion gives way to liver
DEEPEST = 0.66  # of the liver's radii, how far from its middle a lesion may sit


@dataclass(frozen=True)
class Lesion:
    """A lesion of the liver.

    Args:
        kind: NONE, CYST, HAEMANGIOMA or METASTASIS.
        centre: in the patient's coordinates.
        radius: distance from the centre in units of the irregular outline, 1 on it.
        nodules: a random field that decides where a haemangioma fills with contrast.
        mottle: a random field that makes tissue uneven.
        vigour: how strongly it shows, 0.6 to 1.
    """

    kind: int
    centre: Point
    radius: Solid
    nodules: Volume
    mottle: Volume
    vigour: float

    @property
    def inside(self) -> Bool[np.ndarray, "depth height width"]:
        """Return the voxels of the lesion; none if there is no lesion."""
        return (self.radius < 1) & (self.kind != NONE)


def draw_lesion(
    rng: np.random.Generator,
    kind: int,
    hospital: Hospital,
    person: Person,
    x: Solid,
    y: Solid,
    z: Solid,
    size: int,
    scale: float,
) -> Lesion:
    """Sample a lesion anywhere in the right lobe, `scale` times as large; the draws are the same for all kinds."""
    direction = rng.normal(0, 1, 3)
    away = DEEPEST * rng.uniform(0, 1) ** (1 / 3) * direction / np.linalg.norm(direction)
    across, front, up = (np.array(liver_centre(person)) + away * np.array(liver_radii(person))).tolist()
    radius = scale * rng.uniform(hospital["lesion_low"], hospital["lesion_high"])
    stretch = rng.uniform(0.88, 1.12, 3) if kind != CYST else np.ones(3)
    a, b, c = (radius * stretch).tolist()
    distance = ellipsoid(x, y, z, (across, front, up), (a, b, c))
    outline = 1 + np.float32(IRREGULARITY[kind]) * smooth_solid(rng, size, 0.09)
    return Lesion(
        kind=kind,
        centre=(across, front, up),
        radius=distance / np.clip(outline, 0.6, 1.5),
        nodules=smooth_solid(rng, size, 0.07),
        mottle=smooth_solid(rng, size, 0.04),
        vigour=float(rng.uniform(0.6, 1)),
    )


def paint_lesion(lesion: Lesion, hospital: Hospital, volume: Volume, share: Volume, strength: float) -> None:
    """Paint a lesion over the liver, in place; at strength 0 no voxel changes.

    A cyst is a ball of fluid with a sharp outline. A haemangioma holds blood that contrast medium has reached only in
    nodules along its outline. A metastasis has no sharp outline; its rim takes up contrast and its core is dying.
    """
    if lesion.kind == NONE:
        return
    radius = lesion.radius
    if lesion.kind == CYST:
        tissue: Solid = np.float32(hospital["fluid"]) + 0 * radius
    elif lesion.kind == HAEMANGIOMA:
        filled = smooth_step((radius - 0.5) / 0.15) * smooth_step((lesion.nodules + 0.2) / 0.4)
        tissue = np.float32(hospital["blood"]) + filled * np.float32(hospital["vessel"] - hospital["blood"])
    else:
        rim = smooth_step((radius - 0.6) / 0.2)
        tissue = np.float32(hospital["core"]) + rim * np.float32(hospital["liver"] + hospital["rim"] - hospital["core"])
        tissue = tissue + 10 * lesion.mottle
    covered = within(radius, 1.0, EDGE[lesion.kind]) * smooth_step(share * 4)
    volume += np.float32(strength * lesion.vigour) * covered * (tissue - volume)


NAME = "organ"
CLASSES = ("no_lesion", "cyst", "haemangioma", "metastasis")
FLIP = False

LARGEST = 256  # voxels per side
COARSEST_GRID = 48  # voxels per side below which vessels would alias
HOSPITAL = {  # lowest and highest value over hospitals
    "field_of_view": (0.92, 1.08),
    "pose_spread": (0.01, 0.04),
    "liver": (75.0, 120.0),  # Hounsfield units, by the dose and timing of the contrast medium
    "vessel_above": (30.0, 75.0),  # vessels over liver
    "kidney_above": (40.0, 80.0),
    "window_centre": (30.0, 70.0),  # Hounsfield units
    "window_width": (360.0, 500.0),
    "noise": (6.0, 22.0),  # Hounsfield units
    "blur": (0.004, 0.012),  # of the field of view
    "slice_thickness": (0.01, 0.045),  # of the field of view
    "cupping": (-12.0, 12.0),  # Hounsfield units, from the middle to the border
    "unevenness": (0.0, 6.0),  # Hounsfield units
    "lesion_low": (0.09, 0.12),  # radius in half sides of the cube, about 13 cm
    "lesion_high": (0.15, 0.20),
    "fluid": (2.0, 20.0),
    "blood": (35.0, 55.0),
    "core": (5.0, 40.0),
    "rim": (15.0, 40.0),  # above liver
}


def render(*, seed: int, patients: int, size: int, difficulty: float) -> Rendered:
    """Render volumes from one simulated hospital, one for each patient, class after class.

    Args:
        seed: decides the hospital and its patients; the same seed at another size shows the same anatomy.
        patients: patients per class.
        size: voxels per side of the cube; slices run from the feet up, rows to the back, columns to the patient's left.
        difficulty: 0 is an obvious lesion, 1 changes no voxel at all; masks and positions stay true.

    Raises:
        InputError: the cube has more than `LARGEST` voxels per side.
    """
    if size > LARGEST:
        raise InputError(f"size={size} is too large for volumes of '{NAME}'; choose {LARGEST} voxels or fewer.")
    hospital_rng, patient_rng, lesion_rng, noise_rng = generators(NAME, seed, 4)
    hospital = draw_hospital(hospital_rng)
    labels = np.repeat(np.arange(len(CLASSES)), patients)
    volumes = np.empty((len(labels), size, size, size), np.uint8)
    masks = np.zeros(volumes.shape, bool)
    positions = np.full((len(labels), 3), np.nan)
    fine = max(size, COARSEST_GRID)
    for row, person in enumerate(draw_persons(hospital, hospital_rng, patient_rng, len(labels))):
        x, y, z = posed_axes(fine, person)
        volume, share = paint_abdomen(hospital, person, patient_rng, x, y, z, fine)
        scale = 1 - 0.35 * difficulty
        lesion = draw_lesion(lesion_rng, int(labels[row]), hospital, person, x, y, z, fine, scale)
        paint_lesion(lesion, hospital, volume, share, 1 - difficulty)
        volumes[row] = scan(hospital, volume, size, patient_rng, noise_rng)
        if labels[row]:
            masks[row] = shrink_mask(lesion.inside, size)
            positions[row] = posed_point(lesion.centre, person)
    return Rendered(volumes, labels, np.arange(len(labels)), masks, positions, hospital)


def draw_hospital(rng: np.random.Generator) -> Hospital:
    """Sample a scanner, its protocol, and how its contrast medium appears."""
    hospital = {name: rng.uniform(low, high) for name, (low, high) in HOSPITAL.items()}
    hospital["vessel"] = hospital["liver"] + hospital["vessel_above"]
    hospital["kidney"] = hospital["liver"] + hospital["kidney_above"]
    return hospital


def draw_persons(
    hospital: Hospital, hospital_rng: np.random.Generator, patient_rng: np.random.Generator, count: int
) -> list[Person]:
    """Sample each patient's measures and pose in the cube."""
    people = draw_population(ANATOMY, hospital_rng, patient_rng, count)
    spread = hospital["pose_spread"]
    people |= draw_pose(patient_rng, count, zoom=1 / hospital["field_of_view"], spread=spread)
    people["shift_z"] = 1.5 * spread * patient_rng.standard_normal((count, 1, 1), dtype=np.float32)
    return [{name: float(values[row, 0, 0]) for name, values in people.items()} for row in range(count)]


def scan(
    hospital: Hospital, volume: Volume, size: int, patient_rng: np.random.Generator, noise_rng: np.random.Generator
) -> UInt8[np.ndarray, "size size size"]:
    """Simulate the scanner: Hounsfield units in the hospital's window."""
    uneven = hospital["unevenness"] * smooth_solid(patient_rng, size, 0.5)
    pixels = hospital["blur"] * len(volume)
    volume = shrink_solid(gaussian_filter(volume, (0, pixels, pixels)), size)
    averaging, back = slabs(size, hospital["slice_thickness"])
    slices = np.tensordot(averaging, volume, 1)
    noise = gaussian_filter(noise_rng.standard_normal(slices.shape, dtype=np.float32), (0, 0.5, 0.5))
    noise *= np.float32(hospital["noise"]) / noise.std()
    volume = np.tensordot(back, slices + noise, 1)
    middles = centres(size)
    radius = middles[:, None] ** 2 + middles**2
    volume += np.float32(hospital["cupping"]) * (radius - 0.5) + uneven
    lowest = hospital["window_centre"] - hospital["window_width"] / 2
    return to_uint8((volume - np.float32(lowest)) / np.float32(hospital["window_width"]))


def shrink_mask(inside: Bool[np.ndarray, "depth height width"], size: int) -> Bool[np.ndarray, "size size size"]:
    """Return the voxels that a mask fills by half of what it fills of any voxel."""
    share = shrink_solid(inside.astype(np.float32), size)
    return share > 0.5 * np.maximum(share.max(), np.float32(1e-6))
