"""The page on forecasts: how often their intervals hold on data sets that were left out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from document import replace_part
from random_tasks import machine

from medshot.selection.forecasting import (
    COVERAGE,
    MORE,
    Curve,
    Forecaster,
    as_accuracy,
    over_chance,
    quantile,
    widened_to_edges,
)

NOISE = ", noise"


def write_report(curves: Mapping[str, Sequence[Curve]], command: str, docs: Path) -> None:
    """Write the tables of docs/forecast.md.

    Args:
        curves: by the name of the set that gave them.
        command: what made them.
        docs: the folder of the documentation.
    """
    every = [curve for of_set in curves.values() for curve in of_set]
    without = {source: [c for c in every if c.source != source] for source in {c.source for c in every}}
    forecasters = {source: Forecaster(others) for source, others in without.items()}
    tested = {
        name: np.array([row for curve in of_set for row in judged(curve, forecasters, without)])
        for name, of_set in curves.items()
    }
    real = [name for name in tested if NOISE not in name]
    head = "| data set | supports | held | width | error | held, support ignored | width, support ignored |\n" + (
        "|---|---|---|---|---|---|---|"
    )
    lines = [head, *(_row(name, len(curves[name]), tested[name].mean(0)) for name in real)]
    lines.append(_row("**mean**", "", np.mean([tested[name].mean(0) for name in real], axis=0)))
    noise = [(curve, forecasters[curve.source]) for name in curves if NOISE in name for curve in curves[name]]
    text = [
        f"Written by `{command}`; {machine()} {len(every)} supports of {len(without)} sources.",
        "\n".join(lines),
        by_horizon([curve for name in real for curve in curves[name]], forecasters),
        of_noise(noise),
    ]
    replace_part(docs / "forecast.md", "numbers", "\n\n".join(text))


def judged(
    curve: Curve, forecasters: Mapping[str, Forecaster], without: Mapping[str, Sequence[Curve]]
) -> list[tuple[float, ...]]:
    """For each number of added patients: whether the interval held, its width, the error; and without the support."""
    rows = []
    for place, (expected, truth) in enumerate(
        zip(forecasters[curve.source](curve.features), curve.accuracies, strict=True)
    ):
        if truth is not None:
            low, high = ignoring_the_support(without[curve.source], place, curve.features.ways)
            rows.append(
                (
                    expected.low <= truth <= expected.high,
                    expected.high - expected.low,
                    abs(expected.accuracy - truth),
                    low <= truth <= high,
                    high - low,
                )
            )
    return rows


def ignoring_the_support(others: Sequence[Curve], place: int, ways: int) -> tuple[float, float]:
    """The interval of anyone who knows the number of classes and past tasks alone, every source counting alike."""
    known = [curve for curve in others if curve.accuracies[place] is not None]
    outcomes = over_chance(
        np.array([c.accuracies[place] for c in known], dtype=float),
        np.array([c.features.ways for c in known], dtype=float),
    )
    sources = [curve.source for curve in known]
    weights = np.array([1 / sources.count(source) for source in sources])
    tail = (1 - COVERAGE) / 2
    low, high = (as_accuracy(np.array(quantile(outcomes, weights, level)), ways) for level in (tail, 1 - tail))
    return widened_to_edges(float(low), float(high))


def by_horizon(curves: Sequence[Curve], forecasters: Mapping[str, Forecaster]) -> str:
    """How the intervals of real sets hold for each number of added patients."""
    lines = ["| patients per class added | held | width | error |", "|---|---|---|---|"]
    for place, more in enumerate(MORE):
        rows = []
        for curve in curves:
            truth = curve.accuracies[place]
            if truth is not None:
                expected = forecasters[curve.source](curve.features)[place]
                held = expected.low <= truth <= expected.high
                rows.append((held, expected.high - expected.low, abs(expected.accuracy - truth)))
        held, width, error = np.mean(rows, axis=0)
        lines.append(f"| {more} | {held:.0%} | {100 * width:.0f} | {100 * error:.1f} |")
    return "\n".join(lines)


def of_noise(noise: Sequence[tuple[Curve, Forecaster]]) -> str:
    """How often intervals hold chance where labels were dealt out anew."""
    held = [e.low <= 1 / curve.features.ways <= e.high for curve, of in noise for e in of(curve.features)]
    return f"Labels dealt out anew ({len(noise)} supports): {np.mean(held):.0%} of the intervals hold chance."


def _row(name: str, supports: int | str, values: np.ndarray) -> str:
    held, width, error, ignoring, ignoring_width = values
    cells = (
        f"{held:.0%}",
        f"{100 * width:.0f}",
        f"{100 * error:.1f}",
        f"{ignoring:.0%}",
        f"{100 * ignoring_width:.0f}",
    )
    return f"| {name} | {supports} | {' | '.join(cells)} |"
