"""The tables of benchmarks/left_out.py in docs/results.md, and the picture of the labels that are saved."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from cells import read_cell
from document import replace_part, rounded
from joblib import Parallel, delayed
from learner_table_report import both, line, metadata, score_table, written
from left_out_columns import AUTO, BASELINE, ECG, WHOLE_PAGES
from left_out_saved import Place, accuracy_in, draw_saved, labels_saved, saved_table

from medshot.evaluation import Results
from medshot.evaluation.results import Measurement, collect, measure
from medshot.reporting.wording import points
from medshot.storage import write_json

ROOT = Path(__file__).resolve().parents[1]
PART = "left out"
SHOTS = (1, 5, 10)
HINDSIGHT = "best candidate in hindsight"


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
    needed = {name: labels_saved(place, results, name) for name in names}
    draw_saved(needed, ROOT / "docs" / "images" / "labels-saved.svg")
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
        saved_table(needed, results),
    ]
    for name in names:
        rows = [row for row in results.rows if row.task == name]
        parts += [f"### {name}: {rows[0].ways} classes, {rows[0].patients} patients", score_table(rows, SHOTS)]
    replace_part(ROOT / "docs" / "results.md", PART, "\n\n".join(parts))


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
        (name, shots, max(candidates, key=lambda each: accuracy_in(results, each, name, shots)))
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


def _mean(results: Results, column: str, shots: int) -> float:
    row = next(row for row in results.means if row.learner == column and row.shots == shots)
    return row.balanced_accuracy.value if row.balanced_accuracy else 0.0
