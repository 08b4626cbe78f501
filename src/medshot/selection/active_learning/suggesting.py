"""From a model and images without labels to a ranking with reasons."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from medshot.errors import InputError
from medshot.learners import FewShotClassifier
from medshot.selection.active_learning.pool import QUANTITIES, Images, Pool, Quantities, pool_of
from medshot.selection.active_learning.strategies import DEFAULT, STRATEGIES, shipped

PLAIN = {
    "clue": "stands for a group of alike images on which the model is unsure: {first} or {second}",
    "typical": "the most typical of a group of alike images",
    "coverage": "stands for many images of the folder that none above it stands for",
    "random": "drawn at random",
}
UNSURE = "the model hardly tells {first} ({p:.0%}) from {second} ({q:.0%}) here"
MORE = {
    "uncertainty": UNSURE,
    "typicality": "typical of many images of the folder",
    "rarity": "probably {first}, which is rare in the folder",
    "coverage": "stands for many images of the folder that none above it stands for",
    "distance": "unlike every image above it",
    "unchosen": "probably {first}, of which few stand above it",
}
LESS = {
    "uncertainty": "a clear case of {first} to the model",
    "typicality": "unlike most images of the folder",
    "rarity": "probably {first}, which is common in the folder",
    "coverage": "one of a kind that few images of the folder are of",
    "distance": "resembles an image above it",
    "unchosen": "probably {first}, as several above it",
}
"""Where a quantity speaks for an image by being great, and by being small."""


def reasons(strategy: str, pool: Pool, classes: Sequence[str], chosen: Int[np.ndarray, " count"]) -> list[str]:
    """One clause for each chosen image.

    Args:
        strategy: that chose.
        pool: it chose from.
        classes: their names.
        chosen: their places in the pool, the first first.
    """
    if strategy == "learned":
        quantities, gains = Quantities(pool), shipped().vector
        clauses = [_of_learned(quantities(chosen[:rank])[place] - 0.5, gains) for rank, place in enumerate(chosen)]
    else:
        clauses = [PLAIN.get(strategy, UNSURE)] * len(chosen)
    return [
        clause.format(**_most_probable(pool.probabilities[place], classes))
        for clause, place in zip(clauses, chosen, strict=True)
    ]


def _of_learned(above_even: Float[np.ndarray, " quantities"], gains: Float[np.ndarray, " quantities"]) -> str:
    """The clause of the quantity that adds most to the expected gain."""
    added = above_even * gains
    best = int(added.argmax())
    if added[best] <= 0:
        return "the best of those that are left"
    return (MORE if above_even[best] > 0 else LESS)[QUANTITIES[best]]


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
        row: which of the images it is.
        score: how much the strategy is for it; comparable within one strategy and pool only.
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
) -> list[Suggestion]:
    """The images to label next, the first first: at most one of each patient, and all patients where they are fewer.

    Args:
        classifier: the model.
        images: without labels.
        patients: the patient of each image; copies and images with one DICOM PatientID are of one patient where they
            are left out, and every other image is its own.
        strategy: a key of `STRATEGIES`.
        count: how many, 1 or more.
        seed: decides what the strategy draws at random.

    Raises:
        InputError: there is no such strategy, `count` is below 1, an image cannot be read, or the model does not take
            such images.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"strategy is '{strategy}', but must be one of: {', '.join(STRATEGIES)}.")
    if count < 1:
        raise InputError(f"count is {count}, but must be 1 or more.")
    pool, rows = pool_of(classifier, images, patients, seed)
    chosen, scores = STRATEGIES[strategy].choose(pool, min(count, len(pool)), seed)
    said = reasons(strategy, pool, [str(name) for name in classifier.classes_], chosen)
    return [
        Suggestion(int(rows[place]), float(score), reason)
        for place, score, reason in zip(chosen, scores, said, strict=True)
    ]
