"""Laws of the simulated electrocardiograms, spine films and spine MR images."""

from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medshot.simulated import ecg, electrocardiogram, spine_mri, spine_xray, trunk, vertebrae
from medshot.simulated.electrocardiogram import LEADS, TERRITORIES, Hearts
from medshot.simulated.rendered import Rendered, centroids

FAMILIES = (ecg, spine_xray, spine_mri)
each_family = pytest.mark.parametrize("family", FAMILIES, ids=[family.NAME for family in FAMILIES])
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=4, deadline=None)


def cobb_angle(column: vertebrae.SpineLine, lowest: float = 0, highest: float = 17) -> np.ndarray:
    """Return the greatest difference of tilt between two levels, in degrees."""
    within = (column.levels >= lowest) & (column.levels <= highest)
    return np.rad2deg(np.ptp(column.tilt[:, within], axis=1))


def draw(family: ModuleType, seed: int = 0, difficulty: float = 0.0, size: int = 32, patients: int = 1) -> Rendered:
    return family.render(seed=seed, patients=patients, size=size, difficulty=difficulty)


def without_finding(family: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every patient of the family stay healthy."""
    if family is ecg:
        monkeypatch.setattr(ecg, "with_findings", lambda hearts, labels, *_: (hearts, np.zeros((len(labels), 3))))
    elif family is spine_xray:
        scoliosis = spine_xray.scoliosis
        monkeypatch.setattr(spine_xray, "scoliosis", lambda *given: scale(scoliosis(*given), (0, 0, 1)))
    else:
        findings = spine_mri.findings
        monkeypatch.setattr(spine_mri, "findings", lambda *given: scale(findings(*given), (1, 0, 1, 0)))


def scale(parts: tuple[np.ndarray, ...], factors: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    return tuple(part * factor for part, factor in zip(parts, factors, strict=True))


@each_family
@few
@given(seed=seeds)
def test_same_seed_same_task(family: ModuleType, seed: int) -> None:
    one, again, other = draw(family, seed), draw(family, seed), draw(family, seed ^ 1)
    for field in ("images", "labels", "patients", "masks", "positions"):
        np.testing.assert_array_equal(getattr(one, field), getattr(again, field))
    assert one.parameters == again.parameters
    assert one.parameters != other.parameters
    assert np.any(one.images != other.images)


@each_family
@pytest.mark.parametrize("size", [32, 64, 100])
def test_shapes_and_labels(family: ModuleType, size: int) -> None:
    task = draw(family, size=size, patients=2)
    count = 2 * len(family.CLASSES)
    assert task.images.dtype == np.uint8
    assert max(task.images.shape[1:3]) == size
    assert task.images.shape[:3] == task.masks.shape
    assert (task.images.ndim == 4) == (family is ecg)
    assert np.all(np.bincount(task.labels, minlength=len(family.CLASSES)) == 2)
    assert len(np.unique(task.patients)) == count
    assert task.images.std(axis=tuple(range(1, task.images.ndim))).min() > 2


@each_family
@few
@given(seed=seeds, difficulty=st.floats(0, 1))
def test_a_mask_and_its_centre_exactly_where_there_is_a_finding(
    family: ModuleType, seed: int, difficulty: float
) -> None:
    task = draw(family, seed, difficulty)
    assert np.array_equal(task.masks.any(axis=(1, 2)), task.labels > 0)
    assert np.array_equal(np.isnan(task.positions).any(axis=1), task.labels == 0)
    found = task.positions[task.labels > 0]
    assert np.all((found > 0) & (found < 1))
    rows, columns = task.masks.shape[1:]
    for mask, (x, y) in zip(task.masks[task.labels > 0], found, strict=True):
        at = np.argwhere(mask)
        assert np.allclose([(at[:, 1].mean() + 0.5) / columns, (at[:, 0].mean() + 0.5) / rows], [x, y])


@each_family
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_at_difficulty_one_the_finding_has_gone_bit_for_bit(
    family: ModuleType, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden, obvious = draw(family, seed, 1.0, patients=2), draw(family, seed, 0.0, patients=2)
    without_finding(family, monkeypatch)
    healthy = draw(family, seed, 0.0, patients=2)
    np.testing.assert_array_equal(hidden.images, healthy.images)
    changed = np.array([np.any(a != b) for a, b in zip(obvious.images, healthy.images, strict=True)])
    np.testing.assert_array_equal(changed, obvious.labels > 0)


def test_centroids_of_an_empty_mask_are_nan() -> None:
    masks = np.zeros((2, 4, 8), dtype=bool)
    masks[1, 3, 7] = True
    np.testing.assert_allclose(centroids(masks), [[np.nan, np.nan], [7.5 / 8, 3.5 / 4]])


def hearts_of(seed: int, label: int, strength: float) -> tuple[Hearts, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.full(12, label)
    hearts = electrocardiogram.healthy_hearts(rng, 12, 70.0)
    return ecg.with_findings(hearts, labels, 0.35, strength, rng)


@few
@given(seed=seeds)
def test_fibrillation_is_irregular_and_without_p_wave(seed: int) -> None:
    def variation(hearts: Hearts) -> np.ndarray:
        return hearts.intervals.std(axis=1) / hearts.intervals.mean(axis=1)

    normal, fibrillating = hearts_of(seed, 0, 1.0)[0], hearts_of(seed, 1, 1.0)[0]
    assert variation(normal).max() < 0.06
    assert variation(fibrillating).min() > 0.10
    assert np.all(fibrillating.dipoles[:, 0] == 0)
    assert np.all(fibrillating.fibrillation > 0)
    assert np.all(normal.fibrillation == 0)
    assert np.all(fibrillating.intervals > 0.25)


@few
@given(seed=seeds)
def test_st_segments_rise_in_the_territory_and_nowhere_at_strength_zero(seed: int) -> None:
    times = np.arange(0, 10, 0.004)
    injured, territories = hearts_of(seed, 2, 1.0)
    healthy, _ = hearts_of(seed, 2, 0.0)
    since, interval = electrocardiogram.beat_offsets(injured, times)
    stretched = since / np.sqrt(interval)
    risen = electrocardiogram.record(injured, times) - electrocardiogram.record(healthy, times)
    segment = ((stretched > 0.10) & (stretched < 0.20))[:, None]
    elevation = (risen * segment).sum(axis=2) / segment.sum(axis=2)
    for patient, territory in enumerate(territories.argmax(axis=1)):
        inside = np.array([lead in TERRITORIES[territory] for lead in LEADS])
        assert elevation[patient, inside].min() > 0.03
        assert elevation[patient, ~inside].min() < -0.02  # the far side falls


@few
@given(seed=seeds)
def test_limb_leads_obey_einthoven_and_goldberger(seed: int) -> None:
    recorded = electrocardiogram.record(hearts_of(seed, 1, 1.0)[0], np.arange(0, 2, 0.004))
    leads = {lead: recorded[:, i] for i, lead in enumerate(LEADS)}
    np.testing.assert_allclose(leads["II"], leads["I"] + leads["III"], atol=1e-5)
    np.testing.assert_allclose(leads["aVR"] + leads["aVL"] + leads["aVF"], 0, atol=1e-5)


def test_the_wave_solution_obeys_the_dynamical_equation() -> None:
    """The forced signal G and the solution z meet dz/dt = dG/dt - z."""
    step = 1e-3
    forced = np.cumsum(np.random.default_rng(0).normal(size=(2, 3, 4000)), axis=2) * step
    z = electrocardiogram._relax(forced, step)
    left, right = np.diff(z, axis=2) / step, np.diff(forced, axis=2) / step - z[:, :, :-1]
    assert np.abs(left - right).max() < 5e-2 * np.abs(right).max()


@few
@given(seed=seeds, angle=st.floats(10, 60), apex=st.floats(4, 10), reach=st.floats(2, 3.5))
def test_a_bend_has_its_cobb_angle(seed: int, angle: float, apex: float, reach: float) -> None:
    levels = vertebrae.level_nodes(-7.0, 24.0)
    one = np.ones(1)
    tilt = vertebrae.bend(levels, np.deg2rad(angle) * one, apex * one, reach * one)
    column = vertebrae.stack_levels(levels, tilt, 2.5 + 0 * tilt, 0 * one, 40 * one)
    assert cobb_angle(column)[0] == pytest.approx(angle, rel=0.02)
    apart = column.x[0, np.argmin(np.abs(levels - apex))]
    assert apart == pytest.approx(column.x.max(), abs=0.1)


@few
@given(seed=seeds)
def test_coordinates_along_the_spine_invert_its_position(seed: int) -> None:
    rng = np.random.default_rng(seed)
    levels = vertebrae.level_nodes(-7.0, 24.0)
    tilt = vertebrae.bend(levels, rng.uniform(-0.8, 0.8, 3), rng.uniform(4, 9, 3), rng.uniform(2.5, 3.5, 3))
    column = vertebrae.stack_levels(levels, tilt, np.full_like(tilt, 2.6), np.zeros(3), np.full(3, 40.0))
    node, out = rng.integers(120, 380, 50), rng.uniform(-3, 3, 50)
    x = column.x[:, node] + out * np.cos(column.tilt[:, node])
    y = column.y[:, node] + out * np.sin(column.tilt[:, node])
    # `follow` starts from rows of pixels, so each point is a row of its own.
    level, across = vertebrae.follow(column, x[:, :, None].astype(np.float32), y[:, :, None].astype(np.float32), 6.0)
    np.testing.assert_allclose(level[:, :, 0], np.broadcast_to(levels[node], x.shape), atol=0.05)
    np.testing.assert_allclose(across[:, :, 0], np.broadcast_to(out, x.shape), atol=0.05)


@few
@given(seed=seeds)
def test_scoliosis_is_a_curve_and_normal_is_not(seed: int) -> None:
    labels = np.arange(20) % 2
    hospital = {name: sum(bounds) / 2 for name, bounds in spine_xray.HOSPITAL.items()}
    levels = vertebrae.level_nodes(trunk.LOWEST, trunk.HIGHEST)
    rng, finding_rng = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    tilt, turn, _ = spine_xray.scoliosis(finding_rng, levels, labels, hospital, 1.0)
    angle = cobb_angle(spine_xray.people(rng, levels, tilt, turn, hospital, (32, 19)).column)
    assert angle[labels == 0].max() < 8
    assert angle[labels == 1].min() > 15


@few
@given(seed=seeds)
def test_only_its_own_class_slips_or_bends(seed: int) -> None:
    labels = np.arange(30) % 3
    hospital = {name: sum(bounds) / 2 for name, bounds in spine_mri.HOSPITAL.items()}
    wedged, angle, slipped, slip = spine_mri.findings(np.random.default_rng(seed), labels, hospital, 1.0)
    shift = spine_mri.listhesis(slipped, slip)
    levels = vertebrae.level_nodes(-6.0, 13.0)
    tilt, lost = spine_mri.kyphosis(levels, wedged, angle)
    assert np.all((shift.max(axis=1) > 0.4) == (labels == 2))
    assert np.all((np.ptp(tilt, axis=1) > np.deg2rad(12)) == (labels == 1))
    assert np.all((shift.max(axis=1) == 0) == (labels != 2))
    assert np.all((np.abs(tilt) + lost).max(axis=1)[labels != 1] == 0)
    # the slipped vertebra and all above it, none below
    below = np.arange(-6, 13) < slipped[:, None]
    assert np.all(shift[below] == 0)
