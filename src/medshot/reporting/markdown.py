"""The results of an evaluation as a Markdown document, and rows as CSV."""

import csv
import io
import re
from collections.abc import Mapping, Sequence

from medshot.evaluation.intervals import Estimate
from medshot.evaluation.results import MeanScore, Results, Score
from medshot.reporting.class_rows import (
    CLASS_GLOSSARY,
    NAMES,
    class_cells,
    class_findings,
    class_rows,
    operating_rows,
)
from medshot.reporting.methods import methods_paragraph
from medshot.reporting.wording import (
    COLUMNS,
    DISCLAIMER,
    GLOSSARY,
    MARKS,
    Column,
    caveats,
    findings,
    headline,
    name_task,
    points,
    write_interval,
)


def results_markdown(results: Results) -> str:
    """Return a document with findings in words, tables with both intervals, and the origin of the numbers."""
    parts = [
        "# Few-shot evaluation",
        markdown_text(headline(results)),
        f"*{DISCLAIMER}*",
        "## What the numbers show",
        *_list([*findings(results), *class_findings(results), *caveats(results)]),
        *(["## Means over tasks", _table(results.means)] if results.means else []),
        "## Scores",
        "Each number is followed by two 95 % intervals: for new patients, then over episodes.",
        _table(results.rows),
        *_by_class(results),
        "## How to read it",
        "\n".join(f"- **{term}**: {meaning}" for term, meaning in (*GLOSSARY, *CLASS_GLOSSARY)),
        *(["## Methods", markdown_text(methods)] if (methods := methods_paragraph(results)) else []),
        "## How it was made",
        *_provenance(results),
    ]
    return "\n\n".join(parts) + "\n"


def _by_class(results: Results) -> list[str]:
    """Return the tables by class and of operating points, if there are any."""
    parts = []
    for title, rows in (
        ("## Scores by class", class_rows(results.rows)),
        ("## Operating points chosen on the support", operating_rows(results.rows)),
    ):
        if rows:
            header, cells = class_cells(rows, _both_intervals)
            ruler = ["---", "--:", "---", "---", *["--:"] * (len(header) - NAMES)]
            lines = [header, ruler, *([*map(markdown_text, row[:NAMES]), *row[NAMES:]] for row in cells)]
            parts += [title, "\n".join(map(markdown_line, lines))]
    return parts


def _table(rows: list[Score] | list[MeanScore]) -> str:
    titles = ["Task", "Shots", "Learner", *(column.title for column in COLUMNS), "Difference, points"]
    aligned = ["---", "--:", "---", *("--:" for _ in COLUMNS), "--:"]
    return "\n".join(markdown_line(cells) for cells in (titles, aligned, *map(_cells, rows)))


def _cells(row: Score | MeanScore) -> list[str]:
    numbers = [_both_intervals(getattr(row, column.field), column) for column in COLUMNS]
    change = "baseline"
    if row.difference is not None:
        written = _both_intervals(row.difference, Column("", "", points))
        change = f"{written} {MARKS[row.difference.verdict]}"
    return [markdown_text(name_task(row)), str(row.shots), markdown_text(row.learner), *numbers, change]


def _both_intervals(estimate: Estimate | None, column: Column) -> str:
    if estimate is None:
        return "–"
    new_patients = write_interval(estimate.new_patients, column.write)
    over_episodes = write_interval(estimate.over_episodes, column.write)
    return f"{column.write(estimate.value)} ({new_patients}; {over_episodes})"


def _provenance(results: Results) -> list[str]:
    made = results.metadata
    facts = (
        ("baseline", results.baseline),
        ("seed", str(made.seed)),
        ("date", made.date),
        ("machine", made.machine),
        ("medshot", made.version),
    )
    lines = "\n".join(f"- {name}: {markdown_text(value)}" for name, value in facts)
    command = "\n".join(f"    {line}" for line in made.command.splitlines())
    return [lines, *([command] if command else []), *_list(made.notes)]


def _list(sentences: list[str]) -> list[str]:
    return ["\n".join(f"- {markdown_text(sentence)}" for sentence in sentences)] if sentences else []


def markdown_line(cells: list[str]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(cells)} |"


def markdown_text(text: str) -> str:
    """Return text on one line in which Markdown and HTML have no effect."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return re.sub(r"([\\`*\[\]|])", r"\\\1", text)


FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Sequence[Mapping[str, str | int | float | None]], columns: Sequence[str]) -> str:
    """Return the rows as CSV under a header of the columns; every row has a value for each column."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writerow({name: without_formula(name) for name in columns})
    writer.writerows({name: without_formula(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def without_formula(value: str | int | float | None) -> str | int | float | None:
    """Turn a value that a spreadsheet would run as a formula into plain text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
