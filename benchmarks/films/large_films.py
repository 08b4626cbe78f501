"""Simulated chest films of 2,048 pixels, rendered on demand, with a calcified nodule of three millimetres.

In an overview of 224 pixels such a nodule is a speck of two, as bright as a vessel seen end-on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import cv2
import numpy as np

from medshot.imaging import GridInput
from medshot.imaging.preparing import prepare
from medshot.simulated import chest, thorax
from medshot.simulated.texture import draw_population, draw_pose, generators, posed_grid, posed_points, to_uint8
from medshot.tasks import Task

SIZE, COARSE = 2048, 512  # pixels per side of the film, and of the anatomy, which has no finer detail
RADIUS = (0.14, 0.22)  # cm
CALCIFIED = 6.0  # times as dense as a soft nodule
SHARP = 0.25  # of the blur of the small films, whose detectors are coarse
VERSION = 1


@dataclass(frozen=True)
class Film:
    """A film, and where (as fractions of its sides) the nodule is, or would be."""

    pixels: np.ndarray
    place: np.ndarray


def film(hospital_seed: int, patient: int, *, ill: bool, size: int = SIZE) -> Film:
    """Return the film of one patient of a simulated hospital, which depends on these numbers alone."""
    (hospital_rng,) = generators(chest.NAME, hospital_seed, 1)
    hospital = {name: hospital_rng.uniform(low, high) for name, (low, high) in chest.HOSPITAL.items()}
    hospital |= {"nodule_radius_low": RADIUS[0], "nodule_radius_high": RADIUS[1]}
    hospital["blur"] *= SHARP
    rng, nodule_rng, noise_rng = map(np.random.default_rng, np.random.SeedSequence([hospital_seed, patient]).spawn(3))
    people = draw_population(thorax.ANATOMY, hospital_rng, rng, 1)
    people["dome"] += np.float32(hospital["inspiration"])
    people |= draw_pose(rng, 1, zoom=1 / hospital["field_of_view"], spread=hospital["pose_spread"])
    x, y = posed_grid(people, COARSE)
    coarse = chest.anatomy(hospital, people, rng, x, y)[0]
    attenuation = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    centre, radius = chest.draw_nodules(hospital, people, nodule_rng)
    place = posed_points(people, centre)[0]
    if ill:
        finer, reach = size // COARSE, int(0.75 * COARSE * radius[0] * people["zoom"].item()) + 3
        column, row = (place * COARSE).astype(int)
        rows, columns = (slice(max(at - reach, 0), min(at + reach, COARSE)) for at in (row, column))
        around = [cv2.resize(axis[0, rows, columns], None, fx=finer, fy=finer)[None] for axis in (x, y)]
        thickness, _ = chest.nodules(centre, radius, nodule_rng, *around)
        density = CALCIFIED * 2.5 * hospital["nodule_density"] * hospital["soft_attenuation"]
        window = slice(rows.start * finer, rows.stop * finer), slice(columns.start * finer, columns.stop * finer)
        attenuation[window] += density * thickness[0]
    pixels = to_uint8(chest.expose(hospital, attenuation[None], size, rng, noise_rng))[0]
    return Film(pixels, place.astype(np.float64))


class SimulatedFilms:
    """The films of one hospital, rendered whenever they are read; every second patient has a nodule."""

    axes = 2

    def __init__(self, hospital: int, films: int) -> None:
        self.hospital, self.films = hospital, films

    def __len__(self) -> int:
        return self.films

    def hashes(self) -> list[str]:
        recipe = f"chest film {VERSION} {SIZE} {self.hospital}"
        return [sha256(f"{recipe} {patient}".encode()).hexdigest() for patient in range(self.films)]

    def pixels(self, shape: GridInput) -> np.ndarray:
        return np.stack(list(self.stream(shape, np.arange(self.films))))

    def stream(self, shape: GridInput, rows: np.ndarray) -> Iterator[np.ndarray]:
        for patient in rows.tolist():
            drawn = film(self.hospital, patient, ill=patient % 2 == 1)
            yield prepare(drawn.pixels, shape, np.dtype(np.uint8))


def films_of(hospital: int, films: int) -> Task:
    """Return the task of one hospital: nodule or none."""
    return Task(
        name=f"chest films {hospital}",
        images=SimulatedFilms(hospital, films),
        labels=np.arange(films) % 2,
        classes=chest.CLASSES,
        patients=np.arange(films),
    )
