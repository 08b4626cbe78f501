"""Twelve-lead electrocardiograms from a dynamical model of the heart's electric dipole.

McSharry et al. 2003 (IEEE Trans. Biomed. Eng. 50:289, equation 1) let a point run round a limit cycle, once
for each beat, and pull the signal z at the angles of the P, Q, R, S and T waves::

    dz/dt = - sum_i a_i d_i exp(-d_i^2 / (2 b_i^2)) - (z - z0),     d_i = (angle - angle_i) mod 2 pi

The angle only ever advances, so the equation is linear in z. Its solution is a sum of Gaussian waves G(t)
less its own first-order low-pass: z = G - L, dL/dt = G - L, up to the constant z0. Clifford, Sameni et al.
2007 (EURASIP J. Adv. Signal Process. 43407) make z the three components of the dipole; the twelve leads are
then projections of it (Dower et al. 1980, J. Electrocardiol. 13:93). As in the authors' program, the angles
and widths of the waves follow the heart rate; here they do so beat by beat.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
SECONDS = 10.0
TERRITORIES = (("V1", "V2", "V3", "V4"), ("II", "III", "aVF"), ("I", "aVL", "V5", "V6"))

# Axes of the dipole: x to the left, y to the feet, z to the back.
_I, _II = np.array([0.632, -0.235, 0.059]), np.array([0.235, 1.066, -0.132])
_CHEST = [
    [-0.515, 0.157, -0.917],
    [0.044, 0.164, -1.387],
    [0.882, 0.098, -1.277],
    [1.213, 0.127, -0.601],
    [1.125, 0.127, -0.086],
    [0.831, 0.076, 0.230],
]
_LEAD_VECTORS = np.array([_I, _II, _II - _I, -(_I + _II) / 2, _I - _II / 2, _II - _I / 2, *_CHEST])

# Waves: seconds from the R peak, width in seconds, dipole in millivolts. ST is silent in health.
_WAVES = ("P", "Q", "R", "S", "T rise", "T fall", "ST early", "ST late")
_DELAYS = np.array([-0.165, -0.030, 0.000, 0.030, 0.250, 0.300, 0.105, 0.185])
_WIDTHS = np.array([0.022, 0.009, 0.0105, 0.010, 0.052, 0.031, 0.030, 0.045])
_DIPOLES = np.array(
    [
        [0.055, 0.095, -0.020],
        [-0.120, 0.020, -0.220],
        [1.050, 0.780, 0.300],
        [-0.180, -0.140, 0.420],
        [0.110, 0.085, -0.070],
        [0.170, 0.120, -0.110],
        [0.000, 0.000, 0.000],
        [0.000, 0.000, 0.000],
    ]
)
_REPOLARISATION = np.array([wave.startswith(("T", "ST")) for wave in _WAVES])
_T_WAVE = np.array([wave.startswith("T") for wave in _WAVES])
_INJURED = np.array([wave.startswith("ST") for wave in _WAVES])
# The injury current points to the ischaemic wall: anterior, inferior, lateral. Leads on the far side fall.
_INJURIES = np.array([[0.10, -0.24, -0.80], [-0.25, 0.85, 0.18], [0.85, -0.50, 0.10]])


@dataclass(frozen=True)
class Hearts:
    """The hearts of several patients.

    Args:
        intervals: seconds from each R peak to the next.
        start: time of the first R peak, in seconds, before the recording begins.
        dipoles: strength of each wave along x, y and z, in millivolts.
        fibrillation: amplitude of the fibrillatory waves, in millivolts.
        fibrillation_rate: their frequency in hertz.
        fibrillation_phase: phases of their carrier and of its slow modulation, in radians.
    """

    intervals: Float[np.ndarray, "patients beats"]
    start: Float[np.ndarray, " patients"]
    dipoles: Float[np.ndarray, "patients waves 3"]
    fibrillation: Float[np.ndarray, " patients"]
    fibrillation_rate: Float[np.ndarray, " patients"]
    fibrillation_phase: Float[np.ndarray, "patients 2"]


def healthy_hearts(rng: np.random.Generator, patients: int, rate: float) -> Hearts:
    """Sample hearts in sinus rhythm whose rate varies with breathing (respiratory sinus arrhythmia).

    Args:
        rng: source of the patients.
        patients: how many.
        rate: mean heart rate of the population, in beats per minute.
    """
    beats = 48
    mean = 60 / (rate * np.exp(rng.normal(0, 0.13, patients))).clip(48, 115)
    breath = rng.uniform(0.18, 0.30, patients)
    phase = rng.uniform(0, 2 * np.pi, patients)
    depth = rng.uniform(0.005, 0.045, patients)
    time = np.arange(beats) * mean[:, None]
    breathing = depth[:, None] * np.sin(2 * np.pi * breath[:, None] * time + phase[:, None])
    intervals = mean[:, None] * (1 + breathing + rng.normal(0, 0.008, (patients, beats)))
    gains = np.exp(rng.normal(0, 0.18, (patients, 1, 1)) + rng.normal(0, 0.18, (patients, len(_WAVES), 1)))
    turned = _turn(_DIPOLES, rng.normal(0, 0.30, patients), rng.normal(0, 0.22, patients))
    return Hearts(
        intervals=intervals,
        start=-1.5 - rng.uniform(0, 1, patients) * mean,
        dipoles=gains * turned,
        fibrillation=np.zeros(patients),
        fibrillation_rate=np.ones(patients),
        fibrillation_phase=np.zeros((patients, 2)),
    )


def fibrillate(hearts: Hearts, rng: np.random.Generator, strength: Float[np.ndarray, " patients"]) -> Hearts:
    """Apply atrial fibrillation: irregular intervals, no P wave, a trembling baseline; strength 0 is none."""
    patients, beats = hearts.intervals.shape
    spread = rng.uniform(0.20, 0.32, (patients, 1))
    irregular = np.exp(strength[:, None] * (spread * rng.normal(0, 1, (patients, beats)) - spread**2 / 2))
    atrium = np.where(np.array(_WAVES) == "P", 1 - strength[:, None], 1.0)
    return replace(
        hearts,
        # No interval is shorter than the refractory time of the node, unless the heart was that fast before.
        intervals=np.maximum(hearts.intervals * irregular, np.minimum(hearts.intervals, 0.36)),
        dipoles=hearts.dipoles * atrium[:, :, None],
        fibrillation=strength * rng.uniform(0.045, 0.10, patients),
        fibrillation_rate=np.asarray(rng.uniform(4.5, 8.5, patients)),
        fibrillation_phase=rng.uniform(0, 2 * np.pi, (patients, 2)),
    )


def injure(
    hearts: Hearts,
    territory: Float[np.ndarray, "patients territories"],
    elevation: Float[np.ndarray, " patients"],
) -> Hearts:
    """Apply ST elevation of infarction: an injury current to a territory, and a hyperacute T wave there.

    Args:
        hearts: the patients before the infarction.
        territory: 1 for each patient's territory in `TERRITORIES`, 0 elsewhere.
        elevation: size of the injury current in millivolts; 0 changes nothing.
    """
    current = elevation[:, None] * (territory @ _INJURIES)
    shape = 1.0 * _INJURED + 0.9 * _T_WAVE
    return replace(hearts, dipoles=hearts.dipoles + shape[:, None] * current[:, None, :])


def beat_offsets(
    hearts: Hearts, times: Float[np.ndarray, " samples"]
) -> tuple[Float[np.ndarray, "patients samples"], Float[np.ndarray, "patients samples"]]:
    """Return the seconds since the last R peak, and the interval from that peak to the next, at each time."""
    patients = len(hearts.start)
    peaks = hearts.start[:, None] + np.cumsum(hearts.intervals, axis=1) - hearts.intervals
    # One sorted list for all patients: each is moved to its own stretch of time.
    apart = 1e3 * np.arange(patients)[:, None]
    last = np.searchsorted((peaks + apart).ravel(), (times + apart).ravel(), side="right") - 1
    shape = (patients, times.size)
    return (times - peaks.ravel()[last].reshape(shape)), hearts.intervals.ravel()[last].reshape(shape)


def record(hearts: Hearts, times: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "patients 12 samples"]:
    """Record the twelve leads in millivolts at evenly spaced times (seconds), in the order of `LEADS`."""
    since, interval = beat_offsets(hearts, times)
    since, interval = since.astype(np.float32), interval.astype(np.float32)
    until = since - interval
    nearest = np.where(since < -until, since, until)
    # Repolarisation shortens with the square root of the interval (Bazett); activation does not.
    stretched = since / np.sqrt(interval)
    waves = np.empty((since.shape[0], len(_WAVES), times.size), dtype=np.float32)
    for wave, (delay, width) in enumerate(zip(_DELAYS, _WIDTHS, strict=True)):
        clock = stretched if _REPOLARISATION[wave] else until if _WAVES[wave] == "P" else nearest
        waves[:, wave] = np.exp(-0.5 * ((clock - delay) / width) ** 2)
    forced = hearts.dipoles.astype(np.float32).transpose(0, 2, 1) @ waves + _fibrillation(hearts, times)
    return _LEAD_VECTORS.astype(np.float32) @ _relax(forced, float(times[1] - times[0]))


def _relax(forced: Float[np.ndarray, "patients 3 samples"], step: float) -> Float[np.ndarray, "patients 3 samples"]:
    from scipy.signal import lfilter  # takes a second to import, and only simulated hearts need it

    decay = np.exp(-step)
    taps = np.array([1, -decay], dtype=np.float32)
    return forced - lfilter(taps.sum(keepdims=True), taps, forced, axis=-1)


def _fibrillation(hearts: Hearts, times: Float[np.ndarray, " samples"]) -> Float[np.ndarray, "patients 3 samples"]:
    """Sample waves of wandering rate and size, after Stridh and Sörnmo 2001 (IEEE Trans. Biomed. Eng. 48:105)."""
    carrier, slow = hearts.fibrillation_phase.T.astype(np.float32)[:, :, None]
    time, rate = times.astype(np.float32), hearts.fibrillation_rate.astype(np.float32)[:, None]
    modulation = np.sin(2 * np.pi * 0.31 * time + slow) + np.sin(2 * np.pi * 1.13 * time + carrier)
    angle = 2 * np.pi * rate * time + carrier + 1.3 * modulation
    other = 2 * np.pi * 0.71 * rate * time + slow - 1.7 * modulation
    wave = (1 + 0.3 * modulation) * (np.sin(angle) + 0.3 * np.sin(2 * angle)) + 0.8 * np.sin(other)
    direction = np.array([0.1, 0.45, -0.8], dtype=np.float32)
    amplitude = hearts.fibrillation.astype(np.float32)[:, None]
    return (amplitude * wave)[:, None, :] * direction[:, None]


def _turn(
    dipoles: Float[np.ndarray, "waves 3"],
    frontal: Float[np.ndarray, " patients"],
    axial: Float[np.ndarray, " patients"],
) -> Float[np.ndarray, "patients waves 3"]:
    """Turn the heart's axis of the waves in the frontal and the horizontal plane (radians)."""
    x, y, z = dipoles.T
    cosine, sine = np.cos(frontal)[:, None], np.sin(frontal)[:, None]
    x, y = cosine * x - sine * y, sine * x + cosine * y
    cosine, sine = np.cos(axial)[:, None], np.sin(axial)[:, None]
    return np.stack([cosine * x - sine * z, y, sine * x + cosine * z], axis=-1)
