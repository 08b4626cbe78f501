"""From what a support shows to later accuracy: a ridge regression on log odds, and the spread of its errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from medshot.selection.forecasting.signs import Signs

Values = int | float | np.ndarray

PENALTY = 3.0
SPREAD_PENALTY = 30.0
LEAST_ERROR = 0.05
EDGE = 0.02
"""Accuracies are kept that far from 0 and 1, where log odds have no end; what is beyond is not told apart."""


def over_chance(accuracy: Values, ways: Values) -> Values:
    """The log odds of an accuracy less those of guessing: 0 at chance, whatever the number of classes."""
    kept = np.clip(accuracy, EDGE, 1 - EDGE)
    return np.log(kept / (1 - kept)) + np.log(ways - 1)


def as_accuracy(log_odds: Values, ways: Values) -> Values:
    """The accuracy with these log odds over chance."""
    return 1 / (1 + (ways - 1) * np.exp(-log_odds))


def opened(low: float, high: float) -> tuple[float, float]:
    """The interval with an end beyond the edge moved to 0 or 1, since accuracies there are not told apart."""
    return (0.0 if low <= EDGE else low), (1.0 if high >= 1 - EDGE else high)


def described(supports: Sequence[Signs]) -> Float[np.ndarray, "supports predictors"]:
    """Predictors of later accuracy, the first of them constant; none of them depends on later labels.

    A few patients right or wrong move log odds by chance alone: accuracies in cross-validation are drawn towards
    guessing by as much as one more patient per class.
    """
    names = ("ways", "shots", "accuracy", "loss", "accuracy_of_half", "loss_of_half")
    ways, shots, accuracy, loss, of_half, loss_of_half = (
        np.array([getattr(support, name) for support in supports], dtype=np.float64) for name in names
    )
    whole, half = (over_chance((shots * value + 1 / ways) / (shots + 1), ways) for value in (accuracy, of_half))
    gained, gained_of_half = (np.clip(1 - value, -1, 1) for value in (loss, loss_of_half))
    log_shots = np.log(shots)
    columns = (
        whole,
        whole - half,
        gained,
        gained - gained_of_half,
        log_shots,
        np.log(ways),
        whole * log_shots,
        gained * log_shots,
        gained * np.log(ways),
    )
    return np.stack([np.ones_like(ways), *columns], axis=1)


@dataclass(frozen=True)
class Regression:
    """Later accuracy, as log odds over chance, and how far off it usually is.

    Args:
        mean: a coefficient for each predictor.
        spread: the same for the logarithm of the size of an error.
    """

    mean: Float[np.ndarray, " predictors"]
    spread: Float[np.ndarray, " predictors"]

    def __call__(
        self, predictors: Float[np.ndarray, "supports predictors"]
    ) -> tuple[Float[np.ndarray, " supports"], Float[np.ndarray, " supports"]]:
        """What is expected of each support, and the usual size of the error."""
        return predictors @ self.mean, np.exp(predictors @ self.spread)


def fit(
    predictors: Float[np.ndarray, "supports predictors"],
    outcomes: Float[np.ndarray, " supports"],
    weights: Float[np.ndarray, " supports"],
) -> Regression:
    """The ridge regression of outcomes, and one of the logarithm of the sizes of its errors."""
    mean = _ridge(predictors, outcomes, weights, PENALTY)
    sizes = np.log(np.abs(outcomes - predictors @ mean) + LEAST_ERROR)
    return Regression(mean, _ridge(predictors, sizes, weights, SPREAD_PENALTY))


def _ridge(predictors: np.ndarray, outcomes: np.ndarray, weights: np.ndarray, penalty: float) -> np.ndarray:
    """Coefficients on predictors in standard units; the first predictor is constant and its coefficient free."""
    shares = weights / weights.sum()
    centre = shares @ predictors
    centre[0] = 0.0
    deviations = np.sqrt(shares @ (predictors - centre) ** 2)
    scale = np.where(deviations > 0, deviations, 1.0)
    standard = (predictors - centre) / scale
    penalties = np.diag([0.0, *[penalty / len(outcomes)] * (predictors.shape[1] - 1)])
    solved = np.linalg.solve(standard.T @ (shares[:, None] * standard) + penalties, standard.T @ (shares * outcomes))
    coefficients = solved / scale
    coefficients[0] -= centre[1:] @ coefficients[1:]
    return coefficients
