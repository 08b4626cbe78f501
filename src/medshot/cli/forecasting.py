"""What `medshot forecast` does: a labelled task in, expected accuracy now and after more labels out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from medshot.cli.adapting import one_task
from medshot.cli.making import make_ready
from medshot.cli.options import note, write_out
from medshot.encoders import EncodedInput
from medshot.errors import InputError
from medshot.evaluation import refuse_overlap
from medshot.evaluation.protocol import unknowing
from medshot.imaging import InputSpec
from medshot.learners import load_learner
from medshot.reporting.data_check import learning_curve
from medshot.selection.forecasting import COVERAGE, Expected, Forecaster, read_curves
from medshot.selection.task_features import signs_of
from medshot.storage import new_folder, refuse_existing, write_bytes, write_json

LEARNER = "logistic"
UNIT = "labelled patients per class"


def forecast_for(
    data: Path,
    run: Path | None,
    learner: str | None,
    out: Path | None,
    *,
    shape: InputSpec,
    label: str,
    keep: Mapping[str, Sequence[str]],
    seed: int,
) -> dict[str, Any]:
    """What to expect of the task at `data`, written to the folder `out` where one is given.

    Raises:
        InputError: there is not exactly one task, it has more labels than past curves, or the run was trained on it.
        TooFewPatients: a class has fewer than two patients.
    """
    if out is not None:
        refuse_existing(out)
    if run is not None and learner is not None:
        raise InputError("Give either --from RUN or --learner NAME, and not both.")
    made = load_learner(run) if run is not None else make_ready(learner or LEARNER, shape, seed=seed)
    task = one_task(data, label, keep, "forecast")
    refuse_overlap(made, [task])
    forecaster = Forecaster([curve for curve in read_curves() if task.source not in curve.source.split(" and ")])
    shots = min(map(len, task.members))
    if shots > forecaster.most:
        raise InputError(
            f"Task '{task.name}' has {shots} {UNIT}, and past curves begin at {forecaster.least} to {forecaster.most}; "
            "so many can be split and measured: see medshot evaluate."
        )
    if made.name != LEARNER or made.input_spec != EncodedInput():
        note(f"Past curves are of {LEARNER} on features of lite0; intervals of anything else were not tested.")
    with unknowing([made], [task]):
        signs = signs_of(task, made, np.random.default_rng(seed))
    found = {
        "task": task.name,
        "learner": made.name,
        "unit": UNIT,
        "labelled": dict(zip(task.classes, map(len, task.members), strict=True)),
        "coverage": COVERAGE,
        "chance": 1 / signs.ways,
        "cross_validation": asdict(signs),
        "balanced_accuracy": [asdict(expected) for expected in forecaster(signs)],
    }
    if out is not None:
        with new_folder(out) as folder:
            write_json(folder / "forecast.json", found)
            write_bytes(folder / "forecast.svg", learning_curve(_expected(found), 1 / signs.ways, COVERAGE))
    return found


def report_on(found: Mapping[str, Any], out: Path | None, *, as_json: bool) -> None:
    """Print the forecast."""
    if as_json:
        write_out(found)
    else:
        Console().print(_table(found))
    if out is not None:
        note(f"The forecast is in {out}: forecast.json and forecast.svg.")


def _expected(found: Mapping[str, Any]) -> list[Expected]:
    return [Expected(**row) for row in found["balanced_accuracy"]]


def _table(found: Mapping[str, Any]) -> Table:
    table = Table(
        "More labels",
        f"{UNIT[0].upper()}{UNIT[1:]}",
        "Balanced accuracy",
        f"{found['coverage']:.0%} interval",
        box=box.SIMPLE,
        title=f"{found['task']}: what to expect of {found['learner']}",
        caption=f"Chance is {found['chance']:.0%}. A class counts as many patients as the rarest one has.",
    )
    for row in _expected(found):
        more = "now" if row.more == 0 else f"{row.more} more per class"
        table.add_row(more, str(row.shots), f"{row.accuracy:.0%}", f"{row.low:.0%} to {row.high:.0%}")
    return table
