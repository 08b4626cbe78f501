"""What is known of a candidate before anyone labels it: of the model, of the pool, of those chosen before it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import rankdata

from medshot.selection.labelling.pool import Pool

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
