"""`medshot next`: suggest which images to label next."""

from pathlib import Path
from typing import Annotated

import typer

from medshot.cli.options import SCHEMA, Json, Model, OutTable, Row, Seed, note, print_json, print_rows, write_rows

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
    labelled: Annotated[
        list[Path] | None,
        typer.Option(
            help="Images that have labels by now: files, folders or a manifest; may be repeated. Their patients and "
            "those of the model's own images are left out.",
            rich_help_panel=SUGGESTIONS,
        ),
    ] = None,
    out: OutTable = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Suggest which images to label next: rank, image, score and reason.

    Lists at most one image per patient, and none of patients with images that the model was fitted on.
    Patients are read from a manifest or from DICOM headers; copies of an image belong to one patient.

    Example: medshot next model scans/ --count 20 --out to_label.csv
    """
    from medshot.cli.checking import STRATEGIES, check_folder, check_new, check_one_of, check_paths

    check_one_of(strategy, STRATEGIES, "strategy")
    check_folder(model, "model")
    check_paths([unlabelled, *(labelled or [])])
    check_new(out)

    from medshot.cli.loading import load_images
    from medshot.imaging import hashes_of_each
    from medshot.learners import FewShotClassifier
    from medshot.selection.active_learning import suggest
    from medshot.storage import printable_path
    from medshot.tasks import MANIFEST_SUFFIXES, read_patients

    classifier = FewShotClassifier.load(model)
    files, images = load_images([unlabelled])
    named = unlabelled.suffix.lower() in MANIFEST_SUFFIXES
    patients, remarks = read_patients(unlabelled) if named else (None, ())
    for remark in remarks:
        note(remark)
    if patients is None:
        note("No column names patients: every image without a PatientID counts as a patient of its own.")
    known = {digest for path in labelled or [] for one in hashes_of_each(load_images([path])[1]) for digest in one}
    if already := sum(not {*known, *classifier.support_}.isdisjoint(one) for one in hashes_of_each(images)):
        note(f"{already} of {len(images)} images are labelled already; they and their patients are left out.")
    suggestions = suggest(classifier, images, patients, strategy=strategy, count=count, seed=seed, labelled=known)
    if len(suggestions) < count:
        patients_left = f"{len(suggestions)} {'more ' if already else ''}patients"
        note(f"{unlabelled} holds images of {patients_left}, fewer than {count}; one of each is listed.")
    rows: list[Row] = [
        {
            "rank": rank,
            "image": printable_path(files[suggestion.row]),
            "score": round(suggestion.score, 6),
            "reason": suggestion.reason,
        }
        for rank, suggestion in enumerate(suggestions, start=1)
    ]
    if out is not None:
        write_rows(out, rows)
        note(f"{len(rows)} images to label are in {out}.")
    if as_json:
        print_json({"schema": SCHEMA, "strategy": strategy, "images": rows})
    elif out is None:
        print_rows(rows)
