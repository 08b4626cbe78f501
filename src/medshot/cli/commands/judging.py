"""The sub-commands that judge learners and data."""

from pathlib import Path
from typing import Annotated

import typer

from medshot.cli.options import (
    Channels,
    Cut,
    Device,
    Dimensions,
    Encoder,
    Images,
    Json,
    Keep,
    Label,
    Seed,
    Size,
    kept,
    numbers,
)


def evaluate(
    tasks: Annotated[list[Path], typer.Argument(help="Held-out tasks: folders, CSV manifests or MedMNIST files.")],
    runs: Annotated[list[Path] | None, typer.Option("--from", help="Run folder; may be repeated.")] = None,
    learners: Annotated[str, typer.Option(help="Learners that need no meta-training.")] = "scratch,logistic",
    baseline: Annotated[str, typer.Option(help="The learner that differences are taken to.")] = "logistic",
    shots: Annotated[str, typer.Option(help="Labelled patients per class, each evaluated by itself.")] = "1,5,10",
    episodes: Annotated[int, typer.Option(help="Draws per task and shots.")] = 100,
    queries: Annotated[int, typer.Option(help="Query patients per class and episode at most.")] = 25,
    encoder: Encoder = None,
    size: Size = None,
    channels: Channels = None,
    dimensions: Dimensions = None,
    cut: Cut = None,
    images: Images = None,
    out: Annotated[Path | None, typer.Option(help="New folder for results.json, results.md and report.html.")] = None,
    label: Label = "label",
    keep: Keep = None,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Score learners on tasks that they never saw: the same episodes for all, intervals by default.

    With --from, all learners take what the first run takes, whatever --encoder, --size, --channels, --dimensions,
    --cut and --images say.

    Example: medshot evaluate held_out/ --from run --learners scratch,logistic --shots 1,5,10 --out evaluation
    """
    from medshot.cli.evaluating import evaluate_paths, remember_for_auto, report_on
    from medshot.cli.making import input_shape
    from medshot.evaluation import Protocol

    protocol = Protocol(
        shots=numbers(shots, "--shots"), episodes=episodes, queries=queries, seed=seed, baseline=baseline
    )
    results, cells, scored = evaluate_paths(
        tasks,
        runs or [],
        [name for name in learners.split(",") if name],
        protocol,
        shape=input_shape(encoder, size, channels, dimensions, cut, images),
        label=label,
        keep=kept(keep),
        device=device,
        out=out,
    )
    report_on(results, cells, out, as_json=as_json)
    remember_for_auto(cells, scored)


def forecast(
    data: Annotated[Path, typer.Argument(help="One labelled task: a folder, a CSV manifest or a MedMNIST file.")],
    run: Annotated[Path | None, typer.Option("--from", help="Run folder of a learner.")] = None,
    learner: Annotated[
        str | None, typer.Option(help="A learner that needs no meta-training; logistic if left out.")
    ] = None,
    encoder: Encoder = None,
    size: Size = None,
    channels: Channels = None,
    dimensions: Dimensions = None,
    cut: Cut = None,
    images: Images = None,
    out: Annotated[Path | None, typer.Option(help="New folder for forecast.json and forecast.svg.")] = None,
    label: Label = "label",
    keep: Keep = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Say what balanced accuracy to expect now and after 5, 10 and 20 more labelled patients per class.

    Each with an 80 % interval, from cross-validation over these patients and from learning curves of past tasks.
    Needs two patients per class; with --from, the learner takes what it was trained on.

    Example: medshot forecast new_task/ --out forecast
    """
    from medshot.cli.forecasting import forecast_for, report_on
    from medshot.cli.making import input_shape

    shape = input_shape(encoder, size, channels, dimensions, cut, images)
    found = forecast_for(data, run, learner, out, shape=shape, label=label, keep=kept(keep), seed=seed)
    report_on(found, out, as_json=as_json)


def check(
    data: Annotated[list[Path], typer.Argument(help="Folders, CSV manifests or MedMNIST files; compared if several.")],
    out: Annotated[
        Path | None, typer.Option(help="New folder for report.html, findings.json and findings.csv.")
    ] = None,
    label: Label = "label",
    split: Annotated[str, typer.Option(help="Manifest column that holds a given split, where there is one.")] = "split",
    keep: Keep = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="lite0 (if left out), or another, to suspect labels by its features, up to 20,000 images; none skips "
            "that."
        ),
    ] = None,
    deidentified: Annotated[
        Path | None, typer.Option("--deidentify", help="New folder for a copy without names, dates and ages.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Say what is wrong with labelled data before anything is trained on it; the data is only read.

    Finds unreadable and odd images, copies and near copies within a task and across classes, splits and tasks,
    patients on both sides of a split, shortcuts that give the label away, suspect labels, and names, ages and dates.
    Exits with 0 if nothing is harmful, 1 if something is, and 2 if there is nothing to check.

    Example: medshot check tasks/ --out checked
    """
    from medshot.cli.checking import check_data, report_on
    from medshot.cli.deidentifying import deidentify_into
    from medshot.storage import refuse_existing

    for new in filter(None, (out, deidentified)):
        refuse_existing(new)
    checked = check_data(data, label=label, split=split, keep=kept(keep), encoder=encoder, seed=seed)
    copied = deidentify_into(data, deidentified) if deidentified else None
    report_on(checked, out, copied, as_json=as_json)
    if checked.verdict.harmful:
        raise typer.Exit(1)
