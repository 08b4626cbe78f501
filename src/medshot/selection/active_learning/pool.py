"""Images without labels as strategies see them: one of each patient, in an order that file names do not decide."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from medshot.errors import InputError
from medshot.imaging import ArrayImages, FileImages, SeveralImages
from medshot.learners import FewShotClassifier
from medshot.learners.features import flatten_features
from medshot.tasks.sampler import unnamed_patients

CANDIDATES = 5000
"""Patients that are looked at; of more, so many are drawn, since similarities take memory by their square."""
BATCH = 256
PIXELS = 16

Images = FileImages | ArrayImages | SeveralImages


@dataclass(frozen=True)
class Pool:
    """Candidates for labelling.

    Args:
        features: of each image, of norm 1 about the mean of the pool; see `standardised`.
        probabilities: of each class, as the model gives them.
    """

    features: Float[np.ndarray, "images features"]
    probabilities: Float[np.ndarray, "images classes"]

    def __len__(self) -> int:
        return len(self.features)


def standardised(vectors: Float[np.ndarray, "images features"]) -> Float[np.ndarray, "images features"]:
    """Vectors about their mean and brought to norm 1, so that an inner product says how alike two images are here."""
    centred = vectors - vectors.mean(0)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)


def pool_of(
    classifier: FewShotClassifier, images: Images, patients: Sequence[str] | None, seed: int
) -> tuple[Pool, Int[np.ndarray, " candidates"]]:
    """The candidates among these images, and the row of each.

    Of a patient's images the one nearest to their mean is the candidate. Copies of one image are one image. Neither the
    order of the images nor their names change which images are candidates, or in which order they stand.

    Args:
        classifier: the model.
        images: without labels.
        patients: the patient of each image; `unnamed_patients` where they are left out.
        seed: decides the draw from more than `CANDIDATES` patients.

    Raises:
        InputError: an image cannot be read, the model does not take such images, or the lengths differ.
    """
    rows = np.unique(images.hashes(), return_index=True)[1]
    who = np.asarray(patients or unnamed_patients(images))
    if len(who) != len(images):
        raise InputError(f"patients has {len(who)} entries for {len(images)} images; give one for each.")
    rows = rows[_of_some(who[rows], seed)]
    looked_at = images.take(rows)
    vectors = _vectors(classifier, looked_at)
    kept = _nearest_to_mean(vectors, who[rows])
    return Pool(standardised(vectors[kept]), classifier.predict_proba(looked_at)[kept]), rows[kept]


def _of_some(who: np.ndarray, seed: int) -> Int[np.ndarray, " kept"]:
    """The places of all images, or of those of `CANDIDATES` patients drawn at random."""
    _, first, codes = np.unique(who, return_index=True, return_inverse=True)
    if len(first) <= CANDIDATES:
        return np.arange(len(who))
    by_content = np.argsort(first)  # names of patients that medshot gives depend on the order of files
    drawn = np.random.default_rng(seed).choice(by_content, CANDIDATES, replace=False)
    return np.flatnonzero(np.isin(codes, drawn))


def _vectors(classifier: FewShotClassifier, images: Images) -> Float[np.ndarray, "images features"]:
    input_spec = classifier.learner_.input_spec
    batches = np.split(np.arange(len(images)), range(BATCH, len(images), BATCH))
    return np.concatenate([flatten_features(input_spec.read(images, rows), PIXELS).numpy() for rows in batches])


def _nearest_to_mean(vectors: Float[np.ndarray, "images features"], who: np.ndarray) -> Int[np.ndarray, " patients"]:
    """The place of one image of each patient, in the order of the images."""
    codes = np.unique(who, return_inverse=True)[1]
    by_patient = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    return np.sort([of_one[_nearest(vectors[of_one])] for of_one in by_patient])


def _nearest(vectors: Float[np.ndarray, "images features"]) -> int:
    return int(np.linalg.norm(vectors - vectors.mean(0), axis=1).round(6).argmin())


QUANTITIES = ("uncertainty", "typicality", "rarity", "coverage", "distance", "unchosen")
NEIGHBOURS = 20


class Quantities:
    """Each quantity of each candidate, as the share of the pool that has less of it, 0 to 1.

    ===========  ====================================================================================================
    uncertainty  how small the gap is between the two most probable classes
    typicality   mean similarity to the 20 most similar images of the pool
    rarity       how rare the class that the model gives is among those that it gives to the pool
    coverage     how much nearer the pool comes to the chosen ones if it is chosen (MaxHerding's objective)
    distance     how unlike the nearest chosen one it is; 0.5 while none is chosen
    unchosen     how rare the class that the model gives is among those that it gives to the chosen; 0.5 at first
    ===========  ====================================================================================================

    Shares make data sets alike whose probabilities and distances are not.

    Args:
        pool: the candidates.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.similarities = pool.features @ pool.features.T
        neighbours = min(NEIGHBOURS, len(pool) - 1)
        nearest = np.partition(self.similarities, len(pool) - 1 - neighbours)[:, -1 - neighbours :]
        self._alone = np.stack(
            [
                shares(-margins(pool.probabilities)),
                shares(nearest.sum(1)),
                shares(-pool.probabilities @ pool.probabilities.mean(0)),
            ]
        )

    def __call__(self, chosen: Sequence[int] | Int[np.ndarray, " chosen"]) -> Float[np.ndarray, "images quantities"]:
        """The quantities in the order of `QUANTITIES`, given what was chosen before; those chosen have some too."""
        if len(chosen) == 0:
            even = np.full(len(self.pool), 0.5)
            return np.stack([*self._alone, shares(self.similarities.mean(1)), even, even], axis=1)
        nearest = self.similarities[:, chosen].max(1)
        gains = np.maximum(self.similarities - nearest, 0).mean(1)
        alike = self.pool.probabilities @ self.pool.probabilities[chosen].mean(0)
        return np.stack([*self._alone, shares(gains), shares(-nearest), shares(-alike)], axis=1)


def margins(probabilities: Float[np.ndarray, "images classes"]) -> Float[np.ndarray, " images"]:
    """The gap between the two most probable classes."""
    ordered = np.sort(probabilities, axis=1)
    return ordered[:, -1] - ordered[:, -2]


def shares(values: Float[np.ndarray, " images"]) -> Float[np.ndarray, " images"]:
    """The share of the others that have less, ties counted by half; 0.5 where there are no others.

    Differences that are nothing but rounding are none.
    """
    rounded = values.round(9)
    return (rankdata(rounded) - 1) / (len(values) - 1) if len(values) > 1 else np.full(1, 0.5)
