"""Results on left-out data sets, measured from the cells: scores, regret, ablation of the encoder, labels saved."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from benchmarks.common.arguments import Places
from benchmarks.common.cells import measure_cells
from benchmarks.common.pictures import drawn_lines
from benchmarks.common.results import metadata, save
from benchmarks.common.tables import Table, mean_accuracy, mean_of, means_table, score_table, table, written
from benchmarks.left_out.columns import AUTO, BASELINE, ECG, WHOLE_PAGES, Setting
from medshot.evaluation import Results
from medshot.evaluation.results import Measurement, collect
from medshot.reporting.wording import percent, points

SHOTS = (1, 5, 10)
CURVE = (1, 2, 3, 5, 10, 15, 20, 30, 40)
HINDSIGHT = "best candidate in hindsight"
NOTE = "the encoder 'medical' and all that was learned across tasks never saw the fold that is scored"


class Measuring:
    """Measures columns on data sets.

    Args:
        setting: with the folders of the cells.
        jobs: processes.
        command: the command that made the cells.
    """

    def __init__(self, setting: Setting, jobs: int, command: str) -> None:
        self.setting, self.jobs, self.command = setting, jobs, command

    def results(self, work: Sequence[tuple[str, int, Mapping[str, str]]], baseline: str) -> Results:
        """Return the scores of columns: for each data set and number of shots, the column of each name."""
        measured: list[list[Measurement]] = Parallel(self.jobs)(
            delayed(measure_cells)(
                {name: self.setting.cell(column, task, shots) for name, column in columns.items()},
                task=task,
                shots=shots,
                baseline=baseline,
            )
            for task, shots, columns in work
        )
        about = metadata(self.command, NOTE)
        return collect([each for group in measured for each in group], baseline=baseline, metadata=about)

    def columns(self, names: Sequence[str], columns: Sequence[str], baseline: str) -> Results:
        """Return the scores of the same columns on all these data sets."""
        same = {column: column for column in columns}
        return self.results([(name, shots, same) for name in names for shots in SHOTS], baseline)


def save_results(
    setting: Setting,
    columns: Sequence[str],
    candidates: Sequence[str],
    ablated: Sequence[str],
    places: Places,
    jobs: int,
    command: str,
) -> None:
    """Measure all cells and save scores and tables.

    Args:
        setting: with the folders of the cells.
        columns: that were scored on all data sets.
        candidates: those between which `auto` chose.
        ablated: columns of encoders trained in other ways.
        places: folders to write to.
        jobs: processes.
        command: that made the cells.
    """
    measuring = Measuring(setting, jobs, command)
    names = [name for of_fold in setting.folds.values() for name in of_fold]
    results = measuring.columns(names, columns, BASELINE)
    best = max(
        (name for name in columns if not name.startswith("auto")), key=lambda name: mean_accuracy(results, name, 5)
    )
    against = measuring.columns(names, [best, AUTO], best)
    of_fold = setting.folds[setting.ablated]
    trainings = measuring.columns(of_fold, ["logistic, lite0", *ablated, "logistic, medical"], "logistic, lite0")
    needed = {name: labels_saved(measuring, results, name) for name in names}
    draw_saved(needed, places.docs / "images" / "labels-saved.svg")
    pages = measuring.columns([ECG], [BASELINE, AUTO, WHOLE_PAGES], BASELINE).rows if ECG in names else []
    save(places, "left-out", results.to_json())
    tables = {
        "verdict": verdicts(results, against, best),
        "regret": regret(measuring, results, candidates),
        "ablation": means_table(trainings, 5, verdicts_at=5, first="Learner, features"),
        "ablated": list(of_fold),
        "pages": score_table(pages),
        "saved": saved_table(needed, results),
    }
    save(places, "left-out-tables", tables)


def verdicts(results: Results, against: Results, best: str) -> Table:
    """Return the differences of `auto` to the baseline and to the best fixed column."""
    rows = []
    for shots in SHOTS:
        row, other = mean_of(results, AUTO, shots), mean_of(against, AUTO, shots)
        of_auto = [each for each in results.rows if each.learner == AUTO and each.shots == shots]
        counts = Counter(each.difference.verdict for each in of_auto if each.difference)
        cells = [f"{counts['better']}", f"{counts['worse']}", f"{sum(counts.values())}"]
        rows.append([f"{shots}", written(row.difference, points), *cells, written(other.difference, points)])
    header = ["per class", "to the baseline, points", "better on", "worse on", "data sets"]
    return table([*header, f"to the best fixed column at 5 per class in hindsight ({best}), points"], rows)


def regret(measuring: Measuring, results: Results, candidates: Sequence[str]) -> Table:
    """Return how far each is from the best candidate of each data set in hindsight, mean over data sets."""
    names = list(dict.fromkeys(row.task for row in results.rows))
    best = {
        (name, shots): max(candidates, key=lambda each: accuracy_in(results, each, name, shots))
        for name in names
        for shots in SHOTS
    }
    rows = []
    for column in [AUTO, *candidates]:
        work = [(name, shots, {HINDSIGHT: best[name, shots], column: column}) for name, shots in best]
        found = measuring.results(work, HINDSIGHT)
        rows.append([column, *(written(mean_of(found, column, shots).difference, points) for shots in SHOTS)])
    return table(["", *(f"{shots} per class" for shots in SHOTS)], rows)


def labels_saved(measuring: Measuring, results: Results, name: str) -> tuple[float, float, float]:
    """Return the labels per class at which the baseline has what `auto` has at 5, and for the interval of its lead."""
    shots = [number for number in CURVE if measuring.setting.cell(BASELINE, name, number).exists()]
    accuracies = []
    for number in shots:
        cell = {BASELINE: measuring.setting.cell(BASELINE, name, number)}
        (measurement,) = measure_cells(cell, task=name, shots=number, baseline=BASELINE)
        estimate = measurement.score.balanced_accuracy
        accuracies.append(estimate.value if estimate else np.nan)
    lead = next(row for row in results.rows if (row.learner, row.task, row.shots) == (AUTO, name, 5)).difference
    assert lead is not None
    own = accuracy_in(results, BASELINE, name, 5)
    low, high = lead.new_patients
    value, least, most = (labels_needed(shots, accuracies, own + each) for each in (lead.value, low, high))
    return value, least, most


def labels_needed(shots: Sequence[int], accuracies: Sequence[float], wanted: float) -> float:
    """Return the labels per class at which a learning curve first reaches `wanted`, interpolated on a log scale.

    The result is infinite if the curve does not reach it.
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
    """Return the balanced accuracy of one column on one data set."""
    row = next(row for row in results.rows if (row.learner, row.task, row.shots) == (column, name, shots))
    return row.balanced_accuracy.value if row.balanced_accuracy else 0.0


def saved_table(needed: Mapping[str, tuple[float, float, float]], results: Results) -> Table:
    """Return the labels that each data set needs."""
    rows = []
    for name, numbers in needed.items():
        value, low, high = (f"{number:.0f}" if np.isfinite(number) else "not reached" for number in numbers)
        rows.append([name, percent(accuracy_in(results, AUTO, name, 5)), f"{value} ({low} to {high})"])
    return table(["Data set", "`auto` at 5, %", "labels needed"], rows)


def draw_saved(needed: Mapping[str, tuple[float, float, float]], path: Path) -> None:
    """Draw the labels that each data set needs."""
    largest = CURVE[-1]
    beyond = largest * 1.25
    order = sorted(needed, key=lambda name: needed[name])
    with drawn_lines(path, order, margin=0.9, spacing=0.28) as axes:
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
        axes.set_xlabel("labels per class that logistic regression needs to reach auto at 5 (line)")
