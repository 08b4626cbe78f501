"""Learning curves of past tasks: what a support showed, and how well its learner then did as labels were added."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medshot.errors import StorageError
from medshot.selection.forecasting.signs import Signs
from medshot.storage import read_json, write_json

MORE = (0, 5, 10, 20)
"""Labelled patients per class that are added to those there are."""
STORE = Path(__file__).with_name("curves.json")
DIGITS = 4


@dataclass(frozen=True)
class Curve:
    """One support that was drawn from a task, and what became of it.

    Args:
        source: the data sets that are left out together with it.
        task: that it was drawn from.
        signs: what the support showed.
        accuracies: balanced accuracy on patients held out, with each number of `MORE` added to the support; None where
            the task has too few patients.
    """

    source: str
    task: str
    signs: Signs
    accuracies: tuple[float | None, ...]


def write_curves(path: Path, curves: Sequence[Curve], about: dict[str, str]) -> None:
    """Write curves as columns of JSON, with what they are about."""
    rows = [_flat(curve) for curve in curves]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    write_json(path, {"about": about, "more": MORE, "columns": columns})


def read_curves(path: Path = STORE) -> list[Curve]:
    """The curves of a file; those that come with medshot where none is named.

    Raises:
        StorageError: the file is missing or holds no curves of this version.
    """
    content = read_json(path)
    try:
        if tuple(content["more"]) != MORE:
            raise ValueError("of other numbers of labels")
        columns = content["columns"]
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return [_curve(row) for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} does not hold learning curves ({error}); install medshot anew.") from error


def _flat(curve: Curve) -> dict[str, Any]:
    """A curve as one row of the table, numbers rounded to what their noise allows to be read."""
    accuracies = {f"after {more}": value for more, value in zip(MORE, curve.accuracies, strict=True)}
    row = {"source": curve.source, "task": curve.task} | asdict(curve.signs) | accuracies
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in row.items()}


def _curve(row: dict[str, Any]) -> Curve:
    accuracies = tuple(row.pop(f"after {more}") for more in MORE)
    source, task = row.pop("source"), row.pop("task")
    return Curve(source, task, Signs(**row), accuracies)
