"""`medshot evaluate`: score learners on held-out tasks, print a table and write a report."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from medshot.cli.options import (
    DATA,
    EPISODES,
    LEARNER,
    OUTPUT,
    Channels,
    Cut,
    Device,
    Dimensions,
    Encoder,
    ImageColumn,
    Images,
    JoinLabels,
    Json,
    Keep,
    Label,
    PatientColumn,
    Seed,
    Size,
    note,
    parse_keep,
    parse_numbers,
    parse_prevalence,
    print_json,
)
from medshot.errors import InputError


def evaluate(
    tasks: Annotated[list[Path], typer.Argument(help="Held-out tasks: folders, CSV manifests or MedMNIST files.")],
    runs: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Run folder of a meta-trained learner; may be repeated.", rich_help_panel=LEARNER),
    ] = None,
    learners: Annotated[
        str,
        typer.Option(
            help="Names of learners that need no meta-training, separated by commas.", rich_help_panel=LEARNER
        ),
    ] = "scratch,logistic",
    baseline: Annotated[
        str,
        typer.Option(
            help="Learner that all others are compared with; it is added if --learners leaves it out.",
            rich_help_panel=LEARNER,
        ),
    ] = "logistic",
    shots: Annotated[
        str,
        typer.Option(
            help="Labelled patients per class; each number that a task has patients for is evaluated.",
            rich_help_panel=EPISODES,
        ),
    ] = "1,5,10",
    episodes: Annotated[
        int, typer.Option(help="Episodes per task and number of shots.", rich_help_panel=EPISODES)
    ] = 100,
    queries: Annotated[
        int, typer.Option(help="Maximum number of query patients per class and episode.", rich_help_panel=EPISODES)
    ] = 25,
    sensitivity: Annotated[
        float | None,
        typer.Option(
            help="Also score each class at a threshold chosen on the support for this sensitivity, for example 0.95.",
            rich_help_panel=EPISODES,
        ),
    ] = None,
    prevalence: Annotated[
        list[str] | None,
        typer.Option(
            help="Share of a class where it is to be used, for predictive values: CLASS=SHARE. May be repeated.",
            rich_help_panel=LEARNER,
        ),
    ] = None,
    encoder: Encoder = None,
    size: Size = None,
    channels: Channels = None,
    dimensions: Dimensions = None,
    cut: Cut = None,
    images: Images = None,
    without_seen: Annotated[
        bool,
        typer.Option(
            "--without-seen",
            help="Leave out patients with images that a learner or its encoder was trained on, and go on.",
            rich_help_panel=DATA,
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="New folder for report.html, figures, and results as JSON, CSV, Markdown and LaTeX.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    table: Annotated[
        Literal["csv", "latex", "markdown"] | None,
        typer.Option(help="Print the tables in this format.", rich_help_panel=OUTPUT),
    ] = None,
    label: Label = "label",
    keep: Keep = None,
    image: ImageColumn = None,
    patient: PatientColumn = None,
    join_labels: JoinLabels = False,
    label_table: Annotated[
        Path | None,
        typer.Option(
            help="CSV with a row for each patient and its label (--table of other commands).", rich_help_panel=DATA
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Score learners on tasks that they were not trained on: the same episodes for all, with 95 % intervals.

    With --from, all learners take the input of the first run; options under Images have no effect.

    Each class has its sensitivity, specificity and AUROC; with --prevalence, its predictive values, too.

    Example: medshot evaluate held_out/ --from run --learners scratch,logistic --shots 1,5,10 --out evaluation
    """
    from medshot.cli.checking import check_device, check_folder, check_images, check_new, check_paths, check_ready

    numbers, kept, shares = parse_numbers(shots, "--shots"), parse_keep(keep), parse_prevalence(prevalence) or {}
    if as_json and table is not None:
        raise InputError("--table and --json both print the results; take one of them.")
    given = [name for name in learners.split(",") if name]
    for name in given:
        check_ready(name)
    for run in runs or []:
        check_folder(run, "run")
    check_images(encoder, size, channels, dimensions, cut, images)
    check_device(device)
    check_paths(tasks)
    check_new(out)

    from rich.console import Console

    from medshot import evaluation
    from medshot.cli.loading import input_spec, load_all, make_and_load, note_cuts
    from medshot.errors import StorageError
    from medshot.evaluation.outcome_log import outcomes_of
    from medshot.reporting import classes_table, results_table, write_evaluation, write_table
    from medshot.selection.outcomes import record_outcomes
    from medshot.storage import new_folder, printable_path
    from medshot.tasks.columns import DataOptions
    from medshot.training import resolve_device

    protocol = evaluation.Protocol(
        shots=numbers,
        episodes=episodes,
        queries=queries,
        seed=seed,
        baseline=baseline,
        sensitivity=sensitivity,
        prevalence=shares,
    )
    spec = input_spec(encoder, size, channels, dimensions, cut, images)
    place = resolve_device(device)
    scored = make_and_load(runs or [], given, spec)
    if baseline not in scored:
        check_ready(baseline)
        note(f"{baseline} is evaluated too, because it is the baseline.")
        scored = make_and_load(runs or [], [*given, baseline], spec)
    options = DataOptions(label, kept, image, patient, join_labels, label_table)
    loaded = load_all(tasks, options)
    left_out: list[str] = []
    if without_seen:
        loaded, left_out = evaluation.leave_out_training_images(list(scored.values()), loaded)
        for sentence in left_out:
            note(sentence)
    note_cuts(scored.values(), loaded)
    command = printable_path(shlex.join(["medshot", *sys.argv[1:]]))
    results, cells = evaluation.evaluate(scored, loaded, protocol, device=place, command=command, notes=left_out)
    if out is not None:
        with new_folder(out) as folder:
            write_evaluation(folder, results, cells)
    if as_json:
        print_json(results.to_json())
    elif table is not None:
        print(write_table(results, table), end="")
    else:
        Console().print(results_table(results))
        if (by_class := classes_table(results)) is not None:
            Console().print(by_class)
    if out is not None:
        note(f"The report is {out / 'report.html'}; open it in a browser.")
    try:
        record_outcomes(outcomes_of(cells, scored))
    except StorageError as error:  # the results are complete without it
        note(f"The outcomes were not recorded for auto: {error}")
