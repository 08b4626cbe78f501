"""The laws of the sampler, for any grouping of patients and labels."""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tasks import labelled

from medshot.errors import InputError, TooFewPatients
from medshot.imaging import ArrayImages, SeveralImages
from medshot.tasks import Episode, Task, draw_episode, draw_folds, split_patients
from medshot.tasks.folds import patient_folds


@st.composite
def groupings(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Draw labels and patients of any task: unbalanced, many images of a patient, patients in several classes."""
    classes = draw(st.integers(2, 4))
    size = st.integers(classes, 40)
    labels = draw(size.flatmap(lambda n: st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)))
    labels[:classes] = range(classes)
    people = draw(st.integers(1, 30))
    patients = draw(st.lists(st.integers(0, people), min_size=len(labels), max_size=len(labels)))
    return labels, patients


@st.composite
def one_class_each(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Draw the same if each patient has one to three images of one class, and each class two patients or more."""
    counts = draw(st.lists(st.integers(2, 12), min_size=2, max_size=4))
    owners = [label for label, count in enumerate(counts) for _ in range(count)]
    images = draw(st.lists(st.integers(1, 3), min_size=len(owners), max_size=len(owners)))
    patients = np.repeat(np.arange(len(owners)), images)
    return np.array(owners)[patients].tolist(), patients.tolist()


@st.composite
def shared_by_classes(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Draw few patients who share classes, one image of each class: most draws of them lead nowhere."""
    people, classes = draw(st.integers(3, 7)), draw(st.integers(2, 4))
    of_class = st.sets(st.integers(0, people - 1), min_size=1)
    members = draw(st.lists(of_class, min_size=classes, max_size=classes))
    pairs = [(label, patient) for label, patients in enumerate(members) for patient in sorted(patients)]
    return [label for label, _ in pairs], [patient for _, patient in pairs]


def people(task: Task) -> list[set]:
    """Return the patients of each class."""
    return [set(task.patients[task.labels == c]) for c in range(len(task.classes))]


def check(episode: Episode, shots: int, queries: int | None) -> None:
    """Check what holds for every episode."""
    task = episode.task
    sides = ((episode.support, episode.support_labels), (episode.query, episode.query_labels))
    assert not set(task.patients[episode.support]) & set(task.patients[episode.query])
    assert len(set(episode.classes)) == len(episode.classes)
    for samples, labels in sides:
        assert np.array_equal(np.array(episode.classes)[labels], task.labels[samples])
        pairs = list(zip(labels, task.patients[samples], strict=True))
        assert len(set(pairs)) == len(pairs), "more than one image of a patient and class"
    support = np.bincount(episode.support_labels, minlength=episode.ways)
    assert support.min() >= 1
    assert support.max() <= shots
    if queries is not None:
        assert np.bincount(episode.query_labels).max() <= queries


@given(
    grouping=groupings(),
    shots=st.integers(1, 6),
    queries=st.none() | st.integers(1, 5),
    ways=st.none() | st.just(2),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_patient_is_on_both_sides_of_an_episode(grouping, shots, queries, ways, seed):
    task = labelled(*grouping)
    try:
        episode = draw_episode(task, shots=shots, queries=queries, ways=ways, rng=np.random.default_rng(seed))
    except TooFewPatients:
        return
    check(episode, shots, queries)
    assert episode.ways == (ways or len(task.classes))
    assert (np.bincount(episode.support_labels, minlength=episode.ways) == shots).all()
    assert set(episode.query_labels) == set(range(episode.ways))


def holds(pools: list[set], parts: list[set], needs: list[int]) -> bool:
    return all(len(pool & part) >= need for pool in pools for part, need in zip(parts, needs, strict=True))


def assignments(pools: list[set], needs: list[int]) -> Iterator[list[set]]:
    """Yield every assignment of the patients to parts that gives each class what it needs, by trying all."""
    everyone = sorted(set().union(*pools))
    for part_of in product(range(len(needs)), repeat=len(everyone)):
        parts = [{p for p, of_p in zip(everyone, part_of, strict=True) if of_p == part} for part in range(len(needs))]
        if holds(pools, parts, needs):
            yield parts


@given(grouping=groupings() | shared_by_classes(), shots=st.integers(1, 3), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=300)
def test_an_episode_is_drawn_if_and_only_if_there_is_one(grouping, shots, seed):
    task = labelled(*grouping)
    pools = people(task)
    possible = None
    if len(set().union(*pools)) <= 10:
        possible = any(True for _ in assignments(pools, [shots, 1]))
    try:
        draw_episode(task, shots=shots, rng=np.random.default_rng(seed))
    except TooFewPatients as error:
        refused = str(error)
    else:
        refused = ""
    if possible is not None:
        assert possible == (not refused)
    assert not refused or re.match(r"Class 'class \d' of task 'task' has \d", refused)


def test_an_episode_that_is_hard_to_find_is_found_with_every_seed():
    members = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 0, 1, 0]])
    task = labelled(*np.argwhere(members).T.tolist())
    for seed in range(200):
        check(draw_episode(task, shots=2, rng=np.random.default_rng(seed)), 2, None)


@given(grouping=shared_by_classes(), parts=st.integers(2, 3), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=200)
def test_a_split_is_made_if_and_only_if_there_is_one(grouping, parts, seed):
    task = labelled(*grouping)
    possible = any(True for _ in assignments(people(task), [1] * parts))
    with nullcontext() if possible else pytest.raises(TooFewPatients, match=r"^Class"):
        split_patients([task], [1.0] * parts, np.random.default_rng(seed))


@given(grouping=shared_by_classes(), seed=st.integers(0, 2**32 - 1))
def test_folds_are_drawn_wherever_each_class_has_two_patients(grouping, seed):
    task = labelled(*grouping)
    enough = min(map(len, people(task))) > 1
    with nullcontext() if enough else pytest.raises(TooFewPatients, match=r"^Class"):
        for fold in draw_folds(task, shots=2, queries=2, rng=np.random.default_rng(seed)):
            check(fold, 2, None)


@given(grouping=shared_by_classes(), seed=st.integers(0, 99))
def test_folds_of_arrays_leave_every_class_for_training(grouping, seed):
    labels, patients = map(np.array, grouping)
    pools = [set(patients[labels == c]) for c in range(labels.max() + 1)]
    folds = patient_folds(labels, patients, seed)
    assert bool(folds) == any(True for _ in assignments(pools, [1, 1]))
    for train, test in folds:
        assert len(test)
        assert set(labels[train]) == set(labels)
        assert not set(patients[train]) & set(patients[test])
    if folds:
        assert sorted(np.concatenate([test for _, test in folds])) == list(range(len(labels)))


@st.composite
def shades(draw: st.DrawFn) -> tuple[list[int], list[int] | None]:
    """Draw the grey level of each sample's image, some of them equal, and of its second image if it has one."""
    first = draw(st.lists(st.integers(0, 30), min_size=12, max_size=24))
    return first, draw(st.none() | st.permutations(first) | st.just([100 + number for number in range(len(first))]))


def with_copies(first: list[int], second: list[int] | None, name: str = "task") -> Task:
    """Return a task of one or two images a sample, some of them identical though their patients' names differ."""
    rows = np.arange(len(first))
    images = ArrayImages(np.array(first, np.uint8)[:, None, None])
    if second is not None:
        other = ArrayImages(np.array(second, np.uint8)[:, None, None])
        images = SeveralImages({"flair": images, "post": other}, {"flair": rows, "post": rows})
    return Task(name, images, rows % 2, ("a", "b"), np.array([f"{name} {row}" for row in rows]))


def digests_of(task: Task, samples: np.ndarray) -> set[str]:
    """Return the hashes of all images of some samples."""
    of_each = task.hashes_of_each()
    return {digest for sample in samples for digest in of_each[sample]}


@given(grey=shades(), shots=st.integers(1, 3), queries=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("draw", [draw_episode, draw_folds])
def test_identical_images_are_of_one_person_in_every_episode(draw, grey, shots, queries, seed):
    task = with_copies(*grey)
    try:
        found = draw(task, shots=shots, queries=queries, rng=np.random.default_rng(seed))
    except TooFewPatients:
        return
    for episode in found if isinstance(found, list) else [found]:
        assert not digests_of(task, episode.support) & digests_of(task, episode.query)


@given(grey=shades())
def test_identical_images_are_of_one_person_in_a_batch(grey):
    """Learners that divide a support by patients, and metrics that resample patients, get these numbers."""
    task = with_copies(*grey)
    every = task.hashes_of_each()
    for one, other in product(range(len(task)), repeat=2):
        if set(every[one]) & set(every[other]):
            assert task.patient_codes[one] == task.patient_codes[other]


@given(grouping=groupings())
def test_without_identical_images_a_person_is_a_name(grouping):
    task = labelled(*grouping)
    assert np.array_equal(task.patient_codes, np.unique(task.patients, return_inverse=True)[1])


@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_identical_images_are_of_one_person_in_every_split(data, seed):
    tasks = [with_copies(*data.draw(shades()), name) for name in ("one", "other")[: data.draw(st.integers(1, 2))]]
    try:
        split = split_patients(tasks, (0.5, 0.25, 0.25), np.random.default_rng(seed))
    except TooFewPatients:
        return
    digests = [{digest for parts in split for of in parts[k].hashes_of_each() for digest in of} for k in range(3)]
    assert sum(map(len, digests)) == len(set().union(*digests))


@given(grouping=groupings(), shots=st.integers(1, 6), queries=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_no_patient_is_on_both_sides_of_a_fold(grouping, shots, queries, seed):
    task = labelled(*grouping)
    try:
        folds = draw_folds(task, shots=shots, queries=queries, rng=np.random.default_rng(seed))
    except TooFewPatients:
        return
    assert 1 <= len(folds) <= 5
    for fold in folds:
        check(fold, shots, None)
        assert len(fold.query) > 0
    scored = [set(task.patients[fold.query]) for fold in folds]
    assert sum(map(len, scored)) == len(set.union(*scored)), "a patient was scored in two folds"


@given(
    grouping=one_class_each(),
    shots=st.integers(1, 6),
    queries=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_folds_are_stratified_and_as_many_as_the_smallest_class_allows(grouping, shots, queries, seed):
    task = labelled(*grouping)
    folds = draw_folds(task, shots=shots, queries=queries, rng=np.random.default_rng(seed))
    drawn = [min(len(pool), shots + queries) for pool in people(task)]
    assert len(folds) == min(5, *drawn)
    for fold in folds:
        for label, c in enumerate(fold.classes):
            scored = int(np.sum(fold.query_labels == label))
            assert scored in (drawn[c] // len(folds), -(-drawn[c] // len(folds)))
            assert np.sum(fold.support_labels == label) == min(shots, drawn[c] - scored)
    assert sum(len(fold.query) for fold in folds) == sum(drawn)


@given(grouping=groupings(), parts=st.integers(2, 4), seed=st.integers(0, 2**32 - 1))
def test_a_split_is_by_patients_and_loses_no_image(grouping, parts, seed):
    task = labelled(*grouping)
    try:
        split = split_patients([task], [1.0] * parts, np.random.default_rng(seed))[0]
    except TooFewPatients:
        return
    assert len(split) == parts
    assert sorted(np.concatenate([part.rows for part in split])) == list(range(len(task)))
    seen = [set(part.patients) for part in split]
    assert sum(map(len, seen)) == len(set.union(*seen))
    for part in split:
        assert set(part.labels) == set(range(len(task.classes)))
        assert np.array_equal(part.labels, task.labels[part.rows])


@given(grouping=one_class_each(), seed=st.integers(0, 2**32 - 1))
def test_a_split_has_about_the_fractions_asked_for(grouping, seed):
    task = labelled(*grouping)
    halves = split_patients([task], (0.5, 0.5), np.random.default_rng(seed))[0]
    for first, second in zip(people(halves[0]), people(halves[1]), strict=True):
        assert abs(len(first) - len(second)) <= 1


@given(grouping=groupings(), seed=st.integers(0, 2**32 - 1))
def test_the_same_seed_draws_the_same(grouping, seed):
    task = labelled(*grouping)

    def draws() -> list[list[int]]:
        rng = np.random.default_rng(seed)
        episodes = [draw_episode(task, shots=1, rng=rng), *draw_folds(task, shots=1, queries=3, rng=rng)]
        return [[*episode.classes, *episode.support, *episode.query] for episode in episodes]

    try:
        first = draws()
    except TooFewPatients:
        return
    assert draws() == first


def test_draws_differ_from_seed_to_seed_and_are_shuffled():
    task = labelled([0] * 20 + [1] * 20, list(range(40)))
    episodes = [draw_episode(task, shots=5, rng=np.random.default_rng(seed)) for seed in range(20)]
    assert len({tuple(sorted(episode.support)) for episode in episodes}) > 15
    assert {int(episode.support_labels[0]) for episode in episodes} == {0, 1}
    assert {int(episode.query_labels[0]) for episode in episodes} == {0, 1}
    assert {episode.classes for episode in episodes} == {(0, 1), (1, 0)}
    assert all((np.diff(episode.support_labels) != 0).sum() > 1 for episode in episodes[:3])


def test_each_image_of_a_patient_has_its_turn():
    task = labelled([0] * 12 + [1] * 4, [0, 1, 2] * 4 + [3, 4, 5, 6])
    drawn = {
        int(sample)
        for seed in range(60)
        for sample in draw_episode(task, shots=1, rng=np.random.default_rng(seed)).support
    }
    assert drawn == set(range(16))


@pytest.mark.parametrize("draw", [draw_episode, draw_folds])
def test_too_few_patients_names_the_class_and_the_task(draw):
    task = labelled([0] * 9 + [1] * 9, [*range(9), *[100] * 9], name="wards")
    with pytest.raises(TooFewPatients, match="Class 'class 1' of task 'wards' has 1 patient,") as caught:
        draw(task, shots=1, queries=1, rng=np.random.default_rng(0))
    assert "add patients" in str(caught.value)


def test_a_split_that_leaves_a_part_without_a_class_names_the_class():
    task = labelled([0] * 5 + [1] * 2, list(range(7)))
    with pytest.raises(TooFewPatients, match="Class 'class 1'"):
        split_patients([task], (0.5, 0.25, 0.25), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"shots": 0}, "shots"), ({"queries": 0}, "queries"), ({"ways": 1}, "ways"), ({"ways": 3}, "ways")],
)
@pytest.mark.parametrize("draw", [draw_episode, draw_folds])
def test_numbers_out_of_range_are_refused(draw, wrong, named):
    task = labelled([0] * 5 + [1] * 5, list(range(10)))
    with pytest.raises(InputError, match=f"^{named} is {wrong[named]}"):
        draw(task, **({"shots": 1, "queries": 1} | wrong), rng=np.random.default_rng(0))


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_patients_who_share_tasks_are_in_the_same_part_of_all(seed, renamed):
    """Check two label sets over the same images, whose files number the patients alike or differently."""
    rng = np.random.default_rng(seed)
    images = ArrayImages(np.arange(60, dtype=np.uint8).reshape(-1, 1, 1))
    patients = rng.integers(20, size=60)
    labels = [np.r_[[0, 1] * 4, rng.integers(2, size=52)] for _ in range(2)]
    names = [patients, [f"other {p}" for p in patients]] if renamed else [patients, patients]
    tasks = [
        Task(f"task {i}", images, labels[i], ("a", "b"), np.array(names[i]), source=str(i) if renamed else "one")
        for i in range(2)
    ]
    try:
        split = split_patients(tasks, (0.5, 0.25, 0.25), rng)
    except TooFewPatients:
        return
    part_of = [{row: part for part, task in enumerate(parts) for row in task.rows} for parts in split]
    assert part_of[0] == part_of[1]
    for row, part in part_of[0].items():
        assert all(part_of[0][other] == part for other in np.flatnonzero(patients == patients[row]))
