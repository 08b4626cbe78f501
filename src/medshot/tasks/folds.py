"""The one place where patients are divided into folds and parts, so that no patient is in two of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int, Int64

FOLDS = 5

Fold = tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " test"]]


def divide(
    pools: Sequence[np.ndarray],
    parts: int,
    rng: np.random.Generator,
    shares: np.ndarray | None = None,
    fixed: Mapping[int, int] | None = None,
) -> dict[int, int]:
    """Assign every patient to one part so that each class spreads evenly, or by `shares`; the scarcest class first.

    A class whose patients are also in other classes may be left without some part; `serve` finds whether it must be.

    Args:
        pools: the patients of each class.
        parts: the number of parts.
        rng: the source of randomness.
        shares: of each part, summing to 1; equal if left out.
        fixed: the part of patients who have one already.
    """
    shares = np.full(parts, 1 / parts) if shares is None else shares
    part_of = dict(fixed or {})
    for pool in sorted(pools, key=len):
        counts = np.bincount([part_of[p] for p in pool if p in part_of], minlength=parts).astype(float)
        for patient in pool.tolist():
            if patient not in part_of:
                emptiest = (counts + rng.uniform(0, 1e-6, parts) + (counts > 0)) / shares
                part_of[patient] = int(np.argmin(emptiest))
                counts[part_of[patient]] += 1
    return part_of


def serve(pools: Sequence[np.ndarray], needs: Sequence[int], rng: np.random.Generator) -> dict[int, int] | None:
    """Assign as few patients to parts as give every class `needs[part]` patients in each part; None if none do.

    A patient of several classes serves all of them in one part, so this is an integer program and not a matching.
    Patients of the same classes are interchangeable, which keeps it small.

    Args:
        pools: the patients of each class.
        needs: how many patients each class needs in each part.
        rng: the source of randomness.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp  # slow to import

    patients = np.unique(np.concatenate(pools))
    member = np.stack([np.isin(patients, pool) for pool in pools])
    kinds, kind = np.unique(member, axis=1, return_inverse=True)
    kind, counts = kind.reshape(-1), np.bincount(kind.reshape(-1))
    parts = len(needs)
    found = milp(
        rng.uniform(1, 2, parts * len(counts)),
        integrality=np.ones(parts * len(counts)),
        bounds=Bounds(0, np.tile(counts, parts)),
        constraints=[
            LinearConstraint(np.tile(np.eye(len(counts)), parts), ub=counts),
            LinearConstraint(np.kron(np.eye(parts), kinds), lb=np.repeat(needs, len(pools))),
        ],
    )
    if found.x is None:
        return None
    part_of: dict[int, int] = {}
    for k, numbers in enumerate(np.rint(found.x).astype(int).reshape(parts, -1).T):
        shuffled = rng.permutation(patients[kind == k]).tolist()
        part_of |= dict(zip(shuffled, np.repeat(np.arange(parts), numbers).tolist(), strict=False))
    return part_of


def patient_folds(labels: Int[np.ndarray, " samples"], patients: Int[np.ndarray, " samples"], seed: int) -> list[Fold]:
    """Divide samples into up to five folds by patient; none if a class would always be missing from some training.

    Patients are shuffled, sorted by the class of one of their images and assigned in turn: quick for a million of them.

    Args:
        labels: counted from 0, every class with a sample.
        patients: any numbers.
        seed: of the shuffling.
    """
    rng = np.random.default_rng(seed)
    who = np.unique(patients, return_inverse=True)[1].reshape(-1)
    pairs = np.unique(np.stack([labels, who]), axis=1)
    number = min(FOLDS, int(np.bincount(pairs[0]).min()))
    if number < 2:
        return []
    of_patient = np.zeros(who.max() + 1, np.int64)
    of_patient[who] = labels
    order = np.lexsort((rng.permutation(len(of_patient)), of_patient))
    fold_of = np.empty(len(of_patient), np.int64)
    fold_of[order] = np.arange(len(order)) % number
    pools = [pairs[1][pairs[0] == label] for label in range(int(labels.max()) + 1)]
    if any(len(np.unique(fold_of[pool])) < 2 for pool in pools):
        fixed = serve(pools, [1, 1], rng)  # then no fold holds all patients of a class
        if fixed is None:
            return []
        fold_of[list(fixed)] = list(fixed.values())
    every = range(number)
    folds = [(np.flatnonzero(fold_of[who] != fold), np.flatnonzero(fold_of[who] == fold)) for fold in every]
    return [fold for fold in folds if len(fold[1])]


def folds_in_turn(classes: Mapping[int, set[int]], ways: int) -> dict[int, int]:
    """Assign patients to folds in their order; no fold if no two folds have patients of every class.

    There are as many folds as the rarest set of classes has patients, at most five.

    Args:
        classes: the classes of each patient.
        ways: the number of classes.
    """
    alike: dict[frozenset[int], list[int]] = {}
    for patient, labels in classes.items():
        alike.setdefault(frozenset(labels), []).append(patient)
    if len(set().union(*alike)) < ways:
        return {}
    folds = min(FOLDS, *map(len, alike.values()))
    if folds < 2:
        return {}
    return {patient: place % folds for patients in alike.values() for place, patient in enumerate(patients)}
