"""Scanned pages of twelve-lead electrocardiograms: sinus rhythm, atrial fibrillation, or ST elevation.

Three rows of four leads, 2.5 seconds each, are above a strip of lead II that shows the rhythm. The traces
come from `electrocardiogram`, the page that they are written on from `ecg_page`.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from medshot.simulated import electrocardiogram
from medshot.simulated.ecg_page import LAYOUT, Rows, columns_of_page, scan
from medshot.simulated.electrocardiogram import LEADS, SECONDS, TERRITORIES, Hearts
from medshot.simulated.rendered import Rendered, centroids

NAME = "ecg"
CLASSES = ("normal", "atrial_fibrillation", "st_elevation")
FLIP = False

HOSPITAL = {  # lowest and highest value over hospitals
    "heart_rate": (64.0, 84.0),  # per minute, mean of the patients
    "muscle_noise": (0.002, 0.022),  # mV
    "hum": (0.0, 0.012),  # mV, at 50 Hz
    "wander": (0.01, 0.09),  # mV
    "elevation": (0.24, 0.50),  # mV, mean injury current
    "gain": (8.0, 10.5),  # mm of paper per mV
    "pen": (0.35, 0.75),  # mm
    "ink": (0.75, 1.0),
    "ink_blue": (0.0, 0.5),
    "grid_hue": (0.0, 5.0),  # which of the GRID_COLOURS
    "grid_strength": (0.25, 0.8),
    "yellowing": (-0.15, 0.22),
    "calibration": (0.0, 1.5),  # pulse shown above 0.5
    "separators": (0.0, 1.0),  # bars between leads above 0.5
    "rotation": (0.0, 2.2),  # degrees, standard deviation
    "perspective": (0.0, 0.025),  # of the page
    "surround": (0.05, 1.0),  # brightness of what the page lies on
    "shading": (0.0, 0.2),
    "crease": (0.0, 0.5),  # share of folded pages
    "fading": (0.0, 0.5),
    "blur": (0.0003, 0.0016),  # of the page's width
    "grain": (0.004, 0.03),
    "jpeg_quality": (45.0, 95.0),
}


def render(*, seed: int, patients: int, size: int, difficulty: float) -> Rendered:
    """Render ECG pages of one hospital; the mask is the trace of the rhythm strip or of the elevated ST segments.

    Args:
        seed: decides the hospital and its patients.
        patients: per class, one page each.
        size: width of a page in pixels; it is 9/16 as high.
        difficulty: 0 is obvious; at 1 fibrillation and ST elevation have gone.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4)]
    hospital_rng, people_rng, finding_rng, scan_rng = streams
    hospital = {name: float(hospital_rng.uniform(*bounds)) for name, bounds in HOSPITAL.items()}
    labels = np.arange(patients * len(CLASSES)) % len(CLASSES)
    hearts = electrocardiogram.healthy_hearts(people_rng, len(labels), hospital["heart_rate"])
    hearts, territories = with_findings(hearts, labels, hospital["elevation"], 1 - difficulty, finding_rng)

    columns = columns_of_page(size)
    times = np.linspace(0, SECONDS, columns * -(-1500 // columns), endpoint=False)
    rows = rows_of_leads(electrocardiogram.record(hearts, times)) + disturbance(
        people_rng, len(labels), times, hospital
    )
    affected = affected_samples(hearts, times, labels, territories)
    images, masks = scan(rows, affected, hospital, size, scan_rng)
    return Rendered(images, labels, np.arange(len(labels)), masks, centroids(masks), hospital)


def with_findings(
    hearts: Hearts,
    labels: Int[np.ndarray, " patients"],
    elevation: float,
    strength: float,
    rng: np.random.Generator,
) -> tuple[Hearts, Float[np.ndarray, "patients 3"]]:
    """Return the hearts with the finding of their class, and the territory of each patient's infarction."""
    territories = np.eye(len(TERRITORIES))[rng.integers(0, len(TERRITORIES), len(labels))]
    current = elevation * np.exp(rng.normal(0, 0.2, len(labels))) * strength * (labels == 2)
    hearts = electrocardiogram.fibrillate(hearts, rng, strength * (labels == 1))
    return electrocardiogram.injure(hearts, territories, current), territories * (labels == 2)[:, None]


def rows_of_leads(leads: Float[np.ndarray, "patients 12 samples"]) -> Rows:
    """Return the four rows of the page: each changes its lead every quarter of the time."""
    quarters = np.array_split(np.arange(leads.shape[2]), 4)
    rows = [[leads[:, LEADS.index(lead), q] for lead, q in zip(row, quarters, strict=True)] for row in LAYOUT]
    return np.stack([np.concatenate(row, axis=-1) for row in rows], axis=1)


def disturbance(
    rng: np.random.Generator, patients: int, times: Float[np.ndarray, " samples"], hospital: dict[str, float]
) -> Rows:
    """Sample baseline wander, muscle noise and mains hum in millivolts."""
    phase = rng.uniform(0, 2 * np.pi, (4, patients, 4, 1)).astype(np.float32)
    amount = np.exp(rng.normal(0, 0.5, (3, patients, 1, 1))).astype(np.float32)
    turn = (2 * np.pi * times).astype(np.float32)
    hum = hospital["hum"] * amount[0] * np.sin(50 * turn + phase[0])
    slow = np.sin(0.12 * turn + phase[1]) + 0.6 * np.sin(0.29 * turn + phase[2]) + 0.3 * np.sin(0.55 * turn + phase[3])
    muscle = rng.standard_normal((patients, 4, times.size), dtype=np.float32)
    return hum + hospital["wander"] * amount[1] * slow + hospital["muscle_noise"] * amount[2] * muscle


def affected_samples(
    hearts: Hearts,
    times: Float[np.ndarray, " samples"],
    labels: Int[np.ndarray, " patients"],
    territories: Float[np.ndarray, "patients 3"],
) -> Bool[np.ndarray, "patients 4 samples"]:
    """Return where each patient's finding is on the page: the rhythm strip, or ST segments of the affected leads."""
    since, interval = electrocardiogram.beat_offsets(hearts, times)
    stretched = since / np.sqrt(interval)
    segment = (stretched > 0.05) & (stretched < 0.36)
    present = np.array([[lead in leads for lead in LEADS] for leads in TERRITORIES], dtype=float)
    leads = (territories @ present)[:, :, None] * segment[:, None, :]
    strip = (np.arange(4) == 3)[:, None] & (labels == 1)[:, None, None]
    return (rows_of_leads(leads) > 0) | strip
