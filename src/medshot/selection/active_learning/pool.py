"""The pool of unlabelled candidates, one image per patient, and their acquisition features."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from medshot.encoders import reader_of
from medshot.errors import InputError
from medshot.imaging import ArrayImages, FileImages, SeveralImages, hashes_of_each
from medshot.learners import FewShotClassifier
from medshot.learners.features import flatten_features
from medshot.tasks.people import unnamed_patients

CANDIDATES = 5000
"""Most patients in a pool; a random sample is drawn from more, because similarities need quadratic memory."""
BATCH = 256
PIXELS = 16

Images = FileImages | ArrayImages | SeveralImages


@dataclass(frozen=True)
class Pool:
    """Candidates for labelling.

    Args:
        features: of each image, minus the mean of the pool and scaled to norm 1; see `standardised`.
        probabilities: the model's class probabilities.
    """

    features: Float[np.ndarray, "images features"]
    probabilities: Float[np.ndarray, "images classes"]

    def __len__(self) -> int:
        return len(self.features)


def standardised(vectors: Float[np.ndarray, "images features"]) -> Float[np.ndarray, "images features"]:
    """Subtract the mean of the vectors and scale each to norm 1, so that an inner product is a similarity."""
    centred = vectors - vectors.mean(0)
    return centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)


def pool_of(
    classifier: FewShotClassifier,
    images: Images,
    patients: Sequence[str] | np.ndarray | None,
    seed: int,
    labelled: Collection[str] = (),
) -> tuple[Pool, Int[np.ndarray, " candidates"]]:
    """Return the candidates among these images, and the row of each.

    The candidate of a patient is the image nearest to the mean of the patient's images. Copies of an image count once.
    The order and the names of the images change neither the candidates nor their order.

    Args:
        classifier: the model.
        images: unlabelled images.
        patients: the patient of each image; `unnamed_patients` by default.
        seed: of the draw if there are more than `CANDIDATES` patients.
        labelled: content hashes of images with labels. Patients who have one of them are left out.

    Raises:
        InputError: an image cannot be read, the model does not take such images, or the lengths differ.
    """
    rows = np.unique(images.hashes(), return_index=True)[1]
    who = np.asarray(unnamed_patients(images) if patients is None else patients)
    if len(who) != len(images):
        raise InputError(f"patients has {len(who)} entries for {len(images)} images; give one for each.")
    known = np.array([not set(labelled).isdisjoint(of_one) for of_one in hashes_of_each(images)])
    rows = rows[~np.isin(who[rows], who[known])]
    if not rows.size:
        raise InputError(f"All {len(images)} images are of patients with a labelled image; give images without labels.")
    rows = rows[_of_some(who[rows], seed)]
    looked_at = images.take(rows)
    vectors = _vectors(classifier, looked_at)
    kept = _nearest_to_mean(vectors, who[rows])
    return Pool(standardised(vectors[kept]), classifier.predict_proba(looked_at)[kept]), rows[kept]


def _of_some(who: np.ndarray, seed: int) -> Int[np.ndarray, " kept"]:
    """Return the positions of all images, or of the images of `CANDIDATES` random patients."""
    _, first, codes = np.unique(who, return_index=True, return_inverse=True)
    if len(first) <= CANDIDATES:
        return np.arange(len(who))
    by_content = np.argsort(first)  # generated patient names depend on the order of files
    drawn = np.random.default_rng(seed).choice(by_content, CANDIDATES, replace=False)
    return np.flatnonzero(np.isin(codes, drawn))


def _vectors(classifier: FewShotClassifier, images: Images) -> Float[np.ndarray, "images features"]:
    reader = reader_of(classifier.learner_.input_spec)
    batches = np.split(np.arange(len(images)), range(BATCH, len(images), BATCH))
    return np.concatenate([flatten_features(reader.read(images, rows), PIXELS).numpy() for rows in batches])


def _nearest_to_mean(vectors: Float[np.ndarray, "images features"], who: np.ndarray) -> Int[np.ndarray, " patients"]:
    """Return the position of one image of each patient, in the order of the images."""
    codes = np.unique(who, return_inverse=True)[1]
    by_patient = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    return np.sort([of_one[_nearest(vectors[of_one])] for of_one in by_patient])


def _nearest(vectors: Float[np.ndarray, "images features"]) -> int:
    return int(np.linalg.norm(vectors - vectors.mean(0), axis=1).round(6).argmin())


FEATURES = ("uncertainty", "typicality", "rarity", "coverage", "distance", "unchosen")
NEIGHBOURS = 20


class AcquisitionFeatures:
    """Acquisition features of every candidate, each as its rank in the pool from 0 to 1.

    ===========  ====================================================================================================
    uncertainty  how small the gap between the two most probable classes is
    typicality   mean similarity to the 20 most similar images of the pool
    rarity       how rare the predicted class is among the predictions for the pool
    coverage     how much nearer the pool comes to the chosen images if it is chosen (the objective of MaxHerding)
    distance     dissimilarity to the nearest chosen image; 0.5 while none is chosen
    unchosen     how rare the predicted class is among the predictions for the chosen; 0.5 while none is chosen
    ===========  ====================================================================================================

    Ranks are comparable between data sets; the scales of probabilities and distances are not.

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

    def __call__(self, chosen: Sequence[int] | Int[np.ndarray, " chosen"]) -> Float[np.ndarray, "images features"]:
        """Return the features in the order of `FEATURES`, given the chosen candidates; these have features too."""
        if len(chosen) == 0:
            even = np.full(len(self.pool), 0.5)
            return np.stack([*self._alone, shares(self.similarities.mean(1)), even, even], axis=1)
        nearest = self.similarities[:, chosen].max(1)
        gains = np.maximum(self.similarities - nearest, 0).mean(1)
        alike = self.pool.probabilities @ self.pool.probabilities[chosen].mean(0)
        return np.stack([*self._alone, shares(gains), shares(-nearest), shares(-alike)], axis=1)


def margins(probabilities: Float[np.ndarray, "images classes"]) -> Float[np.ndarray, " images"]:
    """Return the gap between the two most probable classes."""
    ordered = np.sort(probabilities, axis=1)
    return ordered[:, -1] - ordered[:, -2]


def shares(values: Float[np.ndarray, " images"]) -> Float[np.ndarray, " images"]:
    """Return the share of the others that have less, ties counted by half; 0.5 if there are no others.

    Values are rounded first, so that rounding errors count as ties.
    """
    rounded = values.round(9)
    return (rankdata(rounded) - 1) / (len(values) - 1) if len(values) > 1 else np.full(1, 0.5)
