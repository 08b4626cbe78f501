"""`medshot predict`: classify images with a model folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from medshot.cli.options import (
    LEARNER,
    SCHEMA,
    Json,
    Model,
    OutTable,
    Row,
    note,
    parse_prevalence,
    print_json,
    print_rows,
    write_rows,
)


def predict(
    model: Model,
    images: Annotated[
        list[Path],
        typer.Argument(help="Image files, folders of them, or one manifest; volumes if the model takes volumes."),
    ],
    out: OutTable = None,
    prevalence: Annotated[
        list[str] | None,
        typer.Option(
            help="Prevalence of a class among the images: CLASS=SHARE, once per class.", rich_help_panel=LEARNER
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Classify images with an adapted model: image, predicted class, probabilities, and a warning if one is needed.

    Example: medshot predict model scans/ --out predictions.csv
    """
    from medshot.cli.checking import check_folder, check_new, check_paths

    shares = parse_prevalence(prevalence)
    check_folder(model, "model")
    check_paths(images)
    check_new(out)
    rows = predict_rows(model, images, shares)
    if out is not None:
        write_rows(out, rows)
        note(f"{len(rows)} predictions are in {out}; {sum(bool(row['warning']) for row in rows)} have a warning.")
    if as_json:
        print_json({"schema": SCHEMA, "predictions": rows})
    elif out is None:
        print_rows(rows)


def predict_rows(model: Path, paths: Sequence[Path], prevalence: Mapping[str, float] | None = None) -> list[Row]:
    """Return one row per sample: `image`, `predicted`, `p_<class>` for each class, `warning`.

    Args:
        model: the model folder.
        paths: files and folders of images, or one manifest, whose samples may have several images each.
        prevalence: the prevalence of each class.
    """
    from medshot.cli.loading import load_images
    from medshot.learners import FewShotClassifier
    from medshot.storage import printable_path

    classifier = FewShotClassifier.load(model)
    files, samples = load_images(paths)
    if not classifier.learner_.inductive:
        note(
            f"{classifier.learner_.name} is transductive: it classifies the {len(samples)} images together, and each "
            "prediction depends on the other images."
        )
    probabilities, warnings = classifier.predict_proba(samples, prevalence), classifier.warnings(samples)
    rows: list[Row] = []
    for file, shares, warning in zip(files, probabilities, warnings, strict=True):
        row: Row = {"image": printable_path(file), "predicted": str(classifier.classes_[shares.argmax()])}
        row |= {f"p_{name}": round(float(share), 6) for name, share in zip(classifier.classes_, shares, strict=True)}
        rows.append(row | {"warning": warning})
    return rows
