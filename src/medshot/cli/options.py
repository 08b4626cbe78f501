"""Parts that several commands share: options, the parsing of option text, and output."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from medshot.errors import InputError
from medshot.progress import note as note

SCHEMA = 1
"""Version of the form of what --json prints; it rises if a key disappears or changes its meaning."""

# Headings of `--help`, in the order in which the groups should be read.
DATA, LEARNER, IMAGES, EPISODES = "Data", "Learner", "Images", "Episodes"
TRAINING, COMPUTING, OUTPUT = "Training", "Computing", "Output"

Tasks = Annotated[list[Path], typer.Argument(help="Folders, CSV manifests or MedMNIST files.")]
OneTask = Annotated[Path, typer.Argument(help="One labelled task: a folder, a CSV manifest or a MedMNIST file.")]
Model = Annotated[Path, typer.Argument(help="Model folder.")]

Label = Annotated[str, typer.Option(help="Manifest column that holds the labels.", rich_help_panel=DATA)]
Keep = Annotated[
    list[str] | None,
    typer.Option(help="Keep only rows with these values: COLUMN=a,b. May be repeated.", rich_help_panel=DATA),
]
ImageColumn = Annotated[
    str | None,
    typer.Option("--image", help="Manifest column that names the images. Default: image.", rich_help_panel=DATA),
]
PatientColumn = Annotated[
    str | None,
    typer.Option(
        "--patient",
        help="Manifest column that names the patients. Default: patient, or one with a usual name, such as patient_id.",
        rich_help_panel=DATA,
    ),
]
JoinLabels = Annotated[
    bool,
    typer.Option(
        "--join-labels",
        help="Count labels as one that differ only by capitals, blanks or .0, and leave out rows with nan or None.",
        rich_help_panel=DATA,
    ),
]
LabelTable = Annotated[
    Path | None,
    typer.Option(
        "--table",
        help="CSV with a row for each patient and its label; DATA is then the folder of their images, named by folder, "
        "file name or PatientID.",
        rich_help_panel=DATA,
    ),
]

Run = Annotated[
    Path | None, typer.Option("--from", help="Run folder of a meta-trained learner.", rich_help_panel=LEARNER)
]

Encoder = Annotated[
    str | None,
    typer.Option(
        help="Use features of lite0, of an encoder's folder, or of several joined by + (docs/encoders.md); none uses "
        "pixels. Default: lite0, or pixels if size, channels or dimensions are given.",
        rich_help_panel=IMAGES,
    ),
]
Size = Annotated[
    int | None,
    typer.Option(
        help="Side in pixels or voxels, without an encoder. Default: 64 for pictures, 32 for volumes.",
        rich_help_panel=IMAGES,
    ),
]
Channels = Annotated[
    int | None,
    typer.Option(help="1 for grey (default) or 3 for colour, without an encoder.", rich_help_panel=IMAGES),
]
Dimensions = Annotated[
    int | None,
    typer.Option(help="2 for pictures (default) or 3 for volumes, without an encoder.", rich_help_panel=IMAGES),
]
Cut = Annotated[
    str | None,
    typer.Option(
        help="Cut each image before encoding: slices (of volumes), patches (of films) or leads (of ECG pages).",
        rich_help_panel=IMAGES,
    ),
]
Images = Annotated[
    int | None,
    typer.Option(
        help="Maximum number of images per sample (columns image:NAME); any may be missing.", rich_help_panel=IMAGES
    ),
]

Seed = Annotated[int, typer.Option(min=0, help="Seed of every random choice.", rich_help_panel=COMPUTING)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=COMPUTING)]

Out = Annotated[Path, typer.Option(help="New folder to write to.", rich_help_panel=OUTPUT)]
OutTable = Annotated[Path | None, typer.Option(help="New CSV file. Default: print to stdout.", rich_help_panel=OUTPUT)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=OUTPUT)]

Row = dict[str, str | int | float | None]


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """Return the whole numbers in a comma-separated list, each 1 or more."""
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or min(values) < 1:
        raise InputError(f"{option} is '{text}', but must be whole numbers of 1 or more, for example 1,5,10.")
    return values


def parse_keep(pairs: Sequence[str] | None) -> dict[str, list[str]]:
    """Return the values to keep for each column that a `--keep` option names."""
    return {column: values.split(",") for column, values in _parse_pairs(pairs, "--keep").items()}


def parse_prevalence(pairs: Sequence[str] | None) -> dict[str, float] | None:
    """Return the prevalence of each class that a `--prevalence` option names; class names may contain "="."""
    try:
        split = _parse_pairs(pairs, "--prevalence", str.rpartition)
        return {name: float(value) for name, value in split.items()} or None
    except ValueError as error:
        raise InputError(f"--prevalence takes CLASS=NUMBER, for example nodule=0.02 ({error}).") from error


def _parse_pairs(
    pairs: Sequence[str] | None, option: str, partition: Callable[[str, str], tuple[str, str, str]] = str.partition
) -> dict[str, str]:
    """Return `NAME=VALUE` pairs as a dictionary; `partition` splits at the first "=" or at the last."""
    split = [partition(pair, "=") for pair in pairs or []]
    for pair, (name, equals, value) in zip(pairs or [], split, strict=True):
        if not (name and equals and value):
            raise InputError(f"{option} is '{pair}', but must be NAME=VALUE.")
    if len({name for name, _, _ in split}) < len(split):
        raise InputError(f"{option} names one of {', '.join(name for name, _, _ in split)} twice; name each once.")
    return {name: value for name, _, value in split}


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print JSON on stdout."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def print_rows(rows: Sequence[Row]) -> None:
    """Print the rows as CSV on stdout."""
    sys.stdout.write(as_csv(rows))


def write_rows(out: Path, rows: Sequence[Row]) -> None:
    """Write the rows as CSV; StorageError if `out` exists or cannot be written."""
    from medshot.storage import refuse_existing, write_bytes

    refuse_existing(out)
    write_bytes(out, as_csv(rows).encode())


def as_csv(rows: Sequence[Row], *, header: bool = True) -> str:
    """Return the rows as CSV, with or without the line of their names."""
    from medshot.reporting.markdown import csv_text

    columns = list(rows[0])
    return csv_text(rows, columns).removeprefix("" if header else csv_text([], columns))
