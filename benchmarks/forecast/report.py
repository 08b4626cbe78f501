"""The tables of docs/forecast.md: how often intervals of forecasts hold on data sets that were left out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.arguments import Places
from benchmarks.common.pages import replace_part
from benchmarks.common.results import load
from benchmarks.common.tables import markdown, table
from medshot.selection.forecasting import (
    COVERAGE,
    MORE,
    Curve,
    Forecaster,
    as_accuracy,
    over_chance,
    quantile,
    read_curves,
    widened_to_edges,
)

NOISE = ", noise"
HEADER = ("data set", "supports", "held", "width", "error", "held, support ignored", "width, support ignored")


def write_report(places: Places, store: Path) -> None:
    """Write the tables of docs/forecast.md from the curves in `store`."""
    made, every = load(places, "forecast"), read_curves(store)
    without = {source: [c for c in every if c.source != source] for source in {c.source for c in every}}
    forecasters = {source: Forecaster(others) for source, others in without.items()}
    curves: dict[str, list[Curve]] = {}
    for curve in every:
        if NOISE not in curve.task:
            curves.setdefault(curve.task.partition(" (")[0], []).append(curve)  # the classes follow in the name
    real = list(curves)
    tested = {
        name: np.array([row for curve in curves[name] for row in judged(curve, forecasters, without)]).mean(0)
        for name in real
    }
    rows = [[name, str(len(curves[name])), *_cells(tested[name])] for name in real]
    rows.append(["**mean**", "", *_cells(np.mean(list(tested.values()), axis=0))])
    noise = [(curve, forecasters[curve.source]) for curve in every if NOISE in curve.task]
    text = [
        f"Written by `{made['command']}`; {made['machine']} {len(every)} supports of {len(without)} sources.",
        markdown(table(HEADER, rows)),
        by_horizon([curve for name in real for curve in curves[name]], forecasters),
        of_noise(noise),
    ]
    replace_part(places.docs / "forecast.md", "numbers", "\n\n".join(text))


def judged(
    curve: Curve, forecasters: Mapping[str, Forecaster], without: Mapping[str, Sequence[Curve]]
) -> list[tuple[float, ...]]:
    """Return for each number of added patients whether the interval held, its width, the error; and without support."""
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
    """Return the interval from the number of classes and past tasks alone, with equal weight of all sources."""
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
    """Return how the intervals of real sets hold for each number of added patients."""
    found = []
    for place, more in enumerate(MORE):
        rows = []
        for curve in curves:
            truth = curve.accuracies[place]
            if truth is not None:
                expected = forecasters[curve.source](curve.features)[place]
                held = expected.low <= truth <= expected.high
                rows.append((held, expected.high - expected.low, abs(expected.accuracy - truth)))
        held, width, error = np.mean(rows, axis=0)
        found.append([f"{more}", f"{held:.0%}", f"{100 * width:.0f}", f"{100 * error:.1f}"])
    return markdown(table(["patients per class added", "held", "width", "error"], found))


def of_noise(noise: Sequence[tuple[Curve, Forecaster]]) -> str:
    """Return how often intervals hold chance if labels were permuted."""
    held = [e.low <= 1 / curve.features.ways <= e.high for curve, of in noise for e in of(curve.features)]
    return f"Labels permuted ({len(noise)} supports): {np.mean(held):.0%} of the intervals hold chance."


def _cells(values: np.ndarray) -> list[str]:
    """Return the cells of a row; errors have a decimal."""
    held, width, error, ignoring, ignoring_width = values
    hundreds = (f"{100 * width:.0f}", f"{100 * error:.1f}", f"{ignoring:.0%}", f"{100 * ignoring_width:.0f}")
    return [f"{held:.0%}", *hundreds]
