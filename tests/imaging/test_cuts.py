"""Cutting volumes into slices and films into patches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medshot.imaging import CUTS, ArrayImages, Cut, CutImages, FilmInput, ImageInput, VolumeInput
from medshot.imaging.cuts import PARTS, PATCHES, PLANES, SLICES, patch_regions, patches, slices
from medshot.imaging.preparing import prepare

SMALL = ImageInput(1, 16)


def ramp(axis: int, shape: tuple[int, int, int] = (40, 40, 40)) -> np.ndarray:
    """Make a volume without background whose brightness grows along one axis."""
    places = 100 + np.arange(shape[axis], dtype=np.uint8)
    return np.broadcast_to(np.expand_dims(places, [other for other in range(3) if other != axis]), shape)[None]


def quarters(count: int = 2) -> Cut:
    """Make a quick cut: the four quarters of a picture."""

    def pictures(image: np.ndarray) -> list[np.ndarray]:
        return [image[0, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] for row in (0, 1) for column in (0, 1)]

    return Cut(
        name="quarters",
        version=count,
        input_spec=SMALL,
        kinds=("quarter",) * 4,
        weights=(1.0,) * 4,
        pooled=True,
        identifying=(0,),
        pictures=pictures,
    )


def images(count: int, seed: int = 0) -> ArrayImages:
    return ArrayImages(np.random.default_rng(seed).integers(0, 256, (count, 16, 16), dtype=np.uint8))


@pytest.mark.parametrize("axis", range(3))
def test_slices_of_a_plane_go_evenly_through_its_axis(axis):
    cut = slices(ramp(axis))
    assert len(cut) == len(CUTS["slices"]) == len(PLANES) * SLICES
    along = cut[axis * SLICES : (axis + 1) * SLICES]
    places = [int(picture.flat[0]) - 100 for picture in along]
    assert all((picture == picture.flat[0]).all() for picture in along)
    assert np.diff(places).min() >= 4
    assert np.diff(places).max() <= 6
    assert abs(places[0] + places[-1] - 39) <= 2, "as far from one end as from the other"


@given(
    st.tuples(*[st.integers(1, 20)] * 3), st.tuples(*[st.integers(0, 6)] * 3), st.sampled_from([np.uint8, np.uint16])
)
def test_background_around_a_volume_changes_no_slice(shape, margin, dtype):
    solid = np.random.default_rng(0).integers(50, 200, shape).astype(dtype)
    padded = np.pad(solid, [(before, 6 - before) for before in margin])
    for one, other in zip(slices(solid[None]), slices(padded[None]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_volume_without_anything_is_sliced_all_the_same():
    assert [picture.shape for picture in slices(np.zeros((1, 5, 6, 7), np.uint8))] == (
        [(6, 7)] * SLICES + [(5, 7)] * SLICES + [(5, 6)] * SLICES
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_patches_begin_with_the_whole_and_then_show_detail_that_an_overview_loses(channels):
    side = 1024
    film = np.random.default_rng(0).normal(90, 4, (channels, side, side)).clip(0, 255).astype(np.uint8)
    film[:, 300:304, 700:704] = 255  # less than a pixel of the overview
    whole, first, *rest = patches(film)
    np.testing.assert_array_equal(whole, film[0] if channels == 1 else film.transpose(1, 2, 0))
    assert first.shape[:2] == (side // PARTS,) * 2
    assert first.max() == 255
    assert len(rest) == PATCHES - 1
    at = patch_regions(whole)[0]
    assert all(abs((part.start + part.stop) / 2 - middle) < 8 for part, middle in zip(at, (302, 702), strict=True))


@settings(max_examples=10, deadline=None)
@given(st.integers(8, 700), st.integers(0, 99))
def test_patches_lie_within_a_film_of_any_size(side, seed):
    film = np.random.default_rng(seed).integers(0, 256, (1, side, side), dtype=np.uint8)
    found = patch_regions(film[0])
    assert len(found) == PATCHES
    for place in found:
        assert all(0 <= part.start < part.stop <= side for part in place)


def test_a_film_is_shrunk_only_where_it_is_larger_than_its_limit():
    shape, rng = FilmInput(size=64), np.random.default_rng(0)
    small, large = (rng.integers(0, 256, (side, side - 10), dtype=np.uint8) for side in (40, 200))
    assert prepare(small, shape, small.dtype).shape == (1, 40, 40)
    assert prepare(large, shape, large.dtype).shape == (1, 64, 64)
    np.testing.assert_array_equal(prepare(small, shape, small.dtype)[0, :, 5:35], small)


def test_picture_k_of_image_i_is_at_its_place():
    source = images(3)
    cut = CutImages(source, quarters())
    assert len(cut) == len(cut.hashes()) == 12
    whole = source.pixels(SMALL)[:, 0]
    place = ImageInput(1, 8)
    for number, picture in enumerate(cut.pixels(place)):
        image, quarter = divmod(number, 4)
        row, column = divmod(quarter, 2)
        np.testing.assert_array_equal(picture[0], whole[image, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8])


@settings(max_examples=20)
@given(st.lists(st.integers(0, 11), max_size=12))
def test_any_rows_are_streamed_in_the_order_in_which_they_are_asked_for(rows):
    cut = CutImages(images(3), quarters())
    every = cut.pixels(ImageInput(1, 8))
    streamed = list(cut.stream(ImageInput(1, 8), np.array(rows, dtype=np.int64)))
    assert len(streamed) == len(rows)
    for row, picture in zip(rows, streamed, strict=True):
        np.testing.assert_array_equal(picture, every[row])


def test_an_image_is_decoded_once_for_pictures_of_it_that_follow_each_other(monkeypatch):
    source, asked = images(3), []
    stream = source.stream
    monkeypatch.setattr(source, "stream", lambda shape, rows: asked.extend(rows.tolist()) or stream(shape, rows))
    list(CutImages(source, quarters()).stream(ImageInput(1, 8), np.arange(12)))
    assert sorted(asked) == [0, 1, 2]


def test_hashes_depend_on_image_cut_version_and_picture():
    one, other = images(2), images(2, seed=1)
    digests = [
        *CutImages(one, quarters()).hashes(),
        *CutImages(other, quarters()).hashes(),
        *CutImages(one, quarters(3)).hashes(),
    ]
    assert len(set(digests)) == len(digests) == 24


def test_slices_of_16_bits_are_those_of_8():
    black_and_white = np.random.default_rng(0).integers(0, 2, (1, 20, 20, 20)).astype(np.uint8) * np.uint8(255)
    shape, cut = ImageInput(1, 24), CUTS["slices"]
    shallow = CutImages(ArrayImages(black_and_white), cut).pixels(shape)
    deep = CutImages(ArrayImages(black_and_white.astype(np.uint16) * np.uint16(257)), cut).pixels(shape)
    assert shallow.dtype == deep.dtype == np.uint8
    assert shallow.std() > 10
    assert np.abs(shallow.astype(int) - deep).max() <= 1


def test_cuts_describe_their_input():
    assert CUTS["slices"].input_spec == VolumeInput(size=128)
    assert CUTS["patches"].input_spec == FilmInput(size=4096)
    assert len(CUTS["patches"]) == 1 + PATCHES
