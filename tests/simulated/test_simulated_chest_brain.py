"""Laws of the simulated chest films and brain slices."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_dilation

from medshot.simulated import brain, chest
from medshot.simulated.rendered import Rendered

FAMILIES = [chest, brain]
families = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.NAME)
seeds = st.integers(0, 2**32 - 1)


def render(family: ModuleType, seed: int, patients: int = 2, size: int = 32, difficulty: float = 0.0) -> Rendered:
    rendered = family.render(seed=seed, patients=patients, size=size, difficulty=difficulty)
    assert isinstance(rendered, Rendered)
    return rendered


@families
@settings(max_examples=4, deadline=None)
@given(seed=seeds)
def test_a_seed_decides_the_task(family: ModuleType, seed: int) -> None:
    once, again, other = (render(family, s, difficulty=0.3) for s in (seed, seed, seed + 1))
    for name in ("images", "labels", "patients", "masks", "positions"):
        np.testing.assert_array_equal(getattr(once, name), getattr(again, name))
    assert once.parameters == again.parameters
    assert once.parameters != other.parameters
    assert (once.images != other.images).mean() > 0.3


@families
@pytest.mark.parametrize("size", [32, 64, 100])
def test_shapes_types_and_balance(family: ModuleType, size: int) -> None:
    patients, classes = 3, len(family.CLASSES)
    rendered = render(family, 5, patients, size)
    images = patients * classes
    assert rendered.images.shape == rendered.masks.shape == (images, size, size)
    assert rendered.images.dtype == np.uint8
    assert np.bincount(rendered.labels).tolist() == [patients] * classes
    assert len(set(rendered.patients.tolist())) == images
    assert len(np.unique(rendered.images.reshape(images, -1), axis=0)) == images
    assert rendered.images.reshape(images, -1).std(axis=1).min() > 10
    assert all(isinstance(value, float) and np.isfinite(value) for value in rendered.parameters.values())


@families
@settings(max_examples=4, deadline=None)
@given(seed=seeds, size=st.sampled_from([32, 64, 100]), difficulty=st.sampled_from([0.0, 0.5, 1.0]))
def test_masks_and_positions_agree(family: ModuleType, seed: int, size: int, difficulty: float) -> None:
    rendered = render(family, seed, 3, size, difficulty)
    has_finding = rendered.labels > 0
    np.testing.assert_array_equal(rendered.masks.any(axis=(1, 2)), has_finding)
    np.testing.assert_array_equal(np.isnan(rendered.positions).any(axis=1), ~has_finding)
    for mask, position in zip(rendered.masks[has_finding], rendered.positions[has_finding], strict=True):
        assert (position > 0).all()
        assert (position < 1).all()
        column, row = (position * size).astype(int)
        assert binary_dilation(mask)[row, column]
        centroid = (np.argwhere(mask).mean(axis=0)[::-1] + 0.5) / size
        assert np.abs(centroid - position).max() < 0.06


@families
@settings(max_examples=4, deadline=None)
@given(seed=seeds)
def test_at_difficulty_one_the_finding_changes_no_bit(family: ModuleType, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        remove_findings(family, patch)
        healthy = render(family, seed, difficulty=0.0)
    assert not healthy.masks.any()
    hidden = render(family, seed, difficulty=1.0)
    np.testing.assert_array_equal(hidden.images, healthy.images)
    obvious = render(family, seed, difficulty=0.0)
    np.testing.assert_array_equal(obvious.images[obvious.labels == 0], healthy.images[obvious.labels == 0])
    assert (obvious.images != healthy.images)[obvious.labels > 0].any(axis=(1, 2)).all()


def remove_findings(family: ModuleType, patch: pytest.MonkeyPatch) -> None:
    """Leave the finding out of the anatomy itself, at any difficulty."""
    draw = family.nodules if family is chest else family.draw_tumours

    def no_nodules(*arguments: Any) -> Any:
        return tuple(np.zeros_like(drawn) for drawn in draw(*arguments))

    def no_tumours(rng: np.random.Generator, labels: np.ndarray, *rest: Any) -> Any:
        return draw(rng, np.zeros_like(labels), *rest)

    if family is chest:
        patch.setattr(family, "nodules", no_nodules)
    else:
        patch.setattr(family, "draw_tumours", no_tumours)


def lesion_contrast(rendered: Rendered, hidden: Rendered) -> np.ndarray:
    """Return the mean absolute change of brightness within each lesion against the same patient without it."""
    change = np.abs(rendered.images.astype(float) - hidden.images)
    ill = rendered.labels > 0
    return (change * rendered.masks).sum(axis=(1, 2))[ill] / rendered.masks.sum(axis=(1, 2))[ill]


@families
@settings(max_examples=3, deadline=None)
@given(seed=seeds)
def test_contrast_falls_with_difficulty_to_nothing(family: ModuleType, seed: int) -> None:
    at = {d: render(family, seed, 4, 64, d) for d in (0.0, 0.6, 1.0)}
    # masks shrink with difficulty in the brain, so every contrast is read at the place of the hardest lesion
    at = {d: Rendered(**{**vars(r), "masks": at[1.0].masks}) for d, r in at.items()}
    easy, hard, none = (lesion_contrast(at[d], at[1.0]).mean() for d in (0.0, 0.6, 1.0))
    assert easy > 5
    assert easy > 1.2 * hard > 0
    assert none == 0


@settings(max_examples=4, deadline=None)
@given(seed=seeds)
def test_a_nodule_is_brighter_than_the_lung(seed: int) -> None:
    obvious, hidden = render(chest, seed, 4, 64, 0.0), render(chest, seed, 4, 64, 1.0)
    change = obvious.images.astype(float) - hidden.images
    assert change[obvious.masks].mean() > 5
    assert change[hidden.labels == 0].max() == change[hidden.labels == 0].min() == 0


def test_the_same_anatomy_at_another_size() -> None:
    for family in FAMILIES:
        small, large = render(family, 3, size=64), render(family, 3, size=128)
        np.testing.assert_allclose(small.positions, large.positions, atol=1e-6)
        coarse = large.images.reshape(-1, 64, 2, 64, 2).mean(axis=(2, 4))
        for one, other in zip(small.images, coarse, strict=True):
            assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.9


def test_classes_share_the_distribution_of_patients() -> None:
    """At difficulty one, mean images of two classes differ no more than those of two halves of one class."""
    for family in FAMILIES:
        tasks = [render(family, seed, 8, 32, 1.0) for seed in range(3)]
        images = np.stack([task.images.reshape(len(family.CLASSES), 8, -1) for task in tasks]).astype(float)
        gaps = (images[:, 0] - images[:, -1]).mean(axis=(0, 1))
        error = np.sqrt((images[:, 0].var(axis=1) + images[:, -1].var(axis=1)).mean(axis=0) / 24) + 0.1
        assert np.abs(gaps / error).mean() < 1.5
