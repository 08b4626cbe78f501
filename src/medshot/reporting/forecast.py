"""The picture of a forecast: expected accuracy by number of labels, within its interval."""

import io
from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

from medshot.reporting.figures import INK, PALETTE, SETTINGS, tidy
from medshot.selection.forecasting import Expected


def learning_curve(expected: Sequence[Expected], chance: float, coverage: float) -> bytes:
    """An SVG picture of balanced accuracy over labelled patients per class.

    Args:
        expected: by increasing number of patients.
        chance: the accuracy of guessing.
        coverage: of the intervals, from 0 to 1.
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
