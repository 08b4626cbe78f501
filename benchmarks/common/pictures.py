"""Pictures of the pages: horizontal lines, one per learner or data set, drawn the same way each time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure


@contextmanager
def drawn_lines(path: Path, names: Sequence[str], margin: float, spacing: float) -> Iterator[Axes]:
    """Give axes with a name at each height, and write the picture at the end.

    Args:
        path: of the picture.
        names: from the bottom up.
        margin: height of the picture beside its lines, in inches.
        spacing: height of a line, in inches.
    """
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "medshot", "font.size": 9}):
        figure = Figure(figsize=(7.2, margin + spacing * len(names)), layout="constrained")
        axes = figure.subplots()
        yield axes
        axes.set_yticks(range(len(names)), names)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="x", color="#d5dbe0", linewidth=0.7)
        axes.set_axisbelow(True)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
