"""`medshot forecast`: the accuracy to expect of one task now and after more labels."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from medshot.cli.options import (
    LEARNER,
    OUTPUT,
    SCHEMA,
    Channels,
    Cut,
    Dimensions,
    Encoder,
    Images,
    Json,
    Keep,
    Label,
    OneTask,
    Run,
    Seed,
    Size,
    note,
    parse_keep,
    print_json,
)
from medshot.errors import InputError

DEFAULT_LEARNER = "logistic"
UNIT = "labelled patients per class"


def forecast(
    data: OneTask,
    run: Run = None,
    learner: Annotated[
        str | None,
        typer.Option(help="Name of a learner that needs no meta-training. Default: logistic.", rich_help_panel=LEARNER),
    ] = None,
    encoder: Encoder = None,
    size: Size = None,
    channels: Channels = None,
    dimensions: Dimensions = None,
    cut: Cut = None,
    images: Images = None,
    out: Annotated[
        Path | None, typer.Option(help="New folder for forecast.json and forecast.svg.", rich_help_panel=OUTPUT)
    ] = None,
    label: Label = "label",
    keep: Keep = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Forecast the balanced accuracy now and after 5, 10 and 20 more labelled patients per class.

    Each forecast has an 80 % interval; it combines cross-validation on these patients with curves of past tasks.
    Each class needs at least two patients.
    With --from, the learner takes the input that it was trained on; options under Images have no effect.

    Example: medshot forecast new_task/ --out forecast
    """
    from medshot.cli.checking import check_images, check_new, check_paths, check_source

    kept = parse_keep(keep)
    name = DEFAULT_LEARNER if run is None and learner is None else learner
    check_source(run, name)
    check_images(encoder, size, channels, dimensions, cut, images)
    check_paths([data])
    check_new(out)

    from dataclasses import asdict

    import numpy as np

    from medshot.cli.loading import input_spec, load_one, make_or_load
    from medshot.encoders import EncodedInput
    from medshot.evaluation import refuse_overlap
    from medshot.evaluation.protocol import leave_task_out
    from medshot.reporting.data_check import learning_curve
    from medshot.selection.forecasting import COVERAGE, Forecaster, read_curves
    from medshot.selection.outcomes import sources_of
    from medshot.selection.task_features import task_features
    from medshot.storage import new_folder, write_bytes, write_json

    spec = input_spec(encoder, size, channels, dimensions, cut, images)
    task = load_one(data, label, kept, "forecast")
    made = make_or_load(run, name, spec, task.images, seed=seed)
    refuse_overlap(made, [task])
    every, own = read_curves(), sources_of(task)
    curves = [curve for curve in every if own.isdisjoint(curve.source.split(" and "))]
    forecaster = Forecaster(curves)
    shots = min(map(len, task.members))
    if shots > forecaster.most:
        raise InputError(
            f"Task '{task.name}' has {shots} {UNIT}, but past curves begin at {forecaster.least} to {forecaster.most}; "
            "with so many, split the task and measure the accuracy: see medshot evaluate."
        )
    with leave_task_out([made], [task]):
        features = task_features(task, made, np.random.default_rng(seed))
    expected = forecaster(features)
    notes = [
        f"The forecast is for {made.name} on {made.input_spec.describe()}"
        + ("; for another learner give --learner NAME or --from RUN." if run is None and learner is None else "."),
        "This data set is among those of the past curves; its curves are left out."
        if len(curves) < len(every)
        else f"This data set is not among the {len({curve.source for curve in every})} of the past curves.",
        f"Cross-validation on these patients alone gives {features.accuracy:.0%}; the row 'now' also takes "
        "into account how past tasks went on from such a value.",
    ]
    if made.name != DEFAULT_LEARNER or made.input_spec != EncodedInput():
        notes.append(f"Past curves are of {DEFAULT_LEARNER} on features of lite0; other intervals were not tested.")
    if any(later.accuracy < earlier.accuracy for earlier, later in pairwise(expected)):
        notes.append(
            "The expected accuracy falls with more labels: the fall is smaller than the error of the forecast, so read "
            "it as no gain, not as a loss."
        )
    found = {
        "schema": SCHEMA,
        "task": task.name,
        "learner": made.name,
        "unit": UNIT,
        "labelled": dict(zip(task.classes, map(len, task.members), strict=True)),
        "coverage": COVERAGE,
        "chance": 1 / features.ways,
        "cross_validation": asdict(features),
        "balanced_accuracy": [asdict(row) for row in expected],
        "notes": notes,
    }
    if out is not None:
        with new_folder(out) as folder:
            write_json(folder / "forecast.json", found)
            write_bytes(folder / "forecast.svg", learning_curve(expected, 1 / features.ways, COVERAGE))
    if as_json:
        print_json(found)
    else:
        _print_table(found)
    for sentence in notes:
        note(sentence)
    if out is not None:
        note(f"The forecast is in {out}: forecast.json and forecast.svg.")


def _print_table(found: Mapping[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "More labels",
        f"{UNIT[0].upper()}{UNIT[1:]}",
        "Balanced accuracy",
        f"{found['coverage']:.0%} interval",
        box=box.SIMPLE,
        title=f"{found['task']}: forecast for {found['learner']}",
        caption=f"Chance is {found['chance']:.0%}. The number of patients is that of the rarest class.",
    )
    for row in found["balanced_accuracy"]:
        more = "now" if row["more"] == 0 else f"{row['more']} more per class"
        table.add_row(more, str(row["shots"]), f"{row['accuracy']:.0%}", f"{row['low']:.0%} to {row['high']:.0%}")
    Console().print(table)
