"""The sub-commands for one task and what was adapted to it."""

from pathlib import Path
from typing import Annotated

import typer

from medshot.cli.options import (
    Channels,
    Cut,
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
    shares,
    write_out,
)


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
