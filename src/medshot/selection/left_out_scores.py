"""Words for the scores of patients that were left out in cross-validation."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

LISTED = 10
DRAWS = 20_000
LEVEL = 0.95


def balanced_accuracy(right: Float[np.ndarray, " classes"], judged: Float[np.ndarray, " classes"]) -> float:
    """Return the share of the patients of a class that were right, averaged over the classes that have patients."""
    there = judged > 0
    return float((right[there] / judged[there]).mean())


def interval(right: Float[np.ndarray, " classes"], judged: Float[np.ndarray, " classes"]) -> tuple[float, float]:
    """Return a 95 % interval of the balanced accuracy among new patients.

    The share of each class has a Beta(right + 1/2, wrong + 1/2) distribution, which is Jeffreys' (Brown, Cai &
    DasGupta, Statistical Science 2001); their mean is sampled.
    """
    there = judged > 0
    shares = np.random.default_rng(0).beta(
        right[there] + 0.5, judged[there] - right[there] + 0.5, (DRAWS, int(there.sum()))
    )
    low, high = np.quantile(shares.mean(1), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def describe_left_out(
    right: Float[np.ndarray, " classes"], judged: Float[np.ndarray, " classes"], classes: Sequence[str] = ()
) -> str:
    """Return a clause on the patients that were left out: balanced accuracy with its interval, and each class.

    Args:
        right: for each class, the number of patients that were right.
        judged: for each class, the number of patients.
        classes: the names of the classes; they are numbered if left out.
    """
    low, high = interval(right, judged)
    names = list(classes) or [f"class {number}" for number in range(len(judged))]
    order = [number for number in range(len(judged)) if judged[number]]
    if len(order) > LISTED:  # the worst are what a user has to see
        order = sorted(order, key=lambda number: (right[number] / judged[number], number))[:LISTED]
    each = ", ".join(f"{names[number]} {right[number]:.0f} of {judged[number]:.0f}" for number in order)
    lowest = f"; the lowest {LISTED}" if len(order) < int((judged > 0).sum()) else ""
    return (
        f"patients were classified when they were left out with a balanced accuracy of "
        f"{balanced_accuracy(right, judged):.0%} (95 % interval {low:.0%} to {high:.0%}{lowest}: {each})"
    )
