"""The patient-disjoint sampler: every draw is shuffled, and no patient is in both support and query."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from medshot.errors import InputError, TooFewPatients
from medshot.tasks.episode import Episode
from medshot.tasks.folds import FOLDS, divide, serve
from medshot.tasks.people import people_of
from medshot.tasks.task import Task

ATTEMPTS = 20


def draw_episode(
    task: Task, *, shots: int, rng: np.random.Generator, queries: int | None = None, ways: int | None = None
) -> Episode:
    """Draw one episode.

    The support holds `shots` patients per class, one image each. A patient who supports any class is out of the query
    altogether, even if the same patient has images of another class.

    Args:
        task: the task to draw from.
        shots: labelled patients per class.
        rng: the source of randomness.
        queries: the most query patients per class, one image each; all that remain if left out.
        ways: how many classes, drawn at random; all if left out.

    Raises:
        InputError: `shots`, `queries` or `ways` is out of range.
        TooFewPatients: a class has too few patients; the sentence names it.
    """
    _check(task, shots, queries, ways)
    classes = tuple(int(c) for c in rng.permutation(len(task.classes))[:ways])
    pools = [np.array(list(task.members[c])) for c in classes]
    chosen = _support_patients(task, classes, pools, shots, rng)
    used = np.concatenate(chosen)
    remaining = [rng.permutation(np.setdiff1d(pool, used))[:queries] for pool in pools]
    support, support_labels = _images(task, classes, chosen, rng)
    query, query_labels = _images(task, classes, remaining, rng)
    return Episode(task, classes, support, support_labels, query, query_labels)


def draw_support(task: Task, *, shots: int, rng: np.random.Generator) -> Int[np.ndarray, " support"]:
    """Draw a support without a query: `shots` patients of each class, or all patients of a class that has fewer.

    If patients remain for a query, the support is that of `draw_episode`.

    Raises:
        InputError: `shots` is below 1.
    """
    try:
        return draw_episode(task, shots=shots, rng=rng).support
    except TooFewPatients:
        classes = tuple(range(len(task.classes)))
        pools = [np.array(list(task.members[c])) for c in classes]
        chosen = [rng.choice(pool, min(shots, len(pool)), replace=False) for pool in pools]
        return _images(task, classes, chosen, rng)[0]


def draw_folds(
    task: Task, *, shots: int, queries: int, rng: np.random.Generator, ways: int | None = None
) -> list[Episode]:
    """Draw the episodes whose mean loss is METAL's cross-validation loss within a task.

    `shots + queries` patients per class are drawn (fewer if a class has fewer) and divided into K = min(5, patients in
    the smallest class) stratified, patient-disjoint folds; each episode adapts on at most `shots` per class of the
    other folds and is scored on its own.

    Raises:
        InputError: `shots`, `queries` or `ways` is out of range.
        TooFewPatients: a class has fewer than two patients.
    """
    _check(task, shots, queries, ways)
    classes = tuple(int(c) for c in rng.permutation(len(task.classes))[:ways])
    pools = [rng.permutation(list(task.members[c]))[: shots + queries] for c in classes]
    for c, pool in zip(classes, pools, strict=True):
        if len(pool) < 2:
            raise _too_few(task, c, len(pool), "cross-validation needs at least 2")
    fold_of = divide(pools, min(FOLDS, *(len(pool) for pool in pools)), rng)
    episodes = _episodes_of_folds(task, classes, pools, fold_of, shots, rng)
    if not episodes:  # each fold holds all patients of some class; no single patient does
        held_out = rng.choice(np.concatenate(pools))
        fold_of = {patient: int(patient != held_out) for patient in fold_of}
        episodes = _episodes_of_folds(task, classes, pools, fold_of, shots, rng)
    return episodes


def _episodes_of_folds(
    task: Task,
    classes: tuple[int, ...],
    pools: list[np.ndarray],
    fold_of: dict[int, int],
    shots: int,
    rng: np.random.Generator,
) -> list[Episode]:
    """Draw an episode for each fold that leaves every class a patient outside."""
    episodes = []
    for fold in range(max(fold_of.values()) + 1):
        outside = [np.array([p for p in pool if fold_of[p] != fold], dtype=int)[:shots] for pool in pools]
        inside = [np.array([p for p in pool if fold_of[p] == fold], dtype=int) for pool in pools]
        if min(map(len, outside)) > 0 and max(map(len, inside)) > 0:
            support, support_labels = _images(task, classes, outside, rng)
            query, query_labels = _images(task, classes, inside, rng)
            episodes.append(Episode(task, classes, support, support_labels, query, query_labels))
    return episodes


def split_patients(
    tasks: Sequence[Task], fractions: Sequence[float], rng: np.random.Generator
) -> list[tuple[Task, ...]]:
    """Split the tasks into patient-disjoint parts of about these fractions, each class spread over the parts.

    Patients are divided once for all tasks: a person who is in two tasks, by name within one source or by an image that
    both hold, is in the same part of both. Identical images under two names are of one person.

    Returns:
        For each task, its parts.

    Raises:
        TooFewPatients: a part would be left without a class.
    """
    people = _people_of_all(tasks)
    shares = np.asarray(fractions) / np.sum(fractions)
    pools = [
        rng.permutation(np.unique(who[task.labels == c]))
        for task, who in zip(tasks, people, strict=True)
        for c in range(len(task.classes))
    ]
    part_of = divide(pools, len(shares), rng, shares)
    if any(len({part_of[person] for person in pool.tolist()}) < len(shares) for pool in pools):
        fixed = serve(pools, [1] * len(shares), rng)
        part_of = part_of if fixed is None else divide(pools, len(shares), rng, shares, fixed)
    split = []
    for task, who in zip(tasks, people, strict=True):
        parts = np.array([part_of[person] for person in who.tolist()])
        for c in range(len(task.classes)):
            if np.unique(parts[task.labels == c]).size < len(shares):
                raise _too_few(task, c, len(task.members[c]), f"a split into {len(shares)} parts needs more")
        split.append(tuple(task.select(np.flatnonzero(parts == part)) for part in range(len(shares))))
    return split


def _people_of_all(tasks: Sequence[Task]) -> list[np.ndarray]:
    """Assign a person to each sample of each task; patients of one name in one source are the same person."""
    if len(tasks) == 1:
        return [tasks[0].patient_codes]
    names = [(task.source, str(patient)) for task in tasks for patient in task.patients]
    people = people_of(names, [digests for task in tasks for digests in task.hashes_of_each()])
    return np.split(people, np.cumsum([len(task) for task in tasks])[:-1])


def _check(task: Task, shots: int, queries: int | None, ways: int | None) -> None:
    for name, value, least in (("shots", shots, 1), ("queries", queries, 1), ("ways", ways, 2)):
        if value is not None and value < least:
            raise InputError(f"{name} is {value}, but must be {least} or more.")
    if ways is not None and ways > len(task.classes):
        raise InputError(
            f"ways is {ways}, but task '{task.name}' has {len(task.classes)} classes; ask for at most that many."
        )


def _too_few(task: Task, c: int, found: int, need: str, shots: int = 1) -> TooFewPatients:
    people = "1 patient" if found == 1 else f"{found} patients"
    fewer = "ask for fewer shots or " if shots > 1 else ""
    return TooFewPatients(
        f"Class '{task.classes[c]}' of task '{task.name}' has {people}, but {need}; {fewer}add patients of that class."
    )


def _support_patients(
    task: Task, classes: Sequence[int], pools: list[np.ndarray], shots: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw `shots` patients per class so that every class keeps a patient for the query."""
    need = f"{shots} in the support and at least 1 in the query need {shots + 1}"
    for c, pool in zip(classes, pools, strict=True):
        if len(pool) <= shots:
            raise _too_few(task, c, len(pool), need, shots)
    for _ in range(ATTEMPTS):
        chosen = [rng.choice(pool, shots, replace=False) for pool in pools]
        used = np.concatenate(chosen)
        if all(np.setdiff1d(pool, used).size for pool in pools):
            return chosen
    reserved = _reserve(pools, shots, rng)
    if reserved is None:
        part_of = serve(pools, [shots, 1], rng)
        if part_of is None:
            c, fewest = min(zip(classes, map(len, pools), strict=True), key=lambda pair: pair[1])
            raise _too_few(task, c, fewest, need + " who are not all in another class too", shots)
        reserved = [patient for patient, part in part_of.items() if part == 1]
    return [rng.choice(np.setdiff1d(pool, reserved), shots, replace=False) for pool in pools]


def _reserve(pools: list[np.ndarray], shots: int, rng: np.random.Generator) -> list[int] | None:
    """Choose few patients for the query so that each class has one there and still `shots` for the support.

    Only reached if patients are in several classes. The scarcest class comes first; of its patients, one who serves
    most classes that have none yet. Returns None if this order leads to no choice, though another one may.
    """
    reserved: list[int] = []
    for index in np.argsort([len(pool) for pool in pools], kind="stable"):
        if np.isin(pools[index], reserved).any():
            continue
        able = [
            patient
            for patient in rng.permutation(pools[index])
            if all(np.setdiff1d(pool, [*reserved, patient]).size >= shots for pool in pools)
        ]
        if not able:
            return None
        unserved = [pool for pool in pools if not np.isin(pool, reserved).any()]
        reserved.append(int(max(able, key=lambda patient: sum(patient in pool for pool in unserved))))
    return reserved


def _images(
    task: Task, classes: Sequence[int], patients: Sequence[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one image per patient and class, shuffled, with labels by the place of the class in `classes`."""
    chosen = [
        (rng.choice(task.members[c][int(patient)]), label)
        for label, (c, of_class) in enumerate(zip(classes, patients, strict=True))
        for patient in of_class
    ]
    samples, labels = np.array(chosen, dtype=np.int64).T[:, rng.permutation(len(chosen))]
    return samples, labels
