"""Results of strategies of active learning: accuracies, differences to random, learned coefficients."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from benchmarks.common.results import metadata
from medshot.evaluation.intervals import Comparison, Replicates, comparison, difference, estimate, mean_over_tasks
from medshot.selection.active_learning import STRATEGIES
from medshot.selection.active_learning.pool import FEATURES

RANDOM, LEARNED = "random", "learned"


@dataclass(frozen=True)
class Measured:
    """Results on one data set.

    Args:
        gains: the coefficients of the learned strategy, learned from other sets.
        replicates: balanced accuracy by strategy and number of labels.
        evened: the same for probabilities that were moved to equally common classes.
    """

    gains: Float[np.ndarray, " quantities"]
    replicates: Mapping[tuple[str, int], Replicates]
    evened: Mapping[tuple[str, int], Replicates]


def numbers(
    measured: Mapping[str, Measured],
    gains: Float[np.ndarray, " quantities"],
    counts: Sequence[int],
    repeats: int,
    command: str,
) -> dict[str, Any]:
    """Return everything that the report needs, as JSON objects."""
    evened = {name: replace(found, replicates=found.evened) for name, found in measured.items()}
    every = np.stack([found.gains for found in measured.values()])
    return {
        "command": command,
        "machine": metadata(command).machine,
        "repeats": repeats,
        "learned": dict(zip(FEATURES, gains.tolist(), strict=True)),
        "least and most": {
            name: [float(column.min()), float(column.max())] for name, column in zip(FEATURES, every.T, strict=True)
        },
        "as fitted": _numbers(measured, counts),
        "equal prevalences": _numbers(evened, counts),
    }


def _numbers(measured: Mapping[str, Measured], counts: Sequence[int]) -> dict[str, Any]:
    tasks = {
        name: {
            f"{strategy}, {count} labels": asdict(estimate(found.replicates[strategy, count]))
            | {"to_random": asdict(_compared(found, strategy, count)) if strategy in STRATEGIES else None}
            for strategy, count in found.replicates
        }
        for name, found in measured.items()
    }
    means = {
        f"{name}, {count} labels, to {other}": asdict(_mean_comparison(measured, name, other, count))
        for count in counts
        for name in STRATEGIES
        for other in (RANDOM, LEARNED)
        if name != other
    }
    return {"tasks": tasks, "means": means}


def _compared(found: Measured, name: str, count: int) -> Comparison:
    return comparison(difference(found.replicates[name, count], found.replicates[RANDOM, count]))


def _mean_comparison(measured: Mapping[str, Measured], name: str, other: str, count: int) -> Comparison:
    pairs = [difference(each.replicates[name, count], each.replicates[other, count]) for each in measured.values()]
    return comparison(mean_over_tasks(pairs))
