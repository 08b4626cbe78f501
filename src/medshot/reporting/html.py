"""The report: one HTML file with everything in it, for reading in any browser, offline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from medshot.evaluation.metrics import ReliabilityCurve
from medshot.evaluation.results import Results
from medshot.reporting.examples import SHOWN, ExampleEpisode, Gallery, gallery
from medshot.reporting.figures import Picture, forest_plot, learner_colours, reliability_plot
from medshot.reporting.wording import (
    COLUMNS,
    DISCLAIMER,
    MARKS,
    READING,
    decimal,
    findings,
    headline,
    name_shots,
    name_task,
    percent,
    points,
    write_interval,
)
from medshot.storage import write_bytes

# by task and shots, then by learner
Reliability = Mapping[tuple[str, int], Mapping[str, ReliabilityCurve]]


@dataclass(frozen=True)
class ReliabilityPanel:
    """Reliability on one task at one number of shots: each learner, its calibration error, its plot."""

    shots: int
    plots: list[tuple[str, float, Picture]]


@dataclass(frozen=True)
class TaskSection:
    """What the report shows of one task."""

    name: str
    forest: Picture
    reliability: list[ReliabilityPanel]
    galleries: list[Gallery]


def write_report(path: Path, results: Results, examples: Sequence[ExampleEpisode], reliability: Reliability) -> None:
    """Write the report to `path`.

    Args:
        path: the HTML file.
        results: what was found.
        examples: episodes to show, each under its task.
        reliability: by (task, shots), the curve of each learner.

    Raises:
        StorageError: the file cannot be written.
    """
    write_bytes(path, report_html(results, examples, reliability).encode())


def report_html(results: Results, examples: Sequence[ExampleEpisode], reliability: Reliability) -> str:
    """The report as one HTML document, without scripts or links to anything outside it."""
    learners = list(dict.fromkeys(row.learner for row in results.rows))
    colours = learner_colours(learners, results.baseline)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            results=results,
            headline=headline(results),
            findings=findings(results),
            disclaimer=DISCLAIMER,
            columns=COLUMNS,
            marks=MARKS,
            reading=READING,
            learners=learners,
            tasks=len({row.task for row in results.rows}),
            colours=colours,
            shown=SHOWN,
            points=points,
            means=forest_plot(results.means, colours) if results.means else None,
            sections=_sections(results, examples, reliability, colours),
        )
    )


def _sections(
    results: Results,
    examples: Sequence[ExampleEpisode],
    reliability: Reliability,
    colours: Mapping[str, str],
) -> list[TaskSection]:
    return [
        TaskSection(
            name=task,
            forest=forest_plot([row for row in results.rows if row.task == task], colours),
            reliability=[
                ReliabilityPanel(
                    shots,
                    [(name, curve.error, reliability_plot(curve, colours[name])) for name, curve in curves.items()],
                )
                for (name_of_task, shots), curves in reliability.items()
                if name_of_task == task
            ],
            galleries=[gallery(example, results.baseline) for example in examples if example.task == task],
        )
        for task in dict.fromkeys(name for name, _ in reliability)
    ]


def environment() -> Environment:
    """The templates, which escape whatever is put into them."""
    environment = Environment(
        loader=PackageLoader("medshot.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        points=points,
        decimal=decimal,
        interval=write_interval,
        name_task=name_task,
        name_shots=name_shots,
    )
    return environment
