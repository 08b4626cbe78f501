"""The sub-commands that learn across tasks."""

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
    Out,
    Seed,
    Size,
    kept,
    note,
    numbers,
    write_out,
)


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
    from medshot.learners.run import meta_train
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
    meta_train(made, loaded, settings=settings, folder=out, resume=resume, device=device, engine=engine)
    if as_json:
        write_out(made.record().model_dump())
    else:
        print(f"The run is in {out}. Next: medshot adapt DATA --from {out} --shots 5 --out model")


def train_encoder(
    tasks: Annotated[list[Path], typer.Argument(help="Folders, CSV manifests or MedMNIST files.")],
    out: Out,
    objective: Annotated[str, typer.Option(help="supervised, episodic or self-supervised.")] = "supervised",
    parameters: Annotated[str, typer.Option(help="What is trained: all, modulation or low-rank.")] = "all",
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
    from medshot.encoders.folder import read_record
    from medshot.tasks import load_tasks
    from medshot.training.pretraining import EncoderSettings, train_encoder_into

    settings = EncoderSettings(objective=objective, parameters=parameters, steps=steps, seed=seed)
    loaded = [task for path in tasks for task in load_tasks(path, label=label, keep=kept(keep))]
    for task in loaded:
        note(task.describe())
    train_encoder_into(out, loaded, settings, resume=resume, device=device)
    if as_json:
        write_out(read_record(out).model_dump())
    else:
        print(f"The encoder is in {out}. Next: medshot evaluate HELD_OUT --encoder {out} --learners logistic")
