"""`medshot next`: suggest which images to label next."""

from pathlib import Path
from typing import Annotated

import typer

from medshot.cli.options import Json, Model, OutTable, Row, Seed, note, print_json, print_rows, write_rows

SUGGESTIONS = "Suggestions"


def next_images(
    model: Model,
    unlabelled: Annotated[
        Path,
        typer.Argument(help="Folder of images without labels, or a manifest with image and, if known, patient."),
    ],
    strategy: Annotated[
        str,
        typer.Option(
            help="learned, margin, clue, typical, coverage or random; see docs/next.md.", rich_help_panel=SUGGESTIONS
        ),
    ] = "typical",
    count: Annotated[
        int, typer.Option(min=1, help="Number of images, one per patient.", rich_help_panel=SUGGESTIONS)
    ] = 10,
    out: OutTable = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Suggest which images to label next: rank, image, score and reason.

    Lists at most one image per patient.
    Patients are read from a manifest or from DICOM headers; copies of an image belong to one patient.

    Example: medshot next model scans/ --count 20 --out to_label.csv
    """
    from medshot.cli.loading import load_images
    from medshot.learners import FewShotClassifier
    from medshot.selection.active_learning import suggest
    from medshot.storage import refuse_existing, shown
    from medshot.tasks import MANIFEST_SUFFIXES, read_patients

    if out is not None:
        refuse_existing(out)
    classifier = FewShotClassifier.load(model)
    files, images = load_images([unlabelled])
    patients = read_patients(unlabelled) if unlabelled.suffix.lower() in MANIFEST_SUFFIXES else None
    suggestions = suggest(classifier, images, patients, strategy=strategy, count=count, seed=seed)
    if len(suggestions) < count:
        note(f"{unlabelled} holds images of {len(suggestions)} patients, fewer than {count}; one of each is listed.")
    rows: list[Row] = [
        {
            "rank": rank,
            "image": shown(files[suggestion.row]),
            "score": round(suggestion.score, 6),
            "reason": suggestion.reason,
        }
        for rank, suggestion in enumerate(suggestions, start=1)
    ]
    if out is not None:
        write_rows(out, rows)
        note(f"{len(rows)} images to label are in {out}.")
    if as_json:
        print_json({"strategy": strategy, "images": rows})
    elif out is None:
        print_rows(rows)
