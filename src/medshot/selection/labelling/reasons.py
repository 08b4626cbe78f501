"""Why an image is suggested, in one clause."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from medshot.selection.labelling.learned import shipped
from medshot.selection.labelling.pool import Pool
from medshot.selection.labelling.quantities import QUANTITIES, Quantities

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
