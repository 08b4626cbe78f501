"""The figures of an evaluation for papers, as SVG and PNG files."""

import re
from pathlib import Path

from medshot.evaluation.results import Results
from medshot.evaluation.roc import RocCurve
from medshot.reporting.html import Rocs, roc_panels
from medshot.reporting.plots import Drawing, learner_colours, learning_curve_drawing, roc_drawing
from medshot.storage import write_bytes

MAX_COLUMNS = 4  # with up to four classes, each line of ROC curves is one number of shots


def write_figures(folder: Path, results: Results, rocs: Rocs) -> None:
    """Write the learning curve and the ROC curves of each task into a new folder.

    A learning curve needs two numbers of shots. The mean over tasks is `learning_curve_mean`.

    Args:
        folder: the folder to make.
        results: the results.
        rocs: for each task and number of shots, and for each class, the ROC curve of each learner.
    """
    colours = learner_colours(list(dict.fromkeys(row.learner for row in results.rows)), results.baseline)
    drawings: dict[str, Drawing] = {}
    several = len({row.shots for row in results.rows}) > 1
    if several and results.means:
        drawings["learning_curve_mean"] = learning_curve_drawing(results.means, colours)
    names = file_names([task for task, _ in rocs])
    for task, name in names.items():
        rows = [row for row in results.rows if row.task == task]
        if several:
            drawings[f"learning_curve_{name}"] = learning_curve_drawing(rows, colours)
        panels: dict[str, dict[str, tuple[RocCurve, str]]] = {}
        for shots in sorted({row.shots for row in rows}):
            panels |= roc_panels([row for row in rows if row.shots == shots], rocs[task, shots])
        if panels:
            classes = max(len(curves) for (name_of_task, _), curves in rocs.items() if name_of_task == task)
            drawings[f"roc_{name}"] = roc_drawing(panels, colours, columns=min(classes, MAX_COLUMNS))
    if drawings:
        folder.mkdir()
    for name, drawing in drawings.items():
        write_bytes(folder / f"{name}.svg", drawing.content("svg"))
        write_bytes(folder / f"{name}.png", drawing.content("png"))


def file_names(tasks: list[str]) -> dict[str, str]:
    """Return a name for the files of each task, of letters, digits and underscores; all are different."""
    names: dict[str, str] = {}
    for number, task in enumerate(dict.fromkeys(tasks), start=1):
        plain = re.sub(r"[^A-Za-z0-9]+", "_", task).strip("_")[:60] or "task"
        taken = plain.lower() in [name.lower() for name in (*names.values(), "mean")]
        names[task] = f"{plain}_{number}" if taken else plain
    return names
