"""`medshot meta-train`: meta-train a learner on many tasks and write a run folder."""

from typing import Annotated

import typer

from medshot.cli.options import (
    COMPUTING,
    EPISODES,
    LEARNER,
    OUTPUT,
    SCHEMA,
    TRAINING,
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
    LabelTable,
    Out,
    PatientColumn,
    Seed,
    Size,
    Tasks,
    parse_keep,
    parse_numbers,
    print_json,
)


def meta_train(
    tasks: Tasks,
    out: Out,
    learner: Annotated[str, typer.Option(help="Name of the learner.", rich_help_panel=LEARNER)] = "metal",
    steps: Annotated[int, typer.Option(help="Maximum number of outer steps.", rich_help_panel=TRAINING)] = 1000,
    shots: Annotated[
        str,
        typer.Option(
            help="Labelled patients per class; each batch uses one of these numbers.", rich_help_panel=EPISODES
        ),
    ] = "1,3,5,10",
    queries: Annotated[int, typer.Option(help="Query patients per class.", rich_help_panel=EPISODES)] = 10,
    ways: Annotated[
        int,
        typer.Option(
            help="Maximum number of classes; each batch uses a number from 2 to this.", rich_help_panel=EPISODES
        ),
    ] = 4,
    batch: Annotated[int, typer.Option(help="Tasks per batch.", rich_help_panel=EPISODES)] = 4,
    encoder: Encoder = None,
    size: Size = None,
    channels: Channels = None,
    dimensions: Dimensions = None,
    cut: Cut = None,
    images: Images = None,
    learning_rate: Annotated[
        float, typer.Option(help="Learning rate of the outer loop.", rich_help_panel=TRAINING)
    ] = 0.001,
    label: Label = "label",
    keep: Keep = None,
    image: ImageColumn = None,
    patient: PatientColumn = None,
    join_labels: JoinLabels = False,
    table: LabelTable = None,
    seed: Seed = 0,
    device: Device = "cpu",
    engine: Annotated[
        str | None,
        typer.Option(help="loop, vmap or chunk:N. Default: the fastest, by a trial.", rich_help_panel=COMPUTING),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the unfinished run in --out.", rich_help_panel=OUTPUT)
    ] = False,
    as_json: Json = False,
) -> None:
    """Meta-train a learner on many tasks and write a run folder.

    Example: medshot meta-train tasks/ --learner metal --out run
    """
    from medshot.cli.checking import check_device, check_images, check_learner, check_paths, check_training_folder

    numbers, kept = parse_numbers(shots, "--shots"), parse_keep(keep)
    check_learner(learner)
    check_images(encoder, size, channels, dimensions, cut, images)
    check_device(device)
    check_paths(tasks)
    check_training_folder(out, "run.json", resume=resume)

    from medshot.cli.loading import input_spec, load_all
    from medshot.learners import create, input_for
    from medshot.tasks.columns import DataOptions
    from medshot.training import BatchSettings, OuterSettings

    settings = OuterSettings(
        steps=steps,
        learning_rate=learning_rate,
        seed=seed,
        batch=BatchSettings(tasks=batch, ways=ways, shots=numbers, queries=queries),
    )
    spec = input_for(learner, input_spec(encoder, size, channels, dimensions, cut, images))
    made = create(learner, input_spec=spec, seed=seed, pretrained=False)
    options = DataOptions(label, kept, image, patient, join_labels, table)
    loaded = load_all(tasks, options)
    made.meta_fit(loaded, settings=settings, folder=out, resume=resume, device=device, engine=engine)
    if as_json:
        print_json({"schema": SCHEMA, **made.record().model_dump(), "out": str(out)})
    else:
        print(f"The run is in {out}. Next: medshot adapt DATA --from {out} --shots 5 --out model")
