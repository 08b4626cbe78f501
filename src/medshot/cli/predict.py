"""`medshot predict`: classify images with a model folder."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from medshot.cli.options import (
    LEARNER,
    OUTPUT,
    SCHEMA,
    Json,
    Model,
    OutTable,
    Row,
    note,
    parse_prevalence,
    print_json,
    print_rows,
)
from medshot.cli.partial_table import PartialTable
from medshot.errors import InputError, StorageError

if TYPE_CHECKING:
    from medshot.learners import FewShotClassifier
    from medshot.learners.batch_inputs import Sample

GROUPS = ("patient", "study")
ROUNDED = 6
_TOLERANCE = 2e-4
_LISTED = 3


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
    by: Annotated[
        str | None,
        typer.Option(
            help="patient or study: put their images together in one row, by the mean of log-probabilities. Taken from "
            "the manifest's column of that name, or from DICOM headers.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first image that cannot be read.", rich_help_panel=OUTPUT)
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a partly written table (--out).", rich_help_panel=OUTPUT)
    ] = False,
    as_json: Json = False,
) -> None:
    """Classify images with an adapted model: one row per image, with probabilities and a warning if one is needed.

    An image that cannot be read has a row without a prediction, and the reason; the exit code is then 1.

    Example: medshot predict model scans/ --out predictions.csv
    """
    from medshot.cli.checking import check_creatable, check_folder, check_new, check_one_of, check_paths

    if resume and out is None:
        raise InputError("--resume continues the table of --out; give --out.")
    shares = parse_prevalence(prevalence)
    check_one_of(by, GROUPS, "--by")
    check_folder(model, "model")
    if not any(path.exists() or "#" in path.name for path in images):  # beside others, a missing one has a row
        check_paths(images)
    if not resume:
        check_new(out)
    elif out is not None:
        check_creatable(out)
    table = PartialTable(out) if out is not None else None
    done = table.start(resume=resume) if table else []
    written = None if strict and not resume else table  # whoever stops at an error wants nothing left over
    rows = predict_rows(model, images, shares, by=by, strict=strict, table=written, done=done)
    if table:
        table.finish(rows)
        note(f"{len(rows)} predictions are in {out}; {sum(bool(row['warning']) for row in rows)} have a warning.")
    if as_json:
        print_json({"schema": SCHEMA, "predictions": rows})
    elif out is None:
        print_rows(rows)
    if _note_errors(rows):
        raise typer.Exit(1)


def predict_rows(
    model: Path,
    paths: Sequence[Path],
    prevalence: Mapping[str, float] | None = None,
    *,
    by: str | None = None,
    strict: bool = False,
    table: PartialTable | None = None,
    done: Sequence[Row] = (),
) -> list[Row]:
    """Return one row per sample, or per patient or study; see `medshot.predict_files`.

    Args:
        model: the model folder.
        paths: files and folders of images, or one manifest, whose samples may have several images each.
        prevalence: the prevalence of each class.
        by: "patient" or "study", to return one row for each; None for a row per sample.
        strict: stop at the first image that cannot be read.
        table: the unfinished table; each batch of rows is written to it at once.
        done: rows of an earlier command, which are not computed again.
    """
    from medshot.learners import FewShotClassifier
    from medshot.learners.batch import predict_samples, put_together
    from medshot.learners.batch_inputs import list_inputs
    from medshot.progress import progress

    inputs = list_inputs(paths, by)  # type: ignore[arg-type]
    for sentence in inputs.describe():
        note(sentence)
    classifier = FewShotClassifier.load(model)
    samples = inputs.samples
    rows = _resumed(classifier, samples, prevalence, done, table)
    left = [sample for sample in samples if sample.image not in rows]
    if not classifier.learner_.inductive:
        note(
            f"{classifier.learner_.name} is transductive: it classifies the {len(samples)} images together, and each "
            "prediction depends on the other images."
        )
    with progress("predicting", len(left)) as advance:
        for some in predict_samples(classifier, left, prevalence, strict=strict):
            rows |= {str(row["image"]): row for row in some}
            if table and some:
                table.append(some)
            advance(len(some))
    ordered = [rows[sample.image] for sample in samples]
    if classifier.caution_:
        note(f"Warning: {classifier.caution_}. Every row has this warning.")
    _note_support(ordered)
    if by is not None:
        unknown = sum(not sample.group for sample in samples)
        if unknown:
            note(f"The {by} of {unknown} of {len(samples)} images is unknown; each of these has a row of its own.")
        ordered = put_together(ordered, samples, by)  # type: ignore[arg-type]
    return [{name: _rounded(value) for name, value in row.items()} for row in ordered]


def _resumed(
    classifier: "FewShotClassifier",
    samples: Sequence["Sample"],
    prevalence: Mapping[str, float] | None,
    done: Sequence[Row],
    table: PartialTable | None,
) -> dict[str, Row]:
    """Return the rows of an earlier command by their images, and put them into the unfinished table.

    Raises:
        InputError: the learner is transductive.
        StorageError: the rows have other columns, or the first is not what the model predicts.
    """
    from medshot.learners.batch import predict_samples
    from medshot.reporting.markdown import without_formula

    if not done or table is None:
        return {}
    if not classifier.learner_.inductive:
        raise InputError(
            f"{classifier.learner_.name} is transductive: it takes all images together; leave out --resume."
        )
    by_text = {str(without_formula(sample.image)): sample for sample in samples}
    kept = {by_text[str(row["image"])].image: row for row in done if row.get("image") in by_text}
    if not kept:
        return {}
    first = next(sample for sample in samples if sample.image in kept)
    fresh = next(iter(predict_samples(classifier, [first], prevalence)))[0]
    rows = {image: _read_back(row) | {"image": image} for image, row in kept.items()}
    old = rows[first.image]
    shares = [name for name in fresh if name.startswith("p_")]
    same = list(old) == list(fresh) and all(
        abs(float(old[name] or 0) - float(fresh[name] or 0)) < _TOLERANCE for name in shares
    )
    if not same:
        raise StorageError(
            f"The rows at {table.out} were made with another model, other images or another --prevalence; remove them "
            "or leave out --resume."
        )
    table.write(list(rows.values()))
    note(f"{len(rows)} of {len(samples)} rows were there already; {len(samples) - len(rows)} are left.")
    return rows


def _read_back(row: Row) -> Row:
    """Return a row of text with its probabilities as numbers."""
    return {name: float(value or 0) if name.startswith("p_") else value for name, value in row.items()}


def _rounded(value: str | int | float | None) -> str | int | float | None:
    return round(value, ROUNDED) if isinstance(value, float) else value


def _note_errors(rows: Sequence[Row]) -> int:
    """Describe the rows without a prediction on stderr, by the kind of file, and return their number."""
    failed = [row for row in rows if row["error"]]
    if failed:
        kinds = Counter(PurePath(str(row["image"])).suffix.lower() or "without a suffix" for row in failed)
        named = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        note(f"{len(failed)} of {len(rows)} rows have an error ({named}); the column 'error' gives the reason:")
        for row in failed[:_LISTED]:
            note(f"  {row['error']}")
        if len(failed) > _LISTED:
            note(f"  and {len(failed) - _LISTED} more.")
    return len(failed)


def _note_support(rows: Sequence[Row]) -> None:
    from medshot.learners.batch import IN_SUPPORT

    count = sum(IN_SUPPORT in str(row["warning"]) for row in rows)
    if count:
        note(
            f"{count} of {len(rows)} images are among those that the model was fitted on; their probabilities say "
            "nothing about new images."
        )
