"""Folds of a support keep patients whole, hold every class, and do not depend on numbering."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from medshot.selection.task_features import left_out_folds
from medshot.tasks import Support
from medshot.tasks.folds import FOLDS


def support(labels: list[int], patients: list[int] | None, ways: int) -> Support:
    of_whom = None if patients is None else torch.tensor(patients)
    return Support(torch.zeros(len(labels), 3), torch.tensor(labels), torch.ones(len(labels)), ways, of_whom)


@st.composite
def supports(draw: st.DrawFn) -> Support:
    ways = draw(st.integers(2, 4))
    labels = draw(st.lists(st.integers(0, ways - 1), min_size=ways, max_size=25))
    patients = draw(st.lists(st.integers(0, 12), min_size=len(labels), max_size=len(labels)))
    return support(labels, patients, ways)


@given(supports())
def test_patients_are_left_out_whole_and_every_fold_leaves_and_keeps_every_class(given: Support):
    folds = left_out_folds(given)
    for patient in given.patients.unique():
        assert len(folds[given.patients == patient].unique()) == 1
    for fold in range(int(folds.max()) + 1):
        assert set(given.labels[folds == fold].tolist()) == set(range(given.ways))
        assert set(given.labels[folds != fold].tolist()) == set(range(given.ways))
    assert folds.max() < FOLDS


@given(supports(), st.randoms())
def test_how_classes_and_patients_are_numbered_does_not_matter(given: Support, random):
    classes, people = list(range(given.ways)), list(range(13))
    random.shuffle(classes)
    random.shuffle(people)
    other = support(
        torch.tensor(classes)[given.labels].tolist(), torch.tensor(people)[given.patients].tolist(), given.ways
    )
    assert torch.equal(left_out_folds(given), left_out_folds(other))


def test_one_patient_in_a_class_leaves_nothing_out():
    assert left_out_folds(support([0, 0, 1], None, 2)).tolist() == [-1, -1, -1]
    assert left_out_folds(support([0, 0, 1, 1], [1, 2, 3, 3], 2)).tolist() == [-1] * 4


def test_where_all_patients_have_several_classes_they_are_left_out_all_the_same():
    assert left_out_folds(support([0, 1, 0, 1, 1, 0], [5, 5, 6, 6, 7, 7], 2)).tolist() == [0, 0, 1, 1, 2, 2]


def test_a_patient_of_two_classes_is_not_left_out_where_there_are_others():
    folds = left_out_folds(support([0, 0, 1, 1, 0, 1], [1, 2, 3, 4, 9, 9], 2))
    assert folds.tolist() == [0, 1, 0, 1, -1, -1]
