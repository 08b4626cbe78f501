"""Laws of the simulated volumes of the liver, and of the solids that they are made of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from medshot.errors import InputError
from medshot.simulated import abdomen as solids
from medshot.simulated import organ, simulate
from medshot.simulated.rendered import Rendered

seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=6, deadline=None)


def render(seed: int, patients: int = 1, size: int = 24, difficulty: float = 0.0) -> Rendered:
    return organ.render(seed=seed, patients=patients, size=size, difficulty=difficulty)


@few
@given(seed=seeds)
def test_a_seed_decides_the_task(seed):
    once, again, other = render(seed), render(seed), render(seed + 1)
    for name in ("images", "labels", "patients", "masks", "positions"):
        np.testing.assert_array_equal(getattr(once, name), getattr(again, name))
    assert once.parameters == again.parameters
    assert once.parameters != other.parameters
    assert (once.images != other.images).mean() > 0.2


@pytest.mark.parametrize("size", [16, 33, 64])
def test_shapes_types_and_balance(size):
    rendered = render(5, 2, size)
    assert rendered.images.shape == rendered.masks.shape == (8, size, size, size)
    assert rendered.images.dtype == np.uint8
    assert rendered.positions.shape == (8, 3)
    assert np.bincount(rendered.labels).tolist() == [2] * len(organ.CLASSES)
    assert len(set(rendered.patients.tolist())) == 8
    assert rendered.images.reshape(8, -1).std(axis=1).min() > 10
    assert all(isinstance(value, float) and np.isfinite(value) for value in rendered.parameters.values())


@few
@given(seed=seeds, size=st.sampled_from([16, 32, 48]), difficulty=st.sampled_from([0.0, 1.0]))
def test_masks_and_positions_agree(seed, size, difficulty):
    rendered = render(seed, 2, size, difficulty)
    ill = rendered.labels > 0
    np.testing.assert_array_equal(rendered.masks.any(axis=(1, 2, 3)), ill)
    np.testing.assert_array_equal(np.isnan(rendered.positions).any(axis=1), ~ill)
    for mask, position in zip(rendered.masks[ill], rendered.positions[ill], strict=True):
        assert 0 < position.min() <= position.max() < 1
        assert binary_dilation(mask)[tuple((position[::-1] * size).astype(int))]
        centroid = (np.argwhere(mask).mean(axis=0)[::-1] + 0.5) / size
        assert np.abs(centroid - position).max() < 0.05


@few
@given(seed=seeds)
def test_at_difficulty_one_the_lesion_changes_no_bit(seed):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(organ, "paint_lesion", lambda *_: None)
        healthy = render(seed)
    np.testing.assert_array_equal(render(seed, difficulty=1.0).images, healthy.images)
    obvious = render(seed)
    changed = (obvious.images != healthy.images).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(changed, obvious.labels > 0)


@few
@given(seed=seeds)
def test_contrast_falls_with_difficulty(seed):
    at = {difficulty: render(seed, 1, 32, difficulty) for difficulty in (0.0, 0.6, 1.0)}
    ill, masks = at[1.0].labels > 0, at[1.0].masks
    change = {d: np.abs(task.images.astype(float) - at[1.0].images) for d, task in at.items()}
    easy, hard = (change[d][ill][masks[ill]].mean() for d in (0.0, 0.6))
    assert easy > 5
    assert easy > 1.5 * hard > 0


def test_the_same_anatomy_at_another_size():
    small, large = render(3, size=48), render(3, size=96)
    np.testing.assert_allclose(small.positions, large.positions, atol=1e-6)
    coarse = large.images.reshape(4, 48, 2, 48, 2, 48, 2).mean(axis=(2, 4, 6))
    for one, other in zip(small.images, coarse, strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.9


def test_a_task_holds_volumes():
    task = simulate("organ", seed=1, patients=2, size=16)
    assert task.images.array.shape == (8, 16, 16, 16)
    assert task.classes == organ.CLASSES


def test_a_cube_that_no_memory_holds_is_refused():
    with pytest.raises(InputError, match="size=4096 is too large for volumes"):
        simulate("organ", seed=1, size=4096)


@few
@given(seed=seeds, size=st.integers(4, 40), scale=st.floats(0.05, 0.6))
def test_a_random_field_has_variance_one_and_does_not_depend_on_the_size(seed, size, scale):
    fields = [solids.smooth_solid(np.random.default_rng([seed, n]), 3, scale)[1, 1, 1] for n in range(400)]
    assert abs(np.mean(fields)) < 0.25
    assert 0.7 < np.var(fields) < 1.4
    coarse, fine = (solids.smooth_solid(np.random.default_rng(seed), sides, scale) for sides in (size, 3 * size))
    np.testing.assert_allclose(fine[1::3, 1::3, 1::3], coarse, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, size=st.integers(1, 40), thickness=st.floats(0.001, 2))
def test_slabs_keep_the_mean_and_leave_an_even_volume_alone(seed, size, thickness):
    averaging, back = solids.slabs(size, thickness)
    np.testing.assert_allclose(averaging.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(averaging.sum(axis=0) * size / len(averaging), 1, rtol=1e-5)
    np.testing.assert_allclose(back.sum(axis=1), 1, rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_a_posed_point_agrees_with_the_posed_axes(seed):
    rng = np.random.default_rng(seed)
    pose = {name: float(rng.normal(0, 0.1)) for name in ("shift_x", "shift_y", "shift_z", "turn")} | {"zoom": 1.1}
    point = tuple(rng.uniform(-0.7, 0.7, 3).tolist())
    distance = solids.ellipsoid(*solids.posed_axes(40, pose), point, (1.0, 1.0, 1.0))
    nearest = np.array(np.unravel_index(distance.argmin(), distance.shape))[::-1]
    inside = np.clip(solids.posed_point(point, pose), 0, 1)  # a pose may move a point out of the image
    np.testing.assert_allclose((nearest + 0.5) / 40, inside, atol=0.5 / 40 + 1e-6)
