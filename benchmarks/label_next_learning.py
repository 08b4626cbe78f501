"""Learning what a label brings: from what is known of candidates to gains in balanced accuracy, in simulation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from label_next_tasks import labellings
from sklearn.linear_model import LinearRegression

from medshot.selection.active_learning.pool import FEATURES, AcquisitionFeatures
from medshot.selection.active_learning.strategies import choose_greedily
from medshot.tasks import Task

TRIED = 12
MOST_CHOSEN = 9


@dataclass(frozen=True)
class Experience:
    """What labelling brought in simulated states of one task, each about the mean of its state.

    Args:
        quantities: of every candidate that was tried.
        gains: in balanced accuracy, in points.
    """

    quantities: Float[np.ndarray, "candidates quantities"]
    gains: Float[np.ndarray, " candidates"]


def experience(task: Task, states: int, rng: np.random.Generator) -> Experience:
    """Label `TRIED` candidates in turn in each of so many states and see what each brings.

    A state is a draw of the task with 0 to `MOST_CHOSEN` images labelled by a strategy of the learned kind with random
    coefficients, so that states are as varied as what strategies may lead to. The model whose probabilities are looked
    at is that of the support, as when a whole batch is chosen at once.
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
    """Least squares over the states of these tasks, each with the same number of them."""
    rows = np.concatenate([experiences[name].quantities for name in names])
    gains = np.concatenate([experiences[name].gains for name in names])
    return LinearRegression(fit_intercept=False).fit(rows, gains).coef_
