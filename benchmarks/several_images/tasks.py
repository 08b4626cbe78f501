"""Tasks of several images a sample: LGG's three contrasts, simulated heads in three sequences, scans of two dates."""

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np

from medshot.imaging import MISSING, ArrayImages, FileImages, SeveralImages
from medshot.simulated import brain
from medshot.tasks import Task

NAMES = ("pre", "flair", "post")
FILLED = 0.05
"""Distance from FLAIR below which a channel is a copy.

JPEG moves copies by up to 0.04, and the two closest real contrasts of one head were 0.08 apart.
"""
GLIOMA, GLIOBLASTOMA = "lgg_mri_genomics", "longitudinal_gbm_progression"
HOSPITALS, PATIENTS, SIDE = 16, 12, 128
SEQUENCES = ("T1", "FLAIR", "T1 with contrast")


def glioma(data: Path) -> tuple[Task, Task]:
    """Return slices with and without tumour: as three contrasts, some of them missing, and as the RGB composite."""
    folder = data / GLIOMA
    with (folder / "task.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    pictures = np.stack([cv2.imread(str(folder / row["image"]))[..., ::-1] for row in rows])
    patients = np.array([row["patient"] for row in rows])
    labels = np.array([("none", "tumour").index(row["label"]) for row in rows])
    places = {name: np.arange(len(rows)) for name in NAMES}
    for patient in np.unique(patients):
        of_case = patients == patient
        for channel, name in enumerate(NAMES):
            if name != "flair" and np.median([_difference(each, channel) for each in pictures[of_case]]) < FILLED:
                places[name][of_case] = MISSING
    sources = {name: ArrayImages(pictures[..., channel].copy()) for channel, name in enumerate(NAMES)}
    composite = FileImages([folder / row["image"] for row in rows])
    several, single = (
        Task(name=GLIOMA, images=images, labels=labels, classes=("none", "tumour"), patients=patients)
        for images in (SeveralImages(sources, places), composite)
    )
    return several, single


def _difference(picture: np.ndarray, channel: int) -> float:
    """Return the distance of a channel from FLAIR in small overviews, as a share of the image's contrast."""
    small = cv2.resize(picture.astype(np.float32), (32, 32), interpolation=cv2.INTER_AREA)
    return float(np.abs(small[..., channel] - small[..., 1]).mean() / (small.std() + 1e-6))


@cache
def training_tasks(data: Path, hospitals: int) -> list[Task]:
    """Return the tasks that fusion is learned on."""
    return [*(simulated(seed) for seed in range(1, hospitals + 1)), glioblastoma(data)]


def simulated(seed: int) -> Task:
    """Return the same simulated heads in each sequence, with equal anatomy, tumours, scanner and noise."""
    rendered = {}
    for name in SEQUENCES:
        shares = tuple(float(name == sequence) for sequence in brain.SEQUENCES)
        with patch.object(brain, "SEQUENCE_SHARES", shares):
            rendered[name] = brain.render(seed=seed, patients=PATIENTS, size=SIDE, difficulty=0.3)
    first = rendered[SEQUENCES[0]]
    return Task(
        name=f"brain {seed}",
        images=_complete({name: each.images for name, each in rendered.items()}),
        labels=first.labels,
        classes=brain.CLASSES,
        patients=first.patients,
        flip=brain.FLIP,
    )


def glioblastoma(data: Path) -> Task:
    """Return slices of T1 scans of eleven patients at two dates, with tumour at one date or more, or at neither."""
    dates: dict[str, list[np.ndarray]] = {"first": [], "second": []}
    labels, patients = [], []
    for path in sorted((data / GLIOBLASTOMA).glob("patient_*.npz")):
        with np.load(path, allow_pickle=False) as scans:
            outlines = np.maximum(scans["pre_mask"], scans["post_mask"]).reshape(-1, scans["pre_mask"].shape[-1])
            for depth, pixels in enumerate(outlines.astype(bool).sum(0)):
                dates["first"].append(scans["pre_t1"][..., depth])
                dates["second"].append(scans["post_t1"][..., depth])
                labels.append(int(pixels > 0))
                patients.append(path.stem)
    return Task(
        name=GLIOBLASTOMA,
        images=_complete({name: np.stack(of_date) for name, of_date in dates.items()}),
        labels=np.array(labels),
        classes=("none", "tumour"),
        patients=np.array(patients),
        flip=True,
    )


def _complete(pictures: Mapping[str, np.ndarray]) -> SeveralImages:
    """Return samples that have every image."""
    sources = {name: ArrayImages(of_name) for name, of_name in pictures.items()}
    return SeveralImages(sources, {name: np.arange(len(source)) for name, source in sources.items()})
