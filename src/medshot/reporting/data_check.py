"""The findings of a data check as a table, a page with the images concerned, JSON and CSV; a learning curve."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from rich.table import Table
from rich.text import Text

from medshot.audit import Audit, Example, Finding, SampleImages, Verdict
from medshot.errors import InputError
from medshot.reporting.examples import thumbnail
from medshot.reporting.html import environment
from medshot.reporting.markdown import csv_text
from medshot.reporting.plots import INK, PALETTE, SETTINGS, tidy
from medshot.reporting.wording import DISCLAIMER
from medshot.selection.forecasting import Expected
from medshot.storage import write_bytes, write_json

STYLES = {"harmful": "bold red", "doubtful": "yellow", "note": "dim"}
TITLES = {
    "harmful": ("Harmful", "Scores on this data would be wrong."),
    "doubtful": ("Doubtful", "Look at these findings before you trust a score."),
    "note": ("Notes", "These findings are probably harmless."),
}
COLUMNS = ("harm", "finding", "task", "image", "caption", "sentence", "advice")
NO_EXAMPLE = Example("", -1, "")
MAX_LISTED = 200  # images per finding on the page


@dataclass(frozen=True)
class FindingImage:
    """One image of a finding on the page; `picture` is None if it cannot be shown."""

    image: str
    caption: str
    picture: str | None


def findings_table(verdict: Verdict) -> Table:
    """Return a table of the findings, sorted by harm."""
    several = len(verdict.tasks) > 1
    table = Table(title=Text(verdict.sentence), title_justify="left", show_lines=False)
    table.add_column("Harm")
    if several:
        table.add_column("Task")
    table.add_column("Finding")
    table.add_column("What was found", ratio=1)
    for finding in verdict.findings:
        cells = [Text(finding.harm, STYLES[finding.harm])]
        cells += [Text(finding.task)] if several else []
        table.add_row(*cells, Text(finding.name), Text(finding.sentence))
    return table


def write_check(folder: Path, audit: Audit) -> None:
    """Write `report.html`, `findings.json` and `findings.csv` into an existing folder.

    Raises:
        StorageError: a file cannot be written.
    """
    write_json(folder / "findings.json", audit.verdict.to_json())
    write_bytes(folder / "findings.csv", csv_text(_rows(audit.verdict), COLUMNS).encode())
    write_bytes(folder / "report.html", check_html(audit).encode())


def check_html(audit: Audit) -> str:
    """Return the findings as one self-contained HTML document, without scripts or external links."""
    pictures = {name: SampleImages(task) for name, task in audit.tasks.items()}
    sections = [
        (harm, *TITLES[harm], [(finding, _groups(finding, pictures)) for finding in findings])
        for harm, findings in groupby(audit.verdict.findings, lambda finding: finding.harm)
    ]
    return (
        environment()
        .get_template("check.html.j2")
        .render(verdict=audit.verdict, sections=sections, disclaimer=DISCLAIMER, listed=MAX_LISTED)
    )


def _rows(verdict: Verdict) -> list[dict[str, str | float]]:
    """Return one row per finding and image; a finding without images has one row."""
    return [
        {
            "harm": finding.harm,
            "finding": finding.name,
            "task": finding.task,
            "image": example.image,
            "caption": example.caption,
            "sentence": finding.sentence,
            "advice": finding.advice,
        }
        for finding in verdict.findings
        for example in (finding.examples or [NO_EXAMPLE])
    ]


def _groups(finding: Finding, pictures: dict[str, SampleImages]) -> list[list[FindingImage]]:
    """Return the images of a finding; those that belong together, such as copies, are in one list."""
    return [
        [_finding_image(example, pictures) for example in group]
        for _, group in groupby(finding.examples[:MAX_LISTED], lambda example: example.group)
    ]


def _finding_image(example: Example, pictures: dict[str, SampleImages]) -> FindingImage:
    if example.row < 0:
        return FindingImage(example.image, example.caption, None)
    of_task = pictures[example.task]
    try:
        image = of_task.picture(int(np.searchsorted(of_task.task.rows, example.row)))
        return FindingImage(example.image, example.caption, thumbnail(image))
    except InputError:  # the file may have changed since it was measured
        return FindingImage(example.image, example.caption, None)


def learning_curve(expected: Sequence[Expected], chance: float, coverage: float) -> bytes:
    """Return an SVG plot of balanced accuracy over labelled patients per class.

    Args:
        expected: the expected accuracies, by increasing number of patients.
        chance: the accuracy of guessing.
        coverage: the coverage of the intervals, from 0 to 1.
    """
    shots = [row.shots for row in expected]
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes = figure.subplots()
        ends = ([100 * row.low for row in expected], [100 * row.high for row in expected])
        axes.fill_between(shots, *ends, color=PALETTE[0], alpha=0.2, linewidth=0, label=f"{coverage:.0%} interval")
        axes.plot(shots, [100 * row.accuracy for row in expected], "o-", color=PALETTE[0], label="expected")
        axes.axhline(100 * chance, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="chance")
        axes.set_xticks(shots, [f"{row.shots}\nnow" if row.more == 0 else str(row.shots) for row in expected])
        axes.set_ylim(0, 100)
        axes.set_xlabel("labelled patients per class")
        axes.set_ylabel("balanced accuracy, %")
        tidy(axes, grid="y")
        axes.legend(frameon=False, loc="lower right", labelcolor=INK)
        content = io.BytesIO()
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()
