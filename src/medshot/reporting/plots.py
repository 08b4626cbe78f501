"""The plots of a report: for the page as SVG, light and dark, and for papers as SVG and PNG files."""

import base64
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from medshot.evaluation.intervals import Estimate
from medshot.evaluation.metrics import BINS, ReliabilityCurve
from medshot.evaluation.results import MeanScore, Score
from medshot.evaluation.roc import RocCurve
from medshot.reporting.class_rows import ClassRow
from medshot.reporting.wording import name_shots

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

DPI = 200  # of PNG files

# colours of text and grid on light and dark pages; lower case, because matplotlib writes colours in lower case
INK, INK_ON_DARK = "#26323b", "#d7dee4"
FAINT, FAINT_ON_DARK = "#d5dbe0", "#3d474f"


@dataclass(frozen=True)
class Plot:
    """A plot for light pages, the same for dark pages, and a description for those who cannot see it."""

    light: str
    dark: str
    description: str


@dataclass(frozen=True)
class Drawing:
    """A figure that is drawn when it is written.

    Args:
        draw: draws on an empty figure.
        size: width and height in inches.
        description: what the figure shows.
    """

    draw: Callable[[Figure], None]
    size: tuple[float, float]
    description: str

    def plot(self) -> Plot:
        """Return the figure for a page, as data URIs."""
        light = self.content("svg").decode()
        dark = light.replace(INK, INK_ON_DARK).replace(FAINT, FAINT_ON_DARK)
        return Plot(_data_uri(light), _data_uri(dark), self.description)

    def content(self, kind: Literal["svg", "png"]) -> bytes:
        """Return the figure as a file of this kind; an SVG has no background, a PNG a white one."""
        content = io.BytesIO()
        with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
            # the font of matplotlib lacks some scripts; the reader's browser has them
            warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
            figure = Figure(figsize=self.size, layout="constrained")
            self.draw(figure)
            if kind == "svg":
                figure.savefig(content, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
            else:
                figure.savefig(content, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
        return content.getvalue()


def learner_colours(learners: Sequence[str], baseline: str) -> dict[str, str]:
    """Return a colour for each learner, the same in every plot."""
    others = [name for name in learners if name != baseline]
    return {baseline: GREY} | {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(others)}


def forest_drawing(rows: Sequence[Score | MeanScore], colours: Mapping[str, str]) -> Drawing:
    """Draw the balanced accuracy of each learner at each number of shots and, beside it, the difference."""
    compared = any(row.difference is not None for row in rows)
    heights, previous_shots, height = [], None, 0.0
    for row in rows:
        height += 1.6 if previous_shots not in (None, row.shots) else 1.0
        previous_shots = row.shots
        heights.append(height)

    def draw(figure: Figure) -> None:
        both = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2)) if compared else [figure.subplots()]
        for axes, field in zip(both, ("balanced_accuracy", "difference"), strict=False):
            for row, place in zip(rows, heights, strict=True):
                _draw_intervals(axes, getattr(row, field), place, colours[row.learner])
            tidy(axes, grid="x")
        chances = {1 / row.ways for row in rows if isinstance(row, Score)}
        for chance in chances:
            _draw_dashes(both[0], 100 * chance)
        both[0].set_yticks(heights, [f"{row.learner} · {name_shots(row.shots)}" for row in rows])
        both[0].set_ylim(height + 0.8, 0.2)
        both[0].set_xlabel("balanced accuracy, %" + ("   (dashed: chance)" if chances else ""))
        if compared:
            _draw_dashes(both[1], 0.0)
            both[1].set_xlabel("difference from the baseline, points")

    groups = len({row.shots for row in rows})
    return Drawing(
        draw,
        (8.4 if compared else 7.2, 0.75 + 0.26 * len(rows) + 0.16 * groups),
        "Balanced accuracy and its difference from the baseline with 95 % intervals: thin for new patients, thick over "
        "episodes.",
    )


def rates_drawing(rows: Sequence[ClassRow], colours: Mapping[str, str]) -> Drawing:
    """Draw the sensitivity and the specificity of each class, for each learner."""
    learners = list(dict.fromkeys(row.score.learner for row in rows))
    heights = [index + 0.6 * learners.index(row.score.learner) for index, row in enumerate(rows, start=1)]

    def draw(figure: Figure) -> None:
        both = figure.subplots(1, 2, sharey=True)
        titles = ("found (sensitivity), %", "others left alone (specificity), %")
        for axes, field, title in zip(both, ("sensitivity", "specificity"), titles, strict=True):
            for row, height in zip(rows, heights, strict=True):
                _draw_intervals(axes, row.estimates[field], height, colours[row.score.learner])
            axes.set_xlim(-2, 102)
            axes.set_xlabel(title)
            tidy(axes, grid="x")
        both[0].set_yticks(heights, [f"{row.score.learner} · {row.name}" for row in rows])
        both[0].set_ylim(max(heights) + 0.8, 0.2)

    return Drawing(
        draw,
        (8.4, 0.75 + 0.26 * max(heights)),
        "Sensitivity and specificity of each class with 95 % intervals: thin for new patients, thick over episodes.",
    )


def learning_curve_drawing(rows: Sequence[Score | MeanScore], colours: Mapping[str, str]) -> Drawing:
    """Draw the balanced accuracy of each learner over the number of labelled patients per class."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for learner in dict.fromkeys(row.learner for row in rows):
            found = [(row.shots, row.balanced_accuracy) for row in rows if row.learner == learner]
            points = sorted((shots, estimate) for shots, estimate in found if estimate is not None)
            if not points:
                continue
            shots = [each for each, _ in points]
            low, high = ([100 * estimate.new_patients[end] for _, estimate in points] for end in (0, 1))
            axes.fill_between(shots, low, high, **_shade(colours[learner]))
            values = [100 * estimate.value for _, estimate in points]
            axes.plot(shots, values, "o-", color=colours[learner], markersize=4, linewidth=1.6, label=learner)
        for chance in {1 / row.ways for row in rows if isinstance(row, Score)}:
            axes.axhline(100 * chance, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        axes.set_xticks(sorted({row.shots for row in rows}))
        axes.set_xlabel("labelled patients per class (shots)")
        axes.set_ylabel("balanced accuracy, %")
        tidy(axes, grid="y")
        _draw_legend(axes, "best")

    return Drawing(draw, (5.2, 3.4), "Balanced accuracy over labelled patients per class; bands are 95 % intervals.")


def roc_drawing(
    panels: Mapping[str, Mapping[str, tuple[RocCurve, str]]], colours: Mapping[str, str], *, columns: int = 1
) -> Drawing:
    """Draw ROC curves.

    Args:
        panels: for each title, the curve of each learner with its area in words.
        colours: the colour of each learner.
        columns: number of panels beside each other.
    """
    lines = -(-len(panels) // columns)

    def draw(figure: Figure) -> None:
        every = figure.subplots(lines, columns, squeeze=False).ravel()
        for axes, (title, curves) in zip(every, panels.items(), strict=False):
            axes.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
            for learner, (curve, area) in curves.items():
                x = 100 * curve.false_positive_rates
                axes.fill_between(x, 100 * curve.low, 100 * curve.high, **_shade(colours[learner]))
                axes.plot(
                    x, 100 * curve.sensitivities, color=colours[learner], linewidth=1.6, label=f"{learner} {area}"
                )
            axes.set_title(title, color=INK, fontsize=9)
            axes.set_xlim(-1, 101)
            axes.set_ylim(-1, 101)
            axes.set_aspect("equal")
            axes.set_xlabel("false alarms (1 − specificity), %")
            axes.set_ylabel("found (sensitivity), %")
            tidy(axes, grid="y")
            _draw_legend(axes, "lower right", "area (AUROC)")
        for axes in every[len(panels) :]:
            axes.set_visible(False)

    return Drawing(
        draw, (3.4 * columns, 3.5 * lines), f"ROC curves with 95 % bands for new patients: {', '.join(panels)}."
    )


def reliability_drawing(curve: ReliabilityCurve, colour: str) -> Drawing:
    """Draw the accuracy at each confidence, above the number of queries with that confidence."""

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

    return Drawing(
        draw,
        (3.3, 3.5),
        f"Reliability over {curve.counts.sum()} queries; calibration error {curve.error:.3f}.",
    )


def tidy(axes: Axes, *, grid: str) -> None:
    """Style the axes: no frame, a faint grid, text in one colour."""
    axes.spines[:].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="x" if grid == "x" else "y", color=FAINT, linewidth=0.7)
    axes.tick_params(colors=INK, length=0)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def _shade(colour: str) -> dict[str, Any]:
    return {"color": colour, "alpha": 0.12, "linewidth": 0}


def _draw_intervals(axes: Axes, estimate: Estimate | None, height: float, colour: str) -> None:
    if estimate is None:
        return
    for interval, thickness in ((estimate.new_patients, 1.4), (estimate.over_episodes, 4.2)):
        ends = [100 * end for end in interval]
        axes.plot(ends, [height, height], color=colour, linewidth=thickness, solid_capstyle="butt")
    axes.plot([100 * estimate.value], [height], "o", color=colour, markersize=5.5)


def _draw_dashes(axes: Axes, place: float) -> None:
    axes.axvline(place, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)


def _draw_legend(axes: Axes, place: Literal["best", "lower right"], title: str = "") -> None:
    if axes.get_legend_handles_labels()[0]:
        legend = axes.legend(frameon=False, loc=place, labelcolor=INK, fontsize=8, title=title, title_fontsize=8)
        legend.get_title().set_color(INK)


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
