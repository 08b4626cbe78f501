"""Folds by patient for cross-validation, every class spread over all of them."""

import numpy as np
from jaxtyping import Int, Int64

FOLDS = 5

Fold = tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " test"]]


def patient_folds(labels: Int[np.ndarray, " samples"], patients: Int[np.ndarray, " samples"], seed: int) -> list[Fold]:
    """Up to five folds, no patient on both sides of any; none where a class would be missing from training.

    Patients are shuffled, sorted by the class of one of their images and dealt in turn: quick for a million of them.

    Args:
        labels: counted from 0, every class with a sample.
        patients: any numbers.
        seed: of the shuffling.
    """
    who = np.unique(patients, return_inverse=True)[1].reshape(-1)
    pairs = np.unique(np.stack([labels, who]), axis=1)
    number = min(FOLDS, int(np.bincount(pairs[0]).min()))
    if number < 2:
        return []
    of_patient = np.zeros(who.max() + 1, np.int64)
    of_patient[who] = labels
    order = np.lexsort((np.random.default_rng(seed).permutation(len(of_patient)), of_patient))
    fold_of = np.empty(len(of_patient), np.int64)
    fold_of[order] = np.arange(len(order)) % number
    folds = [(np.flatnonzero(fold_of[who] != fold), np.flatnonzero(fold_of[who] == fold)) for fold in range(number)]
    classes = len(np.unique(labels))
    whole = all(len(test) and len(np.unique(labels[train])) == classes for train, test in folds)
    return folds if whole else []
