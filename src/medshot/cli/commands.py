"""The sub-commands. Heavy modules are imported when a command runs, so that `--help` is instant."""

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
    note,
    numbers,
    shares,
    write_out,
)

Out = Annotated[Path, typer.Option(help="New folder to write to.")]


def quickstart(
    out: Out = Path("quickstart"),
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Meta-train, adapt, predict and evaluate on built-in simulated tasks, in under a minute.

    Example: medshot quickstart --out quickstart
    """
    from medshot.cli.quickstart import run_quickstart

    run_quickstart(out, seed=seed, device=device, as_json=as_json)


def meta_train(
    tasks: Annotated[list[Path], typer.Argument(help="Folders, CSV manifests or MedMNIST files.")],
    out: Out,
    learner: Annotated[str, typer.Option(help="What to meta-train.")] = "metal",
    steps: Annotated[int, typer.Option(help="Outer steps at most.")] = 1000,
    shots: Annotated[
        str, typer.Option(help="Labelled patients per class; each batch draws one of these.")
    ] = "1,3,5,10",
    queries: Annotated[int, typer.Option(help="Query patients per class.")] = 10,
    ways: Annotated[int, typer.Option(help="Classes at most; each batch draws from 2 to this.")] = 4,
    batch: Annotated[int, typer.Option(help="Tasks in a batch.")] = 4,
    encoder: Encoder = None,
    size: Size = None,
    channels: Channels = None,
    dimensions: Dimensions = None,
    cut: Cut = None,
    images: Images = None,
    learning_rate: Annotated[float, typer.Option(help="Of the outer loop.")] = 0.001,
    label: Label = "label",
    keep: Keep = None,
    seed: Seed = 0,
    device: Device = "cpu",
    engine: Annotated[str | None, typer.Option(help="loop, vmap or chunk:N; measured if left out.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished run in --out.")] = False,
    as_json: Json = False,
) -> None:
    """Meta-train a learner on many tasks and write a run folder.

    Example: medshot meta-train tasks/ --learner metal --out run
    """
    from medshot.cli.making import input_shape, make
    from medshot.learners.runs import meta_train_into
    from medshot.tasks import load_tasks
    from medshot.training import BatchSettings, OuterSettings

    settings = OuterSettings(
        steps=steps,
        learning_rate=learning_rate,
        seed=seed,
        batch=BatchSettings(tasks=batch, ways=ways, shots=numbers(shots, "--shots"), queries=queries),
    )
    made = make(learner, input_shape(encoder, size, channels, dimensions, cut, images), seed=seed)
    loaded = [task for path in tasks for task in load_tasks(path, label=label, keep=kept(keep))]
    for task in loaded:
        note(task.describe())
    meta_train_into(out, made, loaded, settings, resume=resume, device=device, engine=engine)
    if as_json:
        write_out(made.record().model_dump())
    else:
        print(f"The run is in {out}. Next: medshot adapt DATA --from {out} --shots 5 --out model")


def train_encoder(
    tasks: Annotated[list[Path], typer.Argument(help="Folders, CSV manifests or MedMNIST files.")],
    out: Out,
    objective: Annotated[str, typer.Option(help="supervised, episodic or self-supervised.")] = "supervised",
    steps: Annotated[int, typer.Option(help="Steps of training.")] = 600,
    label: Label = "label",
    keep: Keep = None,
    seed: Seed = 0,
    device: Device = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the unfinished encoder in --out.")] = False,
    as_json: Json = False,
) -> None:
    """Train an encoder of your own across tasks, from lite0, and write a folder that --encoder takes.

    Tasks that share an image with these are refused by evaluate with this encoder.

    Example: medshot train-encoder tasks/ --out encoder
    """
    from medshot.networks.encoders.folder import read_record
    from medshot.tasks import load_tasks
    from medshot.training.encoders import EncoderSettings, train_encoder_into

    settings = EncoderSettings(objective=objective, steps=steps, seed=seed)
    loaded = [task for path in tasks for task in load_tasks(path, label=label, keep=kept(keep))]
    for task in loaded:
        note(task.describe())
    train_encoder_into(out, loaded, settings, resume=resume, device=device)
    if as_json:
        write_out(read_record(out).model_dump())
    else:
        print(f"The encoder is in {out}. Next: medshot evaluate HELD_OUT --encoder {out} --learners logistic")


def adapt(
    data: Annotated[Path, typer.Argument(help="One labelled task: a folder, a CSV manifest or a MedMNIST file.")],
    out: Out,
    run: Annotated[Path | None, typer.Option("--from", help="Run folder of the learner to adapt.")] = None,
    learner: Annotated[
        str | None, typer.Option(help="A learner that needs no meta-training, instead of --from.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="reference: METAL exactly as published (with --learner metal).")
    ] = None,
    shots: Annotated[int | None, typer.Option(help="Draw this many patients per class; all if left out.")] = None,
    encoder: Encoder = None,
    size: Size = None,
    channels: Channels = None,
    dimensions: Dimensions = None,
    cut: Cut = None,
    images: Images = None,
    label: Label = "label",
    keep: Keep = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Adapt a learner to a new task from a few labelled images and write a model folder.

    With --from, the learner takes what it was trained on, whatever --encoder, --size, --channels, --dimensions,
    --cut and --images say.

    Example: medshot adapt new_task/ --from run --shots 5 --out model
    """
    from medshot.cli.adapting import adapt_to
    from medshot.cli.making import input_shape

    shape = input_shape(encoder, size, channels, dimensions, cut, images, learner=learner)
    model = adapt_to(data, out, run, learner, preset, shots, shape=shape, label=label, keep=kept(keep), seed=seed)
    if as_json:
        write_out(model)
    else:
        print(f"The model is in {out}. Next: medshot predict {out} IMAGES --out predictions.csv")


def predict(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    images: Annotated[
        list[Path], typer.Argument(help="Image files, or folders of them; volumes where the model takes volumes.")
    ],
    out: Annotated[Path | None, typer.Option(help="New CSV file; stdout if left out.")] = None,
    prevalence: Annotated[
        list[str] | None,
        typer.Option(help="How common a class is where the images come from: CLASS=SHARE, once per class."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Classify images with an adapted model: image, predicted class, probabilities, and a warning where one is due.

    Example: medshot predict model scans/ --out predictions.csv
    """
    from medshot.cli.predicting import predict_files, print_rows, write_rows
    from medshot.storage import refuse_existing

    if out is not None:
        refuse_existing(out)
    rows = predict_files(model, images, shares(prevalence))
    if out is not None:
        write_rows(out, rows)
        note(f"{len(rows)} predictions are in {out}; {sum(bool(row['warning']) for row in rows)} carry a warning.")
    if as_json:
        write_out({"predictions": rows})
    elif out is None:
        print_rows(rows)


def next_images(
    model: Annotated[Path, typer.Argument(help="Model folder.")],
    unlabelled: Annotated[
        Path, typer.Argument(help="Folder of images without labels, or a manifest with image and perhaps patient.")
    ],
    strategy: Annotated[
        str, typer.Option(help="learned, margin, clue, typical, coverage or random; see docs/next.md.")
    ] = "typical",
    count: Annotated[int, typer.Option(min=1, help="How many images, of as many patients.")] = 10,
    out: Annotated[Path | None, typer.Option(help="New CSV file; stdout if left out.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Say which images to label next: rank, image, score, and why.

    At most one image of a patient is listed, as far as a manifest, copies or DICOM headers tell who is who.

    Example: medshot next model scans/ --count 20 --out to_label.csv
    """
    from medshot.cli.labelling import next_files
    from medshot.cli.predicting import print_rows, write_rows
    from medshot.storage import refuse_existing

    if out is not None:
        refuse_existing(out)
    rows = next_files(model, unlabelled, strategy=strategy, count=count, seed=seed)
    if out is not None:
        write_rows(out, rows)
        note(f"{len(rows)} images to label are in {out}.")
    if as_json:
        write_out({"strategy": strategy, "images": rows})
    elif out is None:
        print_rows(rows)


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

    Each with a 90 % interval, from cross-validation over the patients there are and from learning curves of past tasks.
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


def learners(as_json: Json = False) -> None:
    """List all learners: what they do, where they were published, and what adapting them costs.

    Example: medshot learners --json
    """
    from medshot.cli.listing import learner_facts, print_learners
    from medshot.learners import LEARNERS

    found = learner_facts(LEARNERS)
    for sentence in LEARNERS.broken:
        note(sentence)
    if as_json:
        write_out(found)
    else:
        print_learners(found)


def info(
    folder: Annotated[Path, typer.Argument(help="Run or model folder.")],
    as_json: Json = False,
) -> None:
    """Say what a run or a model folder holds, without loading it.

    Example: medshot info run --json
    """
    from medshot.cli.describing import describe, facts

    if as_json:
        write_out(facts(folder))
    else:
        print(describe(folder))
