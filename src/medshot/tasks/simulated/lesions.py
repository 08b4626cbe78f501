"""Lesions of the liver: where each one sits, and what its tissue looks like in CT."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from medshot.tasks.simulated.abdomen import Hospital, Person, liver_centre, liver_radii
from medshot.tasks.simulated.solids import Point, Solid, Volume, ellipsoid, smooth_solid, within
from medshot.tasks.simulated.texture import smooth_step

NONE, CYST, HAEMANGIOMA, METASTASIS = range(4)
IRREGULARITY = (0.0, 0.02, 0.12, 0.17)  # of the outline
EDGE = (1.0, 0.12, 0.15, 0.35)  # of the radius, over which the lesion gives way to liver
DEEPEST = 0.66  # of the liver's radii, how far from its middle a lesion may sit


@dataclass(frozen=True)
class Lesion:
    """One lesion.

    Args:
        kind: NONE, CYST, HAEMANGIOMA or METASTASIS.
        centre: in the patient's coordinates.
        radius: distance from the centre in units of the irregular outline, 1 on it.
        nodules: a random field that decides where a haemangioma fills with contrast.
        mottle: a random field that makes tissue uneven.
        vigour: how strongly it shows, 0.75 to 1.
    """

    kind: int
    centre: Point
    radius: Solid
    nodules: Volume
    mottle: Volume
    vigour: float

    @property
    def inside(self) -> Bool[np.ndarray, "depth height width"]:
        """Voxels of the lesion; none where there is none."""
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
    """A lesion anywhere in the right lobe, `scale` times as large; the same draws whatever its kind."""
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
        vigour=float(rng.uniform(0.75, 1)),
    )


def paint_lesion(lesion: Lesion, hospital: Hospital, volume: Volume, share: Volume, strength: float) -> None:
    """Lay a lesion over the liver, in place; at strength 0 no voxel changes.

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
