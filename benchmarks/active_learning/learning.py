"""Learn the gain of a label in simulated labelling: from acquisition features to gains in balanced accuracy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import LinearRegression

from benchmarks.active_learning.tasks import labellings
from medshot.selection.active_learning.pool import FEATURES, AcquisitionFeatures
from medshot.selection.active_learning.strategies import choose_greedily
from medshot.tasks import Task

TRIED = 12
MOST_CHOSEN = 9


@dataclass(frozen=True)
class Experience:
    """Gains of labels in simulated states of one task, each relative to the mean of its state.

    Args:
        quantities: the acquisition features of every candidate that was tried.
        gains: in balanced accuracy, in points.
    """

    quantities: Float[np.ndarray, "candidates quantities"]
    gains: Float[np.ndarray, " candidates"]


def experience(task: Task, states: int, rng: np.random.Generator) -> Experience:
    """Return the gains of `TRIED` candidates, labelled one at a time, in each of `states` states.

    A state is an episode of the task with 0 to `MOST_CHOSEN` images labelled by a strategy with random coefficients, so
    that states are as varied as those that strategies lead to. Probabilities come from the model of the support, as
    they do when a whole batch is chosen at once.
    """
    quantities, gains = [], []
    for labelling in labellings(task, states, rng):
        pool = labelling.candidates()
        chosen, _ = choose_greedily(pool, rng.normal(size=len(FEATURES)), int(rng.integers(MOST_CHOSEN + 1)))
        tried = rng.choice(np.setdiff1d(np.arange(len(pool)), chosen), TRIED, replace=False)
        found = AcquisitionFeatures(pool)(chosen)[tried]
        after = 100 * np.array([labelling.score(np.append(chosen, candidate)) for candidate in tried])
        quantities.append(found - found.mean(0))
        gains.append(after - after.mean())
    return Experience(np.concatenate(quantities), np.concatenate(gains))


def learned(experiences: Mapping[str, Experience], names: Sequence[str]) -> Float[np.ndarray, " quantities"]:
    """Return coefficients by least squares over the states of these tasks, which have equally many."""
    rows = np.concatenate([experiences[name].quantities for name in names])
    gains = np.concatenate([experiences[name].gains for name in names])
    return LinearRegression(fit_intercept=False).fit(rows, gains).coef_
