"""The table of every learner on every held-out data set, as Markdown with a picture."""

import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import matplotlib
import torch
from document import replace_part, rounded
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from table_plans import BASELINE, Plan

from medshot.evaluation import EpisodePredictions, Results
from medshot.evaluation.intervals import Comparison, Estimate
from medshot.evaluation.results import MeanScore, Measurement, Metadata, Score, collect, measure
from medshot.learners import LEARNERS
from medshot.reporting.wording import percent, points, write_interval
from medshot.storage import write_json

COLOURS = {
    "Meta-GD": "#0072B2",
    "Meta-NN": "#D55E00",
    "Meta-SVM": "#009E73",
    "Meta-RF": "#CC79A7",
    "baseline": "#7d8790",
}
SIGNS = {"better": "▲", "worse": "▼", "undecided": ""}

Cell = tuple[str, str, str, int, Path]
Reader = Callable[[Path], tuple[list[EpisodePredictions], list[float]]]


def write_report(
    plan: Plan, cells: Sequence[Cell], read: Reader, docs: Path, jobs: int, command: str, seconds: float
) -> None:
    """Measure all cells and write the plan's table into docs/results.md, its pictures, and the numbers as JSON.

    Args:
        plan: whose table it is.
        cells: all that was scored.
        read: gives what a cell's file holds.
        docs: the folder of the documentation.
        jobs: processes.
        command: what made the cells.
        seconds: what each meta-training was allowed.
    """
    (docs / "results").mkdir(parents=True, exist_ok=True)
    parts = []
    for kind, of_kind in plan.kinds.items():
        groups: dict[tuple[str, int], dict[str, Path]] = {}
        for in_kind, learner, task, shots, path in cells:
            if in_kind == kind:
                groups.setdefault((task, shots), {})[learner] = path
        measured = Parallel(jobs)(
            delayed(_measure)(task, shots, paths, read) for (task, shots), paths in groups.items()
        )
        results = collect(
            [each for group in measured for each in group],
            baseline=BASELINE,
            metadata=metadata(command, [held_out(plan)]),
        )
        write_json(docs / "results" / f"{plan.part}-{kind}.json", rounded(results.to_json()))
        _picture(results, docs / "images" / f"{plan.part}-{kind}.svg", of_kind.title)
        parts.append(_section(f"{plan.part}-{kind}", of_kind.title, results))
    replace_part(docs / "results.md", plan.part, "\n\n".join([_preface(plan, command, seconds), *parts]))


def _measure(task: str, shots: int, paths: dict[str, Path], read: Reader) -> list[Measurement]:
    torch.set_num_threads(1)
    said = {learner: read(path) for learner, path in paths.items()}
    return measure(
        {learner: predictions for learner, (predictions, _) in said.items()},
        task=task,
        shots=shots,
        baseline=BASELINE,
        seconds={learner: seconds for learner, (_, seconds) in said.items()},
    )


def metadata(command: str, notes: list[str]) -> Metadata:
    """When, where and by what the numbers were made."""
    return Metadata(
        seed=0,
        date=datetime.now(UTC).date().isoformat(),
        machine=f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        command=command,
        version=version("medshot"),
        notes=notes,
    )


def held_out(plan: Plan) -> str:
    return f"held out in each fold: {json.dumps({name: list(fold) for name, fold in plan.folds.items()})}"


def _preface(plan: Plan, command: str, seconds: float) -> str:
    return f"""## {plan.title}

Written by `{command}`; do not edit. The tasks are dealt into {len(plan.folds)} fixed folds
(`benchmarks/table_plans.py`). Each learner is meta-trained once per fold, on all tasks outside it, for at most
{seconds:.0f} CPU-seconds, and scored on the fold's own, the same episodes for all. Differences are to logistic
regression on the same input. Intervals: for new patients, then over episodes; in the means the first resamples the
tasks as well. ▲ and ▼ mark where the interval for new patients leaves zero. All numbers are also in
`docs/results/{plan.part}-*.json`, with AUROC, Brier score and calibration error.

{plan.about}"""


def _section(picture: str, title: str, results: Results) -> str:
    shots = sorted({row.shots for row in results.rows})
    tasks = list(dict.fromkeys(row.task for row in results.rows))
    parts = [f"### On {title}", f"![Mean difference to logistic regression, {title}](images/{picture}.svg)"]
    parts += [f"#### Means over {len(tasks)} data sets", _means(results, shots)]
    for task in tasks:
        rows = [row for row in results.rows if row.task == task]
        facts = f"{rows[0].ways} classes; chance {percent(1 / rows[0].ways)} %; {rows[0].patients} patients"
        parts += [f"#### {task}", f"{facts}.", score_table(rows, shots)]
    return "\n\n".join(parts)


def _means(results: Results, shots: Sequence[int]) -> str:
    header = ["Learner", "Family"]
    for number in shots:
        header += [f"{number} per class, %", "difference"]
    lines = [line([*header, "▲ / ▼ of all", "ECE at 5", "adapt, ms"])]
    lines.append(line(["---"] * 2 + ["--:"] * (len(header) + 1)))
    for learner in sorted({row.learner for row in results.means}, key=lambda name: -_height(results, name)):
        by_shots = {row.shots: row for row in results.means if row.learner == learner}
        cells = [learner, LEARNERS[learner].family]
        for number in shots:
            cells += both(by_shots[number])
        counts = Counter(row.difference.verdict for row in results.rows if row.learner == learner and row.difference)
        times = [row.adapt_seconds or 0.0 for row in results.rows if row.learner == learner and row.shots == 5]
        error = by_shots[5].calibration_error
        cells.append(f"{counts['better']} / {counts['worse']} of {sum(counts.values())}" if counts else "baseline")
        cells += [f"{error.value:.3f}" if error else "–", f"{1000 * sum(times) / len(times):.0f}"]
        lines.append(line(cells))
    return "\n".join(lines)


def score_table(rows: Sequence[Score], shots: Sequence[int]) -> str:
    header = ["Learner"]
    for number in shots:
        header += [f"{number} per class, %", "difference"]
    lines = [line(header), line(["---"] + ["--:"] * (len(header) - 1))]
    for learner in dict.fromkeys(row.learner for row in rows):
        cells = [learner]
        for row in sorted((row for row in rows if row.learner == learner), key=lambda row: row.shots):
            cells += both(row)
        lines.append(line(cells))
    return "\n".join(lines)


def both(row: Score | MeanScore) -> list[str]:
    return [written(row.balanced_accuracy, percent), written(row.difference, points)]


def written(estimate: Estimate | None, write: Callable[[float], str]) -> str:
    if estimate is None:
        return "–"
    sign = SIGNS[estimate.verdict] if isinstance(estimate, Comparison) else ""
    intervals = "; ".join(write_interval(each, write) for each in (estimate.new_patients, estimate.over_episodes))
    return f"{sign}{write(estimate.value)} ({intervals})"


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _height(results: Results, learner: str) -> float:
    """Mean balanced accuracy at 5 shots, by which learners are ordered."""
    return next(
        row.balanced_accuracy.value
        for row in results.means
        if row.learner == learner and row.shots == 5 and row.balanced_accuracy
    )


def _picture(results: Results, path: Path, title: str) -> None:
    rows = [row for row in results.means if row.shots == 5 and row.difference]
    rows.sort(key=lambda row: row.difference.value if row.difference else 0.0)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "medshot", "font.size": 9}):
        figure = Figure(figsize=(7.2, 0.9 + 0.24 * len(rows)), layout="constrained")
        axes = figure.subplots()
        axes.axvline(0, color="#26323b", linewidth=0.8)
        for height, row in enumerate(rows):
            assert row.difference is not None
            colour = COLOURS[LEARNERS[row.learner].family]
            for interval, width in ((row.difference.new_patients, 1.2), (row.difference.over_episodes, 4.0)):
                ends = [100 * end for end in interval]
                axes.plot(ends, [height] * 2, color=colour, linewidth=width, solid_capstyle="butt")
            axes.plot(100 * row.difference.value, height, "o", color=colour, markersize=5)
        axes.set_yticks(range(len(rows)), [row.learner for row in rows])
        axes.set_xlabel(
            "balanced accuracy minus logistic regression's, points (5 per class; mean over data sets)\n"
            "thin: for new patients and data sets; thick: over episodes"
        )
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="x", color="#d5dbe0", linewidth=0.7)
        axes.set_axisbelow(True)
        families = [family for family in COLOURS if any(LEARNERS[row.learner].family == family for row in rows)]
        handles = [axes.plot([], [], "o", color=COLOURS[family], label=family)[0] for family in families]
        axes.legend(handles=handles, fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
