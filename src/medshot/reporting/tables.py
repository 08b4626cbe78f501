"""The tables of an evaluation as text: for documents as Markdown, for papers as LaTeX, for programs as CSV."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from medshot.evaluation.intervals import Estimate
from medshot.evaluation.results import MeanScore, Results, Score
from medshot.reporting.class_rows import NAMES, ClassRow, class_cells, class_rows, operating_rows
from medshot.reporting.markdown import csv_text, markdown_line, markdown_text
from medshot.reporting.wording import COLUMNS, MARKS, name_task, points, write_interval

Kind = Literal["csv", "latex", "markdown"]

CSV_COLUMNS = (
    "task", "shots", "learner", "class", "metric", "value", "low", "high", "low_over_episodes", "high_over_episodes",
    "prevalence", "threshold", "patients", "images", "queries", "episodes",
)  # fmt: skip
LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """A table of text; the first `names` columns hold names, the others numbers."""

    caption: str
    names: int
    header: list[str]
    rows: list[list[str]]


def write_table(results: Results, kind: Kind) -> str:
    """Return all tables of an evaluation in one of the three formats, with intervals for new patients.

    CSV has one row per number, with both intervals.
    """
    if kind == "csv":
        return csv_text(_csv_rows(results), CSV_COLUMNS)
    write = _latex if kind == "latex" else _markdown
    return "\n".join(write(grid) for grid in grids(results))


def grids(results: Results) -> list[Grid]:
    """Return the tables for a paper that there are: means over tasks, scores, scores by class, and operating points."""
    interval = "95 % intervals for new patients in parentheses"
    found = []
    for title, rows in (("Means over tasks", results.means), ("Scores", results.rows)):
        if rows:
            caption = f"{title}, with {interval}. Differences are in balanced accuracy from {results.baseline}."
            found.append(_score_grid(caption, rows))
    for title, of_class in (
        ("Scores by class", class_rows(results.rows)),
        ("Scores by class at thresholds chosen on the support", operating_rows(results.rows)),
    ):
        if of_class:
            stated = any(row.prevalence is not None for row in of_class)
            caption = f"{title}, with {interval}{', at the prevalence beside each class' * stated}."
            header, cells = class_cells(of_class, lambda estimate, column: _cell(estimate, column.write))
            found.append(Grid(caption, NAMES, header, cells))
    return found


def _score_grid(caption: str, rows: Sequence[Score] | Sequence[MeanScore]) -> Grid:
    numbers = ["Patients", "Episodes"] if isinstance(rows[0], Score) else []
    header = ["Task", "Shots", "Learner", *numbers, *(column.title for column in COLUMNS), "Difference, points"]
    return Grid(caption, 3, header, [_score_cells(row) for row in rows])


def _score_cells(row: Score | MeanScore) -> list[str]:
    counts = [str(row.patients), str(row.episodes)] if isinstance(row, Score) else []
    change = "baseline"
    if row.difference is not None:
        verdict = MARKS[row.difference.verdict].split()[-1]
        change = f"{_cell(row.difference, points)} {verdict}"
    cells = [_cell(getattr(row, column.field), column.write) for column in COLUMNS]
    return [name_task(row), str(row.shots), row.learner, *counts, *cells, change]


def _cell(estimate: Estimate | None, write: Callable[[float], str]) -> str:
    if estimate is None:
        return "–"
    return f"{write(estimate.value)} ({write_interval(estimate.new_patients, write)})"


def _markdown(grid: Grid) -> str:
    aligned = ["---"] * grid.names + ["--:"] * (len(grid.header) - grid.names)
    lines = [markdown_line(list(map(markdown_text, cells))) for cells in (grid.header, *grid.rows)]
    return "\n".join([markdown_text(grid.caption), "", lines[0], markdown_line(aligned), *lines[1:], ""])


def _latex(grid: Grid) -> str:
    columns = "l" * grid.names + "r" * (len(grid.header) - grid.names)
    header, *rows = (" & ".join(map(latex_text, cells)) + r" \\" for cells in (grid.header, *grid.rows))
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_text(grid.caption)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            header,
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def latex_text(text: str) -> str:
    """Return text on one line in which no character is a command of LaTeX."""
    return re.sub(r"[\\&%$#_{}~^–<>]", lambda found: LATEX[found[0]], " ".join(text.split()))


def _csv_rows(results: Results) -> list[dict[str, str | int | float]]:
    rows = []
    scores: list[Score | MeanScore] = [*results.means, *results.rows]
    for score in scores:
        fields = [column.field for column in COLUMNS]
        estimates = {name: getattr(score, name) for name in (*fields, "difference")}
        rows += [_csv_row(score, name, estimate) for name, estimate in estimates.items() if estimate is not None]
    for of_class in (*class_rows(results.rows), *operating_rows(results.rows)):
        for name, estimate in of_class.estimates.items():
            if estimate is not None:
                rows.append(_csv_row(of_class.score, name, estimate, of_class))
    return rows


def _csv_row(
    score: Score | MeanScore, metric: str, estimate: Estimate, of_class: ClassRow | None = None
) -> dict[str, str | int | float]:
    numbers = (estimate.value, *estimate.new_patients, *estimate.over_episodes)
    names = ("value", "low", "high", "low_over_episodes", "high_over_episodes")
    row: dict[str, str | int | float] = dict.fromkeys(CSV_COLUMNS, "")
    row |= {"task": name_task(score), "shots": score.shots, "learner": score.learner, "metric": metric}
    row |= {name: round(number, 6) for name, number in zip(names, numbers, strict=True)}
    if isinstance(score, Score):
        row |= {"patients": score.patients, "queries": score.queries, "episodes": score.episodes}
        row |= {"images": score.images} if score.images is not None else {}
    if of_class is not None:
        row |= {"class": of_class.name, "patients": of_class.patients}
        optional = {"prevalence": of_class.prevalence, "threshold": of_class.threshold}
        row |= {name: round(value, 6) for name, value in optional.items() if value is not None}
    return row
