"""How many labels `auto` saves: what logistic regression needs to reach what it has at five per class."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from cells import read_cell
from learner_table_report import line
from left_out_columns import AUTO, BASELINE
from matplotlib.figure import Figure

from medshot.evaluation import Results
from medshot.evaluation.results import measure
from medshot.reporting.wording import percent

CURVE = (1, 2, 3, 5, 10, 15, 20, 30, 40)
Place = Callable[[str, str, int], Path]


def labels_saved(place: Place, results: Results, name: str) -> tuple[float, float, float]:
    """Labels per class at which logistic regression has what `auto` has at 5, and for the interval of its lead."""
    shots, accuracies = _curve(place, name)
    lead = next(row for row in results.rows if (row.learner, row.task, row.shots) == (AUTO, name, 5)).difference
    assert lead is not None
    own = accuracy_in(results, BASELINE, name, 5)
    low, high = lead.new_patients
    value, least, most = (labels_needed(shots, accuracies, own + each) for each in (lead.value, low, high))
    return value, least, most


def _curve(place: Place, name: str) -> tuple[list[int], list[float]]:
    shots = [number for number in CURVE if place(BASELINE, name, number).exists()]
    found = []
    for number in shots:
        predictions, _ = read_cell(place(BASELINE, name, number))
        (measurement,) = measure({BASELINE: predictions}, task=name, shots=number, baseline=BASELINE)
        estimate = measurement.score.balanced_accuracy
        found.append(estimate.value if estimate else np.nan)
    return shots, found


def saved_table(needed: Mapping[str, tuple[float, float, float]], results: Results) -> str:
    """What `labels_saved` found of every data set, as Markdown."""
    lines = [
        "Labels per class that logistic regression on Lite0's last features needs to reach what `auto` has at 5; in "
        "brackets for the ends of the interval (new patients) of what `auto` is ahead by at 5. Its learning curve "
        "itself is of 50 or 100 episodes a point and has no interval here.\n",
        "![Labels per class that logistic regression needs for what auto has at 5](images/labels-saved.svg)\n",
        line(["Data set", "`auto` at 5, %", "labels needed"]),
        line(["---", "--:", "--:"]),
    ]
    for name, numbers in needed.items():
        value, low, high = (f"{number:.0f}" if np.isfinite(number) else "not reached" for number in numbers)
        lines.append(line([name, percent(accuracy_in(results, AUTO, name, 5)), f"{value} ({low} to {high})"]))
    return "\n".join(lines)


def draw_saved(needed: Mapping[str, tuple[float, float, float]], path: Path) -> None:
    """The same as a picture."""
    largest = CURVE[-1]
    beyond = largest * 1.25
    order = sorted(needed, key=lambda name: needed[name])
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "medshot", "font.size": 9}):
        figure = Figure(figsize=(7.2, 0.9 + 0.28 * len(order)), layout="constrained")
        axes = figure.subplots()
        for height, name in enumerate(order):
            value, low, high = np.minimum(needed[name], beyond)
            reached = value < beyond
            axes.plot([low, high], [height] * 2, color="#0072B2", linewidth=6, alpha=0.25, solid_capstyle="butt")
            axes.plot([5, value], [height] * 2, color="#0072B2", linewidth=2, linestyle="-" if reached else ":")
            axes.plot(value, height, "o" if reached else ">", color="#0072B2", markersize=6)
            text = f"{value:.0f}" if reached else f"not reached by {largest} or all there are"
            axes.annotate(text, (1.02, height), xycoords=("axes fraction", "data"), va="center", fontsize=8)
        axes.axvline(5, color="#26323b", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_xticks([1, 2, 5, 10, 20, 40], ["1", "2", "5", "10", "20", "40"])
        axes.minorticks_off()
        axes.set_yticks(range(len(order)), order)
        axes.set_xlabel("labels per class that logistic regression needs to reach auto at 5 (line)")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="x", color="#d5dbe0", linewidth=0.7)
        axes.set_axisbelow(True)
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def labels_needed(shots: Sequence[int], accuracies: Sequence[float], wanted: float) -> float:
    """Labels per class at which a learning curve first reaches what is wanted, by a line between the two numbers of
    labels around it; infinite where it does not within the curve.
    """
    for number in range(len(shots)):
        if accuracies[number] >= wanted:
            if number == 0:
                return float(shots[0])
            low, high = np.log(shots[number - 1]), np.log(shots[number])
            share = (wanted - accuracies[number - 1]) / (accuracies[number] - accuracies[number - 1])
            return float(np.exp(low + share * (high - low)))
    return np.inf


def accuracy_in(results: Results, column: str, name: str, shots: int) -> float:
    """Balanced accuracy of one column on one data set."""
    row = next(row for row in results.rows if (row.learner, row.task, row.shots) == (column, name, shots))
    return row.balanced_accuracy.value if row.balanced_accuracy else 0.0
