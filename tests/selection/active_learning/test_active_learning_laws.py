"""Laws of every strategy: names and order decide nothing, and no patient is listed twice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pools import model, unlabelled

from medshot.errors import InputError
from medshot.imaging import ArrayImages
from medshot.selection.active_learning import STRATEGIES, suggest

MODEL = model()
IMAGES = unlabelled()
EVERY = pytest.mark.parametrize("strategy", STRATEGIES)


def listed(images: ArrayImages, patients=None, **settings) -> list[tuple[str, float, str]]:
    """Return the content, score and reason of each suggested image in order."""
    hashes = images.hashes()
    return [(hashes[each.row], each.score, each.reason) for each in suggest(MODEL, images, patients, **settings)]


@EVERY
@settings(max_examples=5)
@given(order=st.permutations(range(len(IMAGES))), named=st.booleans())
def test_shuffled_images_give_the_same_list(strategy, order, named):
    patients = [f"patient {row % 9}" for row in range(len(IMAGES))] if named else None
    shuffled = [f"other {row % 9}" for row in order] if named else None
    expected = listed(IMAGES, patients, strategy=strategy, count=7)
    assert listed(IMAGES.take(np.array(order)), shuffled, strategy=strategy, count=7) == expected


@EVERY
@settings(max_examples=5)
@given(
    patients=st.lists(st.sampled_from("abcdefg"), min_size=len(IMAGES), max_size=len(IMAGES)), count=st.integers(1, 30)
)
def test_each_patient_is_listed_once_at_most(strategy, patients, count):
    found = suggest(MODEL, IMAGES, patients, strategy=strategy, count=count)
    people = [patients[each.row] for each in found]
    assert len(set(people)) == len(people) == min(count, len(set(patients)))


@EVERY
def test_copies_of_an_image_are_one_image(strategy):
    twice = IMAGES.take(np.tile(np.arange(len(IMAGES)), 2))
    hashes = [digest for digest, _, _ in listed(twice, strategy=strategy, count=100)]
    assert sorted(hashes) == sorted(set(IMAGES.hashes()))
    named = [f"patient {row}" for row in range(len(twice))]
    assert len(suggest(MODEL, twice, named, strategy=strategy, count=100)) == len(IMAGES)


@EVERY
@pytest.mark.parametrize("images", [1, 2])
def test_few_images_are_all_listed_with_finite_scores_and_reasons(strategy, images):
    found = listed(IMAGES.take(np.arange(images)), strategy=strategy)
    assert len(found) == images
    assert all(np.isfinite(score) and reason for _, score, reason in found)


def test_patients_may_be_an_array():
    named = [f"patient {row % 5}" for row in range(len(IMAGES))]
    assert listed(IMAGES, np.array(named)) == listed(IMAGES, named)


@EVERY
def test_the_same_seed_gives_the_same_list(strategy):
    assert listed(IMAGES, strategy=strategy, seed=3) == listed(IMAGES, strategy=strategy, seed=3)


def test_another_seed_draws_other_images():
    assert listed(IMAGES, strategy="random", seed=0) != listed(IMAGES, strategy="random", seed=1)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"strategy": "best"}, "strategy is 'best', but must be one of learned, margin"),
        ({"count": 0}, "count is 0, but must be 1 or more"),
        ({"patients": ["a"]}, "patients has 1 entries for 24 images"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        suggest(MODEL, IMAGES, **wrong)


def test_some_of_many_patients_are_drawn_in_any_order(monkeypatch):
    monkeypatch.setattr("medshot.selection.active_learning.pool.CANDIDATES", 6)
    expected = listed(IMAGES, strategy="coverage", count=100)
    assert len(expected) == 6
    assert listed(IMAGES.take(np.arange(len(IMAGES))[::-1]), strategy="coverage", count=100) == expected
