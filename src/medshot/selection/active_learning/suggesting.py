"""Suggest which images to label next, with a reason for each."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from medshot.errors import InputError, closest
from medshot.learners import FewShotClassifier
from medshot.selection.active_learning.pool import FEATURES, AcquisitionFeatures, Images, Pool, pool_of
from medshot.selection.active_learning.strategies import DEFAULT, STRATEGIES, shipped

PLAIN = {
    "clue": "represents {n} similar images about which the model is unsure: {first} or {second}",
    "typical": "the most typical of {n} similar images; probably {first} ({p:.0%})",
    "coverage": "represents {n} images of the folder; probably {first} ({p:.0%})",
    "random": "drawn at random",
}
ALONE = "no image resembles it more than the others listed; probably {first} ({p:.0%})"
"""The reason if an image represents itself only."""
UNSURE = "the model is unsure between {first} ({p:.0%}) and {second} ({q:.0%})"
MORE = {
    "uncertainty": UNSURE,
    "typicality": "typical of many images of the folder",
    "rarity": "probably {first}, which is rare in the folder",
    "coverage": "represents many images of the folder that none above it represents",
    "distance": "unlike every image above it",
    "unchosen": "probably {first}, and few of that class are above it",
}
LESS = {
    "uncertainty": "a clear case of {first} for the model",
    "typicality": "unlike most images of the folder",
    "rarity": "probably {first}, which is common in the folder",
    "coverage": "few images of the folder resemble it",
    "distance": "resembles an image above it",
    "unchosen": "probably {first}, like several above it",
}
"""The reason if a high (`MORE`) or a low (`LESS`) value of a feature raises the expected gain."""


def reasons(strategy: str, pool: Pool, classes: Sequence[str], chosen: Int[np.ndarray, " count"]) -> list[str]:
    """Return one clause for each chosen image.

    Args:
        strategy: the strategy that chose them.
        pool: the pool.
        classes: names of the classes.
        chosen: positions in the pool, best first.
    """
    if strategy == "learned":
        features, gains = AcquisitionFeatures(pool), shipped().vector
        clauses = [_learned_reason(features(chosen[:rank])[place] - 0.5, gains) for rank, place in enumerate(chosen)]
    else:
        clauses = [PLAIN.get(strategy, UNSURE)] * len(chosen)
    return [
        (ALONE if size == 1 and "{n}" in clause else clause).format(
            n=size, **_most_probable(pool.probabilities[place], classes)
        )
        for clause, place, size in zip(clauses, chosen, _group_sizes(pool, chosen), strict=True)
    ]


def _group_sizes(pool: Pool, chosen: Int[np.ndarray, " count"]) -> list[int]:
    """Return for each chosen image the number of images to which no other chosen image is more similar."""
    nearest = (pool.features @ pool.features[chosen].T).argmax(1)
    nearest[chosen] = np.arange(len(chosen))
    return np.bincount(nearest, minlength=len(chosen)).tolist()


def _learned_reason(above_even: Float[np.ndarray, " features"], gains: Float[np.ndarray, " features"]) -> str:
    """Return the clause of the feature that adds most to the expected gain."""
    added = above_even * gains
    best = int(added.argmax())
    if added[best] <= 0:
        return "the best of the remaining images"
    return (MORE if above_even[best] > 0 else LESS)[FEATURES[best]]


def _most_probable(probabilities: Float[np.ndarray, " classes"], classes: Sequence[str]) -> dict[str, str | float]:
    first, second = np.argsort(-probabilities, kind="stable")[:2]
    return {
        "first": classes[first],
        "second": classes[second],
        "p": float(probabilities[first]),
        "q": float(probabilities[second]),
    }


@dataclass(frozen=True)
class Suggestion:
    """An image to label.

    Args:
        row: its row among the images.
        score: of the strategy; comparable within one strategy and pool only.
        reason: one clause for people.
    """

    row: int
    score: float
    reason: str


def suggest(
    classifier: FewShotClassifier,
    images: Images,
    patients: Sequence[str] | np.ndarray | None = None,
    *,
    strategy: str = DEFAULT,
    count: int = 10,
    seed: int = 0,
    labelled: Collection[str] = (),
) -> list[Suggestion]:
    """Return the images to label next, best first, at most one of each patient.

    Patients with an image that the model was fitted on, or that is labelled, are left out.

    Args:
        classifier: the model.
        images: unlabelled images.
        patients: the patient of each image. By default, copies and images with the same DICOM PatientID have the same
            patient, and every other image has a patient of its own.
        strategy: a key of `STRATEGIES`.
        count: how many, 1 or more; all patients if there are fewer.
        seed: of the random draws of the strategy.
        labelled: content hashes of more images that have labels.

    Raises:
        InputError: the strategy does not exist, `count` is below 1, an image cannot be read, or the model does not
            accept such images.
    """
    if strategy not in STRATEGIES:
        names = ", ".join(STRATEGIES)
        raise InputError(f"strategy is '{strategy}', but must be one of {names}.{closest(strategy, STRATEGIES)}")
    if count < 1:
        raise InputError(f"count is {count}, but must be 1 or more.")
    pool, rows = pool_of(classifier, images, patients, seed, {*classifier.support_, *labelled})
    chosen, scores = STRATEGIES[strategy].choose(pool, min(count, len(pool)), seed)
    clauses = reasons(strategy, pool, [str(name) for name in classifier.classes_], chosen)
    return [
        Suggestion(int(rows[place]), float(score), reason)
        for place, score, reason in zip(chosen, scores, clauses, strict=True)
    ]
