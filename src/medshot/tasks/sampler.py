"""The patient-disjoint sampler: every draw shuffled, and no patient ever in both support and query."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from medshot.errors import InputError, TooFewPatients
from medshot.imaging import MISSING, FileImages, ImageSource, SeveralImages, parted, patient_of
from medshot.tasks.episode import Episode
from medshot.tasks.task import Task

ATTEMPTS = 20
FOLDS = 5


def draw_episode(
    task: Task, *, shots: int, rng: np.random.Generator, queries: int | None = None, ways: int | None = None
) -> Episode:
    """Draw one episode.

    The support holds `shots` patients per class, one image each. A patient who supports any class is out of the query
    altogether, also where the same patient has images of another class.

    Args:
        task: what to draw from.
        shots: labelled patients per class.
        rng: the source of randomness.
        queries: the most query patients per class, one image each; all that remain where it is left out.
        ways: how many classes, drawn at random; all where it is left out.

    Raises:
        InputError: `shots`, `queries` or `ways` is out of range.
        TooFewPatients: a class has too few patients; the sentence says which.
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


def draw_folds(
    task: Task, *, shots: int, queries: int, rng: np.random.Generator, ways: int | None = None
) -> list[Episode]:
    """The episodes whose mean loss is METAL's cross-validation loss within a task.

    `shots + queries` patients per class are drawn (fewer where a class has fewer) and dealt into K = min(5, patients in
    the smallest class) stratified, patient-disjoint folds; each episode adapts on at most `shots` per class of the
    other folds and is scored on its own.

    Raises:
        InputError: `shots`, `queries` or `ways` is out of range.
        TooFewPatients: a class has fewer than two patients, or patients that stand in several classes leave no fold
            in which every class has a support.
    """
    _check(task, shots, queries, ways)
    classes = tuple(int(c) for c in rng.permutation(len(task.classes))[:ways])
    pools = [rng.permutation(list(task.members[c]))[: shots + queries] for c in classes]
    for c, pool in zip(classes, pools, strict=True):
        if len(pool) < 2:
            raise _too_few(task, c, len(pool), "cross-validation needs at least 2")
    fold_of = _deal(pools, min(FOLDS, *(len(pool) for pool in pools)), rng)
    episodes = []
    for fold in range(max(fold_of.values()) + 1):
        outside = [np.array([p for p in pool if fold_of[p] != fold], dtype=int)[:shots] for pool in pools]
        inside = [np.array([p for p in pool if fold_of[p] == fold], dtype=int) for pool in pools]
        if min(map(len, outside)) > 0 and max(map(len, inside)) > 0:
            support, support_labels = _images(task, classes, outside, rng)
            query, query_labels = _images(task, classes, inside, rng)
            episodes.append(Episode(task, classes, support, support_labels, query, query_labels))
    if not episodes:
        raise TooFewPatients(
            f"Task '{task.name}' has patients in several classes and no split leaves every class a support; "
            "add patients."
        )
    return episodes


def split_patients(
    tasks: Sequence[Task], fractions: Sequence[float], rng: np.random.Generator
) -> list[tuple[Task, ...]]:
    """The tasks as patient-disjoint parts of about these fractions, each class spread over the parts.

    Patients are dealt once for all tasks: who stands in two tasks, by name within one source or by an image that both
    hold, is in the same part of both.

    Returns:
        For each task, its parts.

    Raises:
        TooFewPatients: a part would be left without a class.
    """
    people = _people(tasks)
    shares = np.asarray(fractions) / np.sum(fractions)
    pools = [
        rng.permutation(np.unique(who[task.labels == c]))
        for task, who in zip(tasks, people, strict=True)
        for c in range(len(task.classes))
    ]
    part_of = _deal(pools, len(shares), rng, shares)
    split = []
    for task, who in zip(tasks, people, strict=True):
        parts = np.array([part_of[person] for person in who.tolist()])
        for c in range(len(task.classes)):
            if np.unique(parts[task.labels == c]).size < len(shares):
                raise _too_few(task, c, len(task.members[c]), f"a split into {len(shares)} parts needs more")
        split.append(tuple(task.select(np.flatnonzero(parts == part)) for part in range(len(shares))))
    return split


def _people(tasks: Sequence[Task]) -> list[np.ndarray]:
    """Who each sample of each task is of: patients of one name in a source, or with a common image, are one person."""
    if len(tasks) == 1:
        return [tasks[0].patient_codes]
    patients = [(task.source, str(patient)) for task in tasks for patient in task.patients]
    images = [digest for task in tasks for digest in task.hashes()]
    codes: dict[object, int] = {}
    ends = [[codes.setdefault(node, len(codes)) for node in nodes] for nodes in (patients, images)]
    graph = coo_array((np.ones(len(patients)), ends), shape=(len(codes), len(codes)))
    person = connected_components(graph, directed=False)[1][ends[0]]
    return np.split(person, np.cumsum([len(task) for task in tasks])[:-1])


def _check(task: Task, shots: int, queries: int | None, ways: int | None) -> None:
    for name, value, least in (("shots", shots, 1), ("queries", queries, 1), ("ways", ways, 2)):
        if value is not None and value < least:
            raise InputError(f"{name} is {value}, but must be {least} or more.")
    if ways is not None and ways > len(task.classes):
        raise InputError(
            f"ways is {ways}, but task '{task.name}' has {len(task.classes)} classes; ask for at most that many."
        )


def _too_few(task: Task, c: int, found: int, need: str) -> TooFewPatients:
    people = "1 patient" if found == 1 else f"{found} patients"
    return TooFewPatients(
        f"Class '{task.classes[c]}' of task '{task.name}' has {people}, but {need}; "
        "ask for fewer shots or add patients of that class."
    )


def _support_patients(
    task: Task, classes: Sequence[int], pools: list[np.ndarray], shots: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """`shots` patients per class so that every class keeps a patient for the query."""
    need = f"{shots} in the support and at least 1 in the query need {shots + 1}"
    for c, pool in zip(classes, pools, strict=True):
        if len(pool) <= shots:
            raise _too_few(task, c, len(pool), need)
    for _ in range(ATTEMPTS):
        chosen = [rng.choice(pool, shots, replace=False) for pool in pools]
        used = np.concatenate(chosen)
        if all(np.setdiff1d(pool, used).size for pool in pools):
            return chosen
    reserved = _reserve(task, classes, pools, shots, need, rng)
    return [rng.choice(np.setdiff1d(pool, reserved), shots, replace=False) for pool in pools]


def _reserve(
    task: Task,
    classes: Sequence[int],
    pools: list[np.ndarray],
    shots: int,
    need: str,
    rng: np.random.Generator,
) -> list[int]:
    """Few patients to keep for the query so that each class has one there and still `shots` for the support.

    Only reached where patients stand in several classes. Scarcest class first; of its patients, one who serves most
    classes that have none yet.
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
            raise _too_few(task, classes[index], len(pools[index]), need + " who are not all in another class too")
        unserved = [pool for pool in pools if not np.isin(pool, reserved).any()]
        reserved.append(int(max(able, key=lambda patient: sum(patient in pool for pool in unserved))))
    return reserved


def _deal(
    pools: list[np.ndarray], parts: int, rng: np.random.Generator, shares: np.ndarray | None = None
) -> dict[int, int]:
    """Deal every patient to one part so that each class spreads evenly (or by `shares`), scarcest class first."""
    shares = np.full(parts, 1 / parts) if shares is None else shares
    part_of: dict[int, int] = {}
    for pool in sorted(pools, key=len):
        counts = np.bincount([part_of[p] for p in pool if p in part_of], minlength=parts).astype(float)
        for patient in pool.tolist():
            if patient not in part_of:
                emptiest = (counts + rng.uniform(0, 1e-6, parts) + (counts > 0)) / shares
                part_of[patient] = int(np.argmin(emptiest))
                counts[part_of[patient]] += 1
    return part_of


def _images(
    task: Task, classes: Sequence[int], patients: Sequence[np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One random image per patient and class, shuffled, with labels by the place of the class in `classes`."""
    drawn = [
        (rng.choice(task.members[c][int(patient)]), label)
        for label, (c, of_class) in enumerate(zip(classes, patients, strict=True))
        for patient in of_class
    ]
    samples, labels = np.array(drawn, dtype=np.int64).T[:, rng.permutation(len(drawn))]
    return samples, labels


def unnamed_patients(images: ImageSource) -> list[str]:
    """A patient for each sample: the same where two samples have an image, a file or a DICOM PatientID in common.

    Every other sample is its own patient, which is the best that can be said and may be wrong.
    """
    signs = _signs(images)
    codes: dict[str, int] = {}
    ends = [(sample, codes.setdefault(sign, len(codes))) for sample, of_one in enumerate(signs) for sign in of_one]
    samples, found = np.array(ends).T
    nodes = len(signs) + len(codes)
    graph = coo_array((np.ones(len(ends)), (samples, len(signs) + found)), shape=(nodes, nodes))
    return [f"patient {code}" for code in connected_components(graph, directed=False)[1][: len(signs)]]


def _signs(images: ImageSource) -> list[list[str]]:
    """What tells for each sample that it is of the same patient as another."""
    match images:
        case FileImages(paths=paths):
            return [
                list(filter(None, (digest, str(parted(path)[0]), patient_of(path))))
                for path, digest in zip(paths, images.hashes(), strict=True)
            ]
        case SeveralImages():
            of_names = [_signs(images.sources[name]) for name in images.names]
            return [
                [sign for signs, row in zip(of_names, rows, strict=True) if row != MISSING for sign in signs[row]]
                for rows in images.rows.tolist()
            ]
        case _:
            return [[digest] for digest in images.hashes()]
