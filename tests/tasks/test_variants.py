"""Sub-sets and merges of classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tasks import labelled

from medshot.errors import InputError
from medshot.tasks import keep_classes, merge_classes, random_variant

TASK = labelled([0, 1, 2, 3, 0, 1, 2, 3, 3], [1, 2, 3, 4, 1, 5, 6, 7, 8])


def test_kept_classes_come_in_the_order_asked_for_with_their_own_images_and_patients():
    task = keep_classes(TASK, [3, 1])
    assert task.classes == ("class 3", "class 1")
    assert task.rows.tolist() == [1, 3, 5, 7, 8]
    assert task.labels.tolist() == [1, 0, 1, 0, 0]
    assert task.patients.tolist() == [2, 4, 5, 7, 8]
    assert task.source == TASK.source


def test_a_merged_class_has_the_images_and_names_of_all_its_parts():
    task = merge_classes(TASK, [[0, 2], [1]])
    assert task.classes == ("class 0 or class 2", "class 1")
    assert task.rows.tolist() == [0, 1, 2, 4, 5, 6]
    assert task.labels.tolist() == [0, 1, 0, 0, 1, 0]
    assert "class 0 or class 2 vs class 1" in task.name


def test_variants_of_variants_have_the_right_images():
    task = keep_classes(keep_classes(TASK, [3, 2, 1]), [2, 0])
    assert task.classes == ("class 1", "class 3")
    assert [TASK.classes[label] for label in TASK.labels[task.rows]] == [task.classes[label] for label in task.labels]


@pytest.mark.parametrize("groups", [[[0, 1], [1]], [[0], [0]]])
def test_a_class_in_two_groups_is_refused(groups):
    with pytest.raises(InputError, match="share a class"):
        merge_classes(TASK, groups)


@given(ways=st.integers(2, 4), seed=st.integers(0, 2**32 - 1))
def test_a_random_variant_has_the_ways_asked_for_and_true_labels(ways, seed):
    task = random_variant(TASK, ways, np.random.default_rng(seed))
    assert len(task.classes) == ways
    for row, label in zip(task.rows, task.labels, strict=True):
        assert TASK.classes[TASK.labels[row]] in task.classes[label].split(" or ")


def test_random_variants_are_both_sub_sets_and_merges_of_all():
    variants = [random_variant(TASK, 2, np.random.default_rng(seed)) for seed in range(40)]
    assert {len(task) == len(TASK) for task in variants} == {True, False}
    assert len({task.classes for task in variants}) > 10


def test_more_ways_than_classes_are_refused():
    with pytest.raises(InputError, match="has 4 classes; 5 cannot"):
        random_variant(TASK, 5, np.random.default_rng(0))
