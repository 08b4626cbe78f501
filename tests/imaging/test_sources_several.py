"""Samples of several images: the images of each, their hashes, and refusals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medshot.errors import InputError
from medshot.imaging import (
    MISSING,
    ArrayImages,
    FileImages,
    ImageInput,
    ImageSource,
    SeveralImages,
    hashes_of_each,
)

NAMES = ("flair", "t1", "t2")


def pictures(count: int, seed: int = 0) -> ArrayImages:
    return ArrayImages(np.random.default_rng(seed).integers(0, 256, (count, 9, 9), dtype=np.uint8))


SOURCES = {name: pictures(4, seed) for seed, name in enumerate(NAMES)}


@st.composite
def samples(draw: st.DrawFn, least: int = 1) -> SeveralImages:
    """Draw samples of up to three images, each with at least one."""
    row = st.lists(st.integers(MISSING, 3), min_size=3, max_size=3).filter(lambda rows: max(rows) > MISSING)
    rows = np.array(draw(st.lists(row, min_size=least, max_size=8)))
    return SeveralImages(SOURCES, dict(zip(NAMES, rows.T, strict=True)))


def content(images: SeveralImages) -> list[dict[str, str]]:
    """Return for each sample the hashes of its images by their names."""
    every = {name: source.hashes() for name, source in images.sources.items()}
    return [
        {name: every[name][row] for name, row in zip(images.names, rows, strict=True) if row != MISSING}
        for rows in images.rows.tolist()
    ]


@given(samples())
def test_a_source_of_samples_keeps_the_protocol(images):
    assert isinstance(images, ImageSource)
    assert images.axes == 2
    assert len(images) == len(images.hashes()) == len(images.rows)


@given(samples(), st.data())
def test_taken_samples_have_the_images_that_they_had_and_no_others_are_kept(images, data):
    rows = np.array(data.draw(st.lists(st.integers(0, len(images) - 1), min_size=1, max_size=6)))
    taken = images.take(rows)
    assert content(taken) == [content(images)[row] for row in rows]
    assert taken.hashes() == [images.hashes()[row] for row in rows]
    for name, source in taken.sources.items():
        assert len(source) == len({of_sample[name] for of_sample in content(taken) if name in of_sample})


@given(samples(), samples())
def test_hashes_are_equal_where_names_and_images_are_and_nowhere_else(one, other):
    for first, of_first in zip(content(one), one.hashes(), strict=True):
        for second, of_second in zip(content(other), other.hashes(), strict=True):
            assert (first == second) == (of_first == of_second)


@given(samples())
def test_every_image_of_a_sample_is_hashed_by_itself_too(images):
    assert hashes_of_each(images) == [list(of_sample.values()) for of_sample in content(images)]


def test_a_source_of_single_images_has_one_hash_a_sample():
    assert hashes_of_each(SOURCES["t1"]) == [[digest] for digest in SOURCES["t1"].hashes()]


def test_a_sample_that_loses_an_image_or_shows_it_under_another_name_is_another():
    both = SeveralImages({"a": pictures(1), "b": pictures(1, 1)}, {"a": np.array([0]), "b": np.array([0])})
    one = SeveralImages({"a": pictures(1)}, {"a": np.array([0])})
    renamed = SeveralImages({"b": pictures(1)}, {"b": np.array([0])})
    assert len({*both.hashes(), *one.hashes(), *renamed.hashes()}) == 3


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ({}, "name alike"),
        ({"flair": [0], "t1": [0]}, "name alike"),
        ({"flair": [0], "t1": [0], "t2": [0, 1]}, "one row for each sample"),
        ({"flair": [4], "t1": [0], "t2": [0]}, "'flair' go beyond its 4 images"),
        ({"flair": [0], "t1": [-2], "t2": [0]}, "'t1' go beyond its 4 images"),
        ({"flair": [0, -1], "t1": [0, -1], "t2": [0, -1]}, "sample 1 has no image at all"),
    ],
)
def test_rows_that_do_not_fit_are_refused_in_one_sentence(rows, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        SeveralImages(SOURCES, {name: np.array(of_name) for name, of_name in rows.items()})
    assert "\n" not in str(caught.value)


def test_no_names_are_refused():
    with pytest.raises(InputError, match="name alike"):
        SeveralImages({}, {})


def test_a_learner_of_single_images_refuses_several_and_explains():
    images = SeveralImages(SOURCES, {name: np.arange(4) for name in NAMES})
    for ask in (lambda: images.pixels(ImageInput(1, 8)), lambda: images.stream(ImageInput(1, 8), np.arange(2))):
        with pytest.raises(InputError, match=r"flair, t1, t2.*--images 3"):
            ask()


def test_taking_a_few_samples_of_files_opens_no_other_file(tmp_path):
    files = FileImages([tmp_path / f"{number}.png" for number in range(3)])
    taken = SeveralImages({"a": files}, {"a": np.array([2, 0, 1])}).take(np.array([0]))
    assert taken.sources["a"].paths == (tmp_path / "2.png",)
