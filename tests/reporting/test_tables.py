"""The table in the terminal and the Markdown document show the numbers of the results, with names unchanged."""

import io
import re

import pytest
from rich.console import Console

from medshot.reporting.console import results_table
from medshot.reporting.markdown import results_markdown
from medshot.reporting.wording import COLUMNS, MARKS, decimal, percent, points, write_interval


def printed(results):
    console = Console(width=200, file=io.StringIO(), color_system=None)
    console.print(results_table(results))
    return console.file.getvalue()


def cells(markdown, heading):
    """Return the cells of the first table below a heading; escaped pipes do not split a cell."""
    below = markdown.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_terminal_shows_every_row_with_its_numbers(results):
    lines = [line for line in printed(results).splitlines() if line.startswith("│")]
    assert len(lines) == len(results.rows) + len(results.means)
    for line, row in zip(lines, (*results.rows, *results.means), strict=True):
        assert row.learner in line
        score = row.balanced_accuracy
        assert f"{percent(score.value)} ({write_interval(score.new_patients, percent)})" in line
        for name in ("auroc", "brier", "calibration_error"):
            assert decimal(getattr(row, name).value) in line
        if row.difference is None:
            assert "baseline" in line
        else:
            written = f"{points(row.difference.value)} ({write_interval(row.difference.new_patients, points)})"
            assert f"{written} {MARKS[row.difference.verdict]}" in line


def test_the_terminal_takes_names_literally(results):
    shown = printed(results)
    assert "[red]1_2[/red]" in shown
    assert "<script>" in shown


@pytest.mark.parametrize(("heading", "part"), [("Scores", "rows"), ("Means over tasks", "means")])
def test_markdown_shows_every_row_with_both_intervals(results, heading, part):
    header, ruler, *body = cells(results_markdown(results), heading)
    rows = getattr(results, part)
    assert len(header) == len(ruler) == 4 + len(COLUMNS)
    assert len(body) == len(rows)
    for line, row in zip(body, rows, strict=True):
        assert len(line) == len(header)
        for column, cell in zip(COLUMNS, line[3:], strict=False):
            estimate = getattr(row, column.field)
            both = [write_interval(each, column.write) for each in (estimate.new_patients, estimate.over_episodes)]
            assert cell == f"{column.write(estimate.value)} ({both[0]}; {both[1]})"
        assert line[-1].endswith("baseline" if row.difference is None else MARKS[row.difference.verdict])


def test_markdown_has_the_metadata(results):
    text = results_markdown(results)
    for fact in ("seed: 4", "date: 2026-01-02", "machine: two cores", "medshot: 0.1.0", "baseline: logistic"):
        assert f"- {fact}" in text
    assert "\n    medshot evaluate <a>\n" in text
    assert r"a\|b" in text
    assert "not a medical device" in text


def test_markdown_escapes_names(results):
    text = results_markdown(results)
    assert "<script" not in text
    assert "&lt;script>" in text
    assert r"skin \| $x$ \[red\]" in text


def test_undefined_metrics_are_dashes(results):
    row = results.rows[0].model_copy(update={"auroc": None})
    without = results.model_copy(update={"rows": [row], "means": []})
    assert "–" in printed(without)
    assert cells(results_markdown(without), "Scores")[2][4] == "–"
    assert "Means over tasks" not in results_markdown(without)
