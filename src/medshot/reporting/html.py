"""The report of an evaluation: one self-contained HTML file that any browser shows offline."""

import base64
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medshot.evaluation.metrics import BINS, ReliabilityCurve
from medshot.evaluation.results import MeanScore, Results, Score
from medshot.reporting.examples import MAX_IMAGES, ExampleEpisode, Gallery, gallery
from medshot.reporting.wording import (
    COLUMNS,
    DISCLAIMER,
    GLOSSARY,
    MARKS,
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

# Okabe and Ito's palette, which colour-blind readers can distinguish; the baseline is grey
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#7d8790"
SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text remains text, so files are small and letters are sharp
    "svg.hashsalt": "medshot",
    "text.parse_math": False,  # a dollar sign in the name of a task is no formula
    "font.size": 9,
    "font.family": "sans-serif",
}


# colours of text and grid on light and dark pages; lower case, because matplotlib writes colours in lower case
INK, INK_ON_DARK = "#26323b", "#d7dee4"
FAINT, FAINT_ON_DARK = "#d5dbe0", "#3d474f"


@dataclass(frozen=True)
class Plot:
    """A plot for light pages, the same for dark pages, and a description for those who cannot see it."""

    light: str
    dark: str
    description: str


def learner_colours(learners: Sequence[str], baseline: str) -> dict[str, str]:
    """Return a colour for each learner, the same in every plot."""
    others = [name for name in learners if name != baseline]
    return {baseline: GREY} | {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(others)}


def forest_plot(rows: Sequence[Score | MeanScore], colours: Mapping[str, str]) -> Plot:
    """Plot the balanced accuracy of each learner at each number of shots, with both intervals and chance."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        heights, previous_shots, height = [], None, 0.0
        for row in rows:
            height += 1.6 if previous_shots not in (None, row.shots) else 1.0
            previous_shots = row.shots
            heights.append(height)
            _forest_row(axes, row, height, colours[row.learner])
        chances = {1 / row.ways for row in rows if isinstance(row, Score)}
        for chance in chances:
            axes.axvline(100 * chance, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        axes.set_yticks(heights, [f"{row.learner} · {name_shots(row.shots)}" for row in rows])
        axes.set_ylim(height + 0.8, 0.2)
        axes.set_xlabel("balanced accuracy, %" + ("   (dashed: chance)" if chances else ""))
        tidy(axes, grid="x")
        axes.tick_params(axis="y", length=0)

    groups = len({row.shots for row in rows})
    return _plot(
        draw,
        size=(7.2, 0.75 + 0.26 * len(rows) + 0.16 * groups),
        description="Balanced accuracy with 95 % intervals: thin for new patients, thick over episodes.",
    )


def reliability_plot(curve: ReliabilityCurve, colour: str) -> Plot:
    """Plot the accuracy at each confidence, above the number of queries with that confidence."""

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        upper.plot(100 * curve.confidence, 100 * curve.accuracy, "o-", color=colour, markersize=4, linewidth=1.4)
        upper.set_xlim(0, 100)
        upper.set_ylim(0, 100)
        upper.set_ylabel("correct, %")
        width = 100 / BINS
        lower.bar([(index + 0.5) * width for index in range(BINS)], curve.counts, 0.86 * width, color=colour)
        lower.set_xlabel("confidence, %")
        lower.set_ylabel("queries")
        lower.locator_params(axis="y", nbins=2)
        for axes in (upper, lower):
            tidy(axes, grid="y")

    return _plot(
        draw,
        size=(3.3, 3.5),
        description=f"Reliability over {curve.counts.sum()} queries; calibration error {curve.error:.3f}.",
    )


def _forest_row(axes: Axes, row: Score | MeanScore, height: float, colour: str) -> None:
    score = row.balanced_accuracy
    if score is None:
        return
    for interval, thickness in ((score.new_patients, 1.4), (score.over_episodes, 4.2)):
        ends = [100 * end for end in interval]
        axes.plot(ends, [height, height], color=colour, linewidth=thickness, solid_capstyle="butt")
    axes.plot([100 * score.value], [height], "o", color=colour, markersize=5.5)


def tidy(axes: Axes, *, grid: str) -> None:
    """Style the axes: no frame, a faint grid, text in one colour."""
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="x" if grid == "x" else "y", color=FAINT, linewidth=0.7)
    axes.tick_params(colors=INK, length=0)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def _plot(draw: Callable[[Figure], None], *, size: tuple[float, float], description: str) -> Plot:
    content = io.BytesIO()
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        # the font of matplotlib lacks some scripts; the reader's browser has them
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    light = content.getvalue().decode()
    dark = light.replace(INK, INK_ON_DARK).replace(FAINT, FAINT_ON_DARK)
    return Plot(_data_uri(light), _data_uri(dark), description)


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


# for each task and number of shots, the curve of each learner
Reliability = Mapping[tuple[str, int], Mapping[str, ReliabilityCurve]]


@dataclass(frozen=True)
class ReliabilityPanel:
    """The reliability on one task at one number of shots: for each learner, its calibration error and plot."""

    shots: int
    plots: list[tuple[str, float, Plot]]


@dataclass(frozen=True)
class TaskSection:
    """The section of one task."""

    name: str
    forest: Plot
    reliability: list[ReliabilityPanel]
    galleries: list[Gallery]


def write_report(path: Path, results: Results, examples: Sequence[ExampleEpisode], reliability: Reliability) -> None:
    """Write the report to `path`.

    Args:
        path: the HTML file.
        results: the results.
        examples: episodes to show, each in the section of its task.
        reliability: for each task and number of shots, the curve of each learner.

    Raises:
        StorageError: the file cannot be written.
    """
    write_bytes(path, report_html(results, examples, reliability).encode())


def report_html(results: Results, examples: Sequence[ExampleEpisode], reliability: Reliability) -> str:
    """Return the report as one self-contained HTML document, without scripts or external links."""
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
            glossary=GLOSSARY,
            learners=learners,
            tasks=len({row.task for row in results.rows}),
            colours=colours,
            max_cards=MAX_IMAGES,
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
    """Return the environment of the templates, which escape all values."""
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
