"""Simulated tasks, in any number, with labels, patients, and the true place of every finding."""

from types import MappingProxyType

from medshot.errors import InputError
from medshot.imaging import ArrayImages
from medshot.simulated import brain, chest, ecg, organ, spine_mri, spine_xray
from medshot.simulated.rendered import Rendered
from medshot.tasks.task import Task

__all__ = ["FAMILIES", "Rendered", "simulate"]

FAMILIES = MappingProxyType({family.NAME: family for family in (chest, brain, ecg, spine_xray, spine_mri, organ)})


def simulate(family: str, *, seed: int, patients: int = 20, size: int = 64, difficulty: float = 0.3) -> Task:
    """Simulate one task: a hospital of its own, with its scanner, its patients and its range of findings.

    Args:
        family: a key of `FAMILIES`.
        seed: 0 or more; decides everything, and two seeds are two hospitals.
        patients: per class, one image each.
        size: longer side of the images in pixels, or side of the cube that a volume fills, in voxels.
        difficulty: 0 is obvious, at 1 the finding is invisible.

    Raises:
        InputError: the family is unknown or a number is out of range.
    """
    if family not in FAMILIES:
        raise InputError(f"'{family}' is not a simulated family; choose one of {', '.join(FAMILIES)}.")
    if seed < 0 or patients < 1 or size < 16 or not 0 <= difficulty <= 1:
        raise InputError(
            f"seed={seed}, patients={patients}, size={size}, difficulty={difficulty} cannot be simulated; give a seed "
            "of 0 or more, at least 1 patient and 16 pixels, and a difficulty from 0 to 1."
        )
    module = FAMILIES[family]
    rendered = module.render(seed=seed, patients=patients, size=size, difficulty=difficulty)
    return Task(
        name=f"{family} {seed}",
        images=ArrayImages(rendered.images),
        labels=rendered.labels,
        classes=module.CLASSES,
        patients=rendered.patients,
        source=f"{family} {seed}",
        flip=module.FLIP,
    )
