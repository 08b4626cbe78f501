"""The tables of benchmarks/left_out.py in docs/results.md, and the picture of the labels that are saved."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
from cells import read_cell
from document import replace_part, rounded
from joblib import Parallel, delayed
from learner_table_report import both, line, metadata, score_table, written
from matplotlib.figure import Figure

from medshot.evaluation import Results
from medshot.evaluation.results import Measurement, collect, measure
from medshot.reporting.wording import percent, points
from medshot.storage import write_json

ROOT = Path(__file__).resolve().parents[1]
PART = "left out"
SHOTS = (1, 5, 10)
CURVE = (1, 2, 3, 5, 10, 15, 20, 30, 40)
BASELINE, AUTO = "logistic, last features", "auto, lite0+medical"
HINDSIGHT = "best candidate in hindsight"
WHOLE_PAGES, ECG = "auto, lite0+medical, whole pages", "ecg_12lead_images"

Place = Callable[[str, str, int], Path]


def write_report(
    place: Place,
    *,
    columns: Sequence[str],
    candidates: Sequence[str],
    ablated: Sequence[str],
    ablated_names: Sequence[str],
    names: Sequence[str],
    jobs: int,
    command: str,
) -> None:
    """Measure all cells and write tables, picture and JSON.

    Args:
        place: of the cell of a column, a data set and a number of shots.
        columns: what was scored, the baseline first.
        candidates: those between which `auto` chose.
        ablated: columns of encoders trained in other ways.
        ablated_names: the data sets that these left out.
        names: the data sets.
        jobs: processes.
        command: what made the cells.
    """
    work = [(name, shots) for name in names for shots in SHOTS]
    every = _as_called(columns)
    measured = Parallel(jobs)(delayed(_measured)(place, every, name, shots, BASELINE) for name, shots in work)
    results = _collected(measured, BASELINE, command)
    best = max((name for name in columns if not name.startswith("auto")), key=lambda name: _mean(results, name, 5))
    against = _collected(
        Parallel(jobs)(delayed(_measured)(place, _as_called([best, AUTO]), name, shots, best) for name, shots in work),
        best,
        command,
    )
    write_json(ROOT / "docs" / "results" / "left-out.json", rounded(results.to_json()))
    needed = {name: _needed(place, results, name) for name in names}
    _picture(needed, ROOT / "docs" / "images" / "labels-saved.svg")
    parts = [
        _preface(command),
        _verdict(results, against, best),
        "### Means over the data sets",
        _means(results, columns),
        "### How the encoder is trained",
        _ablation(place, ablated, ablated_names, command),
        "### Regret",
        _regret(place, results, candidates, jobs, command),
        "### ECG pages, whole and cut into leads",
        _pages(place),
        "### Labels saved",
        _saved(needed, results),
    ]
    for name in names:
        rows = [row for row in results.rows if row.task == name]
        parts += [f"### {name}: {rows[0].ways} classes, {rows[0].patients} patients", score_table(rows, SHOTS)]
    replace_part(ROOT / "docs" / "results.md", PART, "\n\n".join(parts))


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


def _measured(place: Place, columns: Mapping[str, str], name: str, shots: int, baseline: str) -> list[Measurement]:
    """Columns, by what they are called, measured on one data set."""
    torch.set_num_threads(1)
    said = {called: read_cell(place(column, name, shots)) for called, column in columns.items()}
    return measure(
        {column: predictions for column, (predictions, _) in said.items()},
        task=name,
        shots=shots,
        baseline=baseline,
        seconds={column: seconds for column, (_, seconds) in said.items()},
    )


def _as_called(columns: Sequence[str]) -> dict[str, str]:
    return {column: column for column in columns}


def _collected(measured: Sequence[Sequence[Measurement]], baseline: str, command: str) -> Results:
    notes = ["the encoder 'medical' and all that was learned across tasks never saw the fold that is scored"]
    return collect([each for group in measured for each in group], baseline=baseline, metadata=metadata(command, notes))


def _preface(command: str) -> str:
    return f"""## What is learned across data sets, on data sets that were left out

Written by `{command}`; do not edit. Three fixed folds (`benchmarks/folds.json`) leave out Kermany together with
PneumoniaMNIST, and NIH with MedNIST. For each fold an encoder ("medical") starts from EfficientNet-Lite0, is trained
on the data sets outside it and on simulated images, and is the mean of the weights before and after
(`benchmarks/medical_encoders.py`; "after training alone" are those after it); the start of depth-ridge is
meta-trained on Lite0 features of those sets, and `auto` knows outcomes of those sets alone. One indirect leak remains:
the outcomes on another fold were had with that fold's encoder, which was trained on the fold that is scored now.
"Last features" are what is usually called frozen features: pooled features before the classifier, brought to norm 4,
then scikit-learn's `LogisticRegression(C=1)`. All others take features of seven depths, normalised; as candidates of
`auto` ("last features, lite0" and "last features, lite0+medical") the last ones are normalised as well. Which
candidates `auto` has, how the encoder is averaged and what becomes of an ECG page was settled while looking at fewer
episodes of these data sets, so the differences are somewhat optimistic; no number was fitted to them. Differences are
to logistic regression on the last features of Lite0, on the same episodes. Intervals: for new patients, then over
episodes; in the means the first resamples the data sets as well. ▲ and ▼ mark where the interval for new patients
leaves zero. All numbers, with AUROC, Brier score and calibration error: `docs/results/left-out.json`."""


def _verdict(results: Results, against: Results, best: str) -> str:
    lines = []
    for shots in SHOTS:
        row = next(row for row in results.means if row.learner == AUTO and row.shots == shots)
        verdicts = Counter(
            each.difference.verdict
            for each in results.rows
            if each.learner == AUTO and each.shots == shots and each.difference
        )
        other = next(row for row in against.means if row.learner == AUTO and row.shots == shots)
        lines.append(
            f"* {shots} per class: `auto` minus logistic regression on Lite0's last features "
            f"{written(row.difference, points)}; better on {verdicts['better']} data sets, worse on "
            f"{verdicts['worse']}, of {sum(verdicts.values())}. Minus the best fixed column at 5 per class in "
            f"hindsight ({best}): {written(other.difference, points)}."
        )
    return "\n".join(lines)


def _means(results: Results, columns: Sequence[str]) -> str:
    header = ["Learner, features"]
    for shots in SHOTS:
        header += [f"{shots} per class, %", "difference"]
    lines = [line([*header, "▲ / ▼ at 5", "ECE at 5", "adapt, ms"]), line(["---"] + ["--:"] * (len(header) + 2))]
    for column in sorted(columns, key=lambda name: -_mean(results, name, 5)):
        rows = {row.shots: row for row in results.means if row.learner == column}
        cells = [column]
        for shots in SHOTS:
            cells += both(rows[shots])
        at_five = [row for row in results.rows if row.learner == column and row.shots == 5]
        counts = Counter(row.difference.verdict for row in at_five if row.difference)
        error = rows[5].calibration_error
        cells += [
            f"{counts['better']} / {counts['worse']}" if counts else "baseline",
            f"{error.value:.3f}" if error else "–",
            f"{1000 * float(np.mean([row.adapt_seconds or 0.0 for row in at_five])):.0f}",
        ]
        lines.append(line(cells))
    return "\n".join(lines)


def _regret(place: Place, results: Results, candidates: Sequence[str], jobs: int, command: str) -> str:
    """How far each is from the best candidate of each data set in hindsight, mean over data sets."""
    names = list(dict.fromkeys(row.task for row in results.rows))
    work = [
        (name, shots, max(candidates, key=lambda each: _accuracy(results, each, name, shots)))
        for name in names
        for shots in SHOTS
    ]
    lines = [
        "Balanced accuracy minus that of the best candidate of each data set and number of labels, chosen in hindsight "
        "on the same episodes, mean over data sets, in points. A mixture may be ahead of it, and `auto` cuts ECG "
        "pages, which its candidates here do not.\n",
        line(["", *(f"{shots} per class" for shots in SHOTS)]),
        line(["---"] + ["--:"] * len(SHOTS)),
    ]
    for column in [AUTO, *candidates]:
        measured = Parallel(jobs)(
            delayed(_measured)(place, {HINDSIGHT: best, column: column}, name, shots, HINDSIGHT)
            for name, shots, best in work
        )
        means = _collected(measured, HINDSIGHT, command).means
        rows = {row.shots: row for row in means if row.learner == column}
        lines.append(line([column, *(written(rows[shots].difference, points) for shots in SHOTS)]))
    return "\n".join(lines)


def _ablation(place: Place, ablated: Sequence[str], names: Sequence[str], command: str) -> str:
    """Ways to train the encoder, on the data sets of one fold."""
    columns = ["logistic, lite0", *ablated, "logistic, medical"]
    every = _as_called(columns)
    measured = [_measured(place, every, name, shots, columns[0]) for name in names for shots in SHOTS]
    results = _collected(measured, columns[0], command)
    return (
        f"On {', '.join(names)} alone, which these encoders left out. The name says which parameters were trained (all "
        "where it says none), by which objective and for how many steps; without a name it is the encoder of all other "
        "tables (supervised-600). Differences are to logistic regression on Lite0's features of the same depths.\n\n"
        f"{_means(results, columns)}"
    )


def _pages(place: Place) -> str:
    """What cutting pages into their fourteen pictures gives, on the one data set that has such pages."""
    measured = [_measured(place, _as_called([BASELINE, AUTO, WHOLE_PAGES]), ECG, shots, BASELINE) for shots in SHOTS]
    rows = [each.score for group in measured for each in group]
    return (
        "`auto` cuts pages of the usual layout into their traces by itself (docs/ecg.md): it looks for four even rows "
        "with a trace along each. The same episodes, with that and without:\n\n" + score_table(rows, SHOTS)
    )


def _needed(place: Place, results: Results, name: str) -> tuple[float, float, float]:
    """Labels per class at which logistic regression has what `auto` has at 5, and for the interval of its lead."""
    shots, accuracies = _curve(place, name)
    lead = next(row for row in results.rows if (row.learner, row.task, row.shots) == (AUTO, name, 5)).difference
    assert lead is not None
    own = _accuracy(results, BASELINE, name, 5)
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


def _saved(needed: Mapping[str, tuple[float, float, float]], results: Results) -> str:
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
        lines.append(line([name, percent(_accuracy(results, AUTO, name, 5)), f"{value} ({low} to {high})"]))
    return "\n".join(lines)


def _picture(needed: Mapping[str, tuple[float, float, float]], path: Path) -> None:
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


def _mean(results: Results, column: str, shots: int) -> float:
    row = next(row for row in results.means if row.learner == column and row.shots == shots)
    return row.balanced_accuracy.value if row.balanced_accuracy else 0.0


def _accuracy(results: Results, column: str, name: str, shots: int) -> float:
    row = next(row for row in results.rows if (row.learner, row.task, row.shots) == (column, name, shots))
    return row.balanced_accuracy.value if row.balanced_accuracy else 0.0
