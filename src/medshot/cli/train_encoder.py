"""`medshot train-encoder`: train an encoder across tasks and write its folder."""

from typing import Annotated

import typer

from medshot.cli.options import (
    OUTPUT,
    SCHEMA,
    TRAINING,
    Device,
    ImageColumn,
    JoinLabels,
    Json,
    Keep,
    Label,
    LabelTable,
    Out,
    PatientColumn,
    Seed,
    Tasks,
    parse_keep,
    print_json,
)


def train_encoder(
    tasks: Tasks,
    out: Out,
    objective: Annotated[
        str, typer.Option(help="supervised, episodic or self-supervised.", rich_help_panel=TRAINING)
    ] = "supervised",
    parameters: Annotated[
        str, typer.Option(help="Parameters to train: all, modulation or low-rank.", rich_help_panel=TRAINING)
    ] = "all",
    steps: Annotated[int, typer.Option(help="Number of training steps.", rich_help_panel=TRAINING)] = 600,
    label: Label = "label",
    keep: Keep = None,
    image: ImageColumn = None,
    patient: PatientColumn = None,
    join_labels: JoinLabels = False,
    table: LabelTable = None,
    seed: Seed = 0,
    device: Device = "cpu",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the unfinished encoder in --out.", rich_help_panel=OUTPUT)
    ] = False,
    as_json: Json = False,
) -> None:
    """Train your own encoder across tasks, starting from lite0, and write a folder that --encoder takes.

    With this encoder, evaluate refuses tasks that share an image with these.

    Example: medshot train-encoder tasks/ --out encoder
    """
    from medshot.cli.checking import (
        OBJECTIVES,
        PARAMETERS,
        check_device,
        check_one_of,
        check_paths,
        check_training_folder,
    )

    kept = parse_keep(keep)
    check_one_of(objective, OBJECTIVES, "objective")
    check_one_of(parameters, PARAMETERS, "parameters")
    check_device(device)
    check_paths(tasks)
    check_training_folder(out, "encoder.json", resume=resume)

    from medshot.cli.loading import load_all
    from medshot.encoders.folder import read_record
    from medshot.tasks.columns import DataOptions
    from medshot.training.pretraining import EncoderSettings, train_encoder_into

    settings = EncoderSettings(objective=objective, parameters=parameters, steps=steps, seed=seed)
    options = DataOptions(label, kept, image, patient, join_labels, table)
    loaded = load_all(tasks, options)
    train_encoder_into(out, loaded, settings, resume=resume, device=device)
    if as_json:
        print_json({"schema": SCHEMA, **read_record(out).model_dump(), "out": str(out)})
    else:
        print(f"The encoder is in {out}. Next: medshot evaluate HELD_OUT --encoder {out} --learners logistic")
