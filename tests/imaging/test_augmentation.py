from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medshot.errors import InputError
from medshot.imaging import Augmentation, augment

NAMES = [field.name for field in fields(Augmentation)]
NONE = Augmentation(**dict.fromkeys(NAMES, 0.0))
STRONG = Augmentation(
    rotation=90.0,
    translation=0.5,
    scale=0.5,
    shear=30.0,
    brightness=1.0,
    contrast=1.0,
    gamma=2.0,
    noise=1.0,
    blur=2.0,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(shape, generator=seeded(seed), dtype=torch.float64)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 4), st.sampled_from([1, 3]), st.integers(8, 20), st.integers(8, 20), st.integers(0, 99))
def test_zero_strengths_change_nothing(count: int, channels: int, height: int, width: int, seed: int) -> None:
    images = batch(count, channels, height, width)
    assert torch.equal(augment(images, NONE, flip=True, generator=seeded(seed)), images)


@pytest.mark.parametrize("sides", [(16, 16), (9, 10, 11)])
@pytest.mark.parametrize("name", NAMES)
def test_each_strength_alone_changes_images(name: str, sides: tuple[int, ...]) -> None:
    images = batch(6, 1, *sides)
    only = replace(NONE, **{name: getattr(Augmentation(), name)})
    assert not torch.allclose(augment(images, only, flip=True, generator=seeded()), images)


@settings(max_examples=12, deadline=None)
@given(
    st.sampled_from([Augmentation(), STRONG]),
    st.booleans(),
    st.integers(0, 99),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_shape_type_and_range_are_kept(strengths: Augmentation, flip: bool, seed: int, dtype: torch.dtype) -> None:
    images = batch(3, 3, 12, 17).to(dtype)
    before = images.clone()
    changed = augment(images, strengths, flip=flip, generator=seeded(seed))
    assert changed.shape == images.shape
    assert changed.dtype == dtype
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.equal(images, before)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 99))
def test_the_seed_decides_everything(seed: int) -> None:
    images = batch(4, 1, 12, 12)
    first = augment(images, Augmentation(), flip=True, generator=seeded(seed))
    torch.rand(3)
    assert torch.equal(augment(images, Augmentation(), flip=True, generator=seeded(seed)), first)
    assert not torch.equal(augment(images, Augmentation(), flip=True, generator=seeded(seed + 1)), first)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 4), st.integers(0, 99))
def test_images_of_a_batch_do_not_mix(index: int, seed: int) -> None:
    images = batch(5, 3, 12, 12)
    changed = images.clone()
    changed[index] = batch(3, 12, 12, seed=2)
    before = augment(images, Augmentation(), flip=True, generator=seeded(seed))
    after = augment(changed, Augmentation(), flip=True, generator=seeded(seed))
    others = torch.arange(5) != index
    torch.testing.assert_close(after[others], before[others], rtol=0, atol=1e-12)
    assert not torch.allclose(after[index], before[index])


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 99))
def test_equal_images_get_draws_of_their_own(seed: int) -> None:
    images = batch(1, 1, 12, 12).expand(4, -1, -1, -1)
    changed = augment(images, Augmentation(), flip=False, generator=seeded(seed))
    for first, second in torch.combinations(torch.arange(4)):
        assert not torch.allclose(changed[first], changed[second])


def test_flips_happen_as_often_as_asked_and_only_where_allowed() -> None:
    images = batch(400, 1, 8, 8)
    for probability, bounds in ((1.0, (400, 400)), (0.5, (150, 250)), (0.0, (0, 0))):
        only = replace(NONE, flip_probability=probability)
        flipped = augment(images, only, flip=True, generator=seeded())
        is_flipped = (flipped - images.flip(-1)).abs().amax((1, 2, 3)) < 1e-9
        is_same = (flipped - images).abs().amax((1, 2, 3)) < 1e-9
        assert (is_flipped ^ is_same).all()
        assert bounds[0] <= is_flipped.sum() <= bounds[1]
        assert torch.equal(augment(images, only, flip=False, generator=seeded()), images)


def test_without_flip_the_marked_side_stays() -> None:
    images = torch.zeros(200, 1, 24, 24, dtype=torch.float64)
    images[..., :8] = 1
    changed = augment(images, Augmentation(), flip=False, generator=seeded())
    assert (changed[..., 12:16, :6].mean((1, 2, 3)) > changed[..., 12:16, 18:].mean((1, 2, 3))).all()


@pytest.mark.parametrize(("height", "width"), [(40, 40), (30, 60), (60, 30)])
def test_rotation_keeps_circles_round(height: int, width: int) -> None:
    """Rotation is in pixels, not in fractions of the sides."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    distance = torch.hypot(rows - (height - 1) / 2, columns - (width - 1) / 2).double()
    disc = torch.sigmoid(10 - distance)[None, None].expand(8, 1, -1, -1)
    turned = augment(disc, replace(NONE, rotation=180.0), flip=True, generator=seeded())
    torch.testing.assert_close(turned, disc, rtol=0, atol=0.03)


def test_blur_keeps_the_mean_and_lowers_the_variance() -> None:
    images = torch.zeros(20, 2, 21, 21, dtype=torch.float64)
    images[:, 0, 10, 10] = 1
    blurred = augment(images, replace(NONE, blur=2.0), flip=False, generator=seeded())
    torch.testing.assert_close(blurred.sum((2, 3)), images.sum((2, 3)))
    assert (blurred.amax((2, 3))[:, 0] < 1).any()
    torch.testing.assert_close(blurred, blurred.transpose(2, 3))
    assert (blurred[:, 1] == 0).all()


def test_gradients_pass_through() -> None:
    images = batch(2, 1, 10, 10).requires_grad_()
    augment(images, Augmentation(), flip=True, generator=seeded()).sum().backward()
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_impossible_strengths_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        Augmentation(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("flip_probability", 1.1), ("scale", 1.0), ("shear", 90.0), ("contrast", 1.5)]
)
def test_strengths_beyond_their_bound_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=name):
        Augmentation(**{name: value})


@settings(max_examples=12, deadline=None)
@given(st.sampled_from([Augmentation(), STRONG]), st.booleans(), st.integers(0, 99))
def test_volumes_keep_shape_and_range_and_do_not_mix(strengths: Augmentation, flip: bool, seed: int) -> None:
    volumes = batch(3, 1, 7, 8, 9)
    assert torch.equal(augment(volumes, NONE, flip=flip, generator=seeded(seed)), volumes)
    changed = augment(volumes, strengths, flip=flip, generator=seeded(seed))
    assert changed.shape == volumes.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    others = volumes.clone()
    others[0] = 0.3
    assert torch.equal(augment(others, strengths, flip=flip, generator=seeded(seed))[1:], changed[1:])


def test_volumes_are_mirrored_along_their_width_alone() -> None:
    volumes = batch(40, 1, 4, 5, 6)
    only = replace(NONE, flip_probability=0.5)
    changed = augment(volumes, only, flip=True, generator=seeded())
    mirrored = torch.tensor([torch.allclose(a, b.flip(-1)) for a, b in zip(changed, volumes, strict=True)])
    same = torch.tensor([torch.allclose(a, b) for a, b in zip(changed, volumes, strict=True)])
    assert torch.all(mirrored ^ same)
    assert 10 < mirrored.sum() < 30


@pytest.mark.parametrize("sides", [(24, 24, 24), (16, 24, 32)])
def test_rotation_keeps_balls_round(sides: tuple[int, ...]) -> None:
    places = torch.meshgrid(*(torch.arange(side) - (side - 1) / 2 for side in sides), indexing="ij")
    ball = (1 - sum(place.square() for place in places).sqrt() / 8).clamp(min=0)
    only = replace(NONE, rotation=90.0)
    turned = augment(ball.expand(5, 1, *sides), only, flip=False, generator=seeded())
    assert (turned - ball).abs().max() < 0.1


def test_a_volume_turns_in_every_plane() -> None:
    stick = torch.zeros(20, 1, 15, 15, 15)
    stick[..., 7, 7, :] = 1
    turned = augment(stick, replace(NONE, rotation=60.0), flip=False, generator=seeded())
    ends = turned[..., 13:].amax(-1).flatten(1).argmax(1)
    rows, columns = ends // 15, ends % 15
    assert rows.unique().numel() > 5
    assert columns.unique().numel() > 5
