"""The page on which image to label next, from what was measured."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from document import rounded
from jaxtyping import Float

from medshot.evaluation.intervals import Comparison, Replicates, comparison, difference, estimate, mean_over_tasks
from medshot.reporting.wording import percent, points, write_difference, write_interval
from medshot.selection.active_learning import STRATEGIES
from medshot.selection.active_learning.pool import FEATURES
from medshot.storage import write_json

RANDOM, LEARNED = "random", "learned"
EVENED = """What is labelled next is rarely balanced, and a model fitted to it leans to the more frequent classes, which
balanced accuracy holds against it. Here its probabilities are moved to equally common classes, as `--prevalence` does.
"""


@dataclass(frozen=True)
class Measured:
    """What was found on one data set.

    Args:
        gains: the coefficients of the learned strategy, learned from other sets.
        replicates: balanced accuracy by strategy and number of labels.
        evened: the same of probabilities that were moved to equally common classes.
    """

    gains: Float[np.ndarray, " quantities"]
    replicates: Mapping[tuple[str, int], Replicates]
    evened: Mapping[tuple[str, int], Replicates]


def page(
    measured: Mapping[str, Measured],
    gains: Float[np.ndarray, " quantities"],
    counts: Sequence[int],
    command: str,
    repeats: int,
) -> str:
    """The measured part of docs/next.md."""
    most = max(counts)
    evened = {name: replace(found, replicates=found.evened) for name, found in measured.items()}
    return "\n\n".join(
        [
            _preface(command, len(measured), repeats),
            "### Mean over data sets\n\n" + _means(measured, counts),
            f"### The same with equal prevalences\n\n{EVENED}\n" + _means(evened, counts),
            f"### Each data set, {most} labels more\n\n" + _sets(measured, most),
            "### What was learned\n\n" + _learned(measured, gains),
        ]
    )


def write_numbers(
    path: Path,
    measured: Mapping[str, Measured],
    gains: Float[np.ndarray, " quantities"],
    counts: Sequence[int],
    command: str,
) -> None:
    """All of it as JSON."""
    numbers: dict[str, Any] = {
        "command": command,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "learned": dict(zip(FEATURES, gains.tolist(), strict=True)),
        "as fitted": _numbers(measured, counts),
        "equal prevalences": _numbers(
            {name: replace(found, replicates=found.evened) for name, found in measured.items()}, counts
        ),
    }
    write_json(path, rounded(numbers))


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


def _preface(command: str, sets: int, repeats: int) -> str:
    return f"""Written by `{command}`; do not edit.

{sets} data sets, {repeats} draws each: 2 labelled patients per class, a pool of one image from each of up to 200
others, up to 300 images of yet others to score on. A strategy chooses 10 images of the pool at once; balanced accuracy
is that of logistic regression on EfficientNet-Lite0 features fitted to the support and the first 5 or all 10 of them.
The learned strategy was learned from other data sets than the one it is scored on (sets that share images are left out
together). Intervals are 95 % bootstrap of patients crossed with draws and, in means, of data sets; differences are
paired, on the same draws."""


def _means(measured: Mapping[str, Measured], counts: Sequence[int]) -> str:
    header = ["strategy", *(text for count in counts for text in (f"{count} more, %", "minus random, points"))]
    lines = [_line(header), _line(["---"] + ["--:"] * (len(header) - 1))]
    none = [found.replicates["none", 0].value for found in measured.values()]
    lines.append(_line(["none labelled", percent(float(np.mean(none))), *[""] * (len(header) - 2)]))
    for name in STRATEGIES:
        cells = [f"`{name}`"]
        for count in counts:
            value = np.mean([found.replicates[name, count].value for found in measured.values()])
            cells.append(percent(float(value)))
            cells.append("" if name == RANDOM else write_difference(_mean_comparison(measured, name, RANDOM, count)))
        lines.append(_line(cells))
    most = max(counts)
    against = [
        f"to `{name}` {points(found.value)} ({write_interval(found.new_patients, points)})"
        for name in STRATEGIES
        if name not in (LEARNED, RANDOM)
        for found in [_mean_comparison(measured, LEARNED, name, most)]
    ]
    return "\n".join(lines) + f"\n\n`learned` with {most} labels, points: {'; '.join(against)}."


def _sets(measured: Mapping[str, Measured], count: int) -> str:
    others = [name for name in STRATEGIES if name != RANDOM]
    header = ["data set", "none labelled, %", "random, %", *(f"`{name}` minus random" for name in others)]
    lines = [_line(header), _line(["---"] + ["--:"] * (len(header) - 1))]
    for name, found in measured.items():
        cells = [name, percent(found.replicates["none", 0].value), percent(found.replicates[RANDOM, count].value)]
        lines.append(_line(cells + [_short(_compared(found, other, count)) for other in others]))
    return "\n".join(lines)


def _learned(measured: Mapping[str, Measured], gains: Float[np.ndarray, " quantities"]) -> str:
    header = ["quantity", "points, all sets", "least and most when a set is left out"]
    lines = [_line(header), _line(["---", "--:", "--:"])]
    every = np.stack([found.gains for found in measured.values()])
    for name, gain, column in zip(FEATURES, gains, every.T, strict=True):
        lines.append(_line([name, f"{gain:+.2f}", f"{column.min():+.2f} to {column.max():+.2f}"]))
    return (
        "Points of balanced accuracy that one label brings more where the quantity is greatest in the pool than where "
        "it is least, all else equal; the numbers that come with medshot.\n\n" + "\n".join(lines)
    )


def _compared(found: Measured, name: str, count: int) -> Comparison:
    return comparison(difference(found.replicates[name, count], found.replicates[RANDOM, count]))


def _mean_comparison(measured: Mapping[str, Measured], name: str, other: str, count: int) -> Comparison:
    pairs = [difference(each.replicates[name, count], each.replicates[other, count]) for each in measured.values()]
    return comparison(mean_over_tasks(pairs))


def _short(found: Comparison) -> str:
    sign = {"better": " ▲", "worse": " ▼", "undecided": ""}[found.verdict]
    return f"{points(found.value)} ({write_interval(found.new_patients, points)}){sign}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
