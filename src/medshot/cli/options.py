"""What several commands take alike, and turning the text of options into values."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from medshot.errors import InputError

Out = Annotated[Path, typer.Option(help="New folder to write to.")]
Label = Annotated[str, typer.Option(help="Manifest column to take labels from.")]
Keep = Annotated[list[str] | None, typer.Option(help="Keep only rows with these values: COLUMN=a,b. May be repeated.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Encoder = Annotated[
    str | None,
    typer.Option(
        help="Features of lite0, of an encoder's folder, or of several joined by + (docs/encoders.md); none for "
        "pixels; lite0 if no size, channels or dimensions are given."
    ),
]
Size = Annotated[int | None, typer.Option(help="Side in pixels or voxels, 64 or 32 if left out; without an encoder.")]
Channels = Annotated[int | None, typer.Option(help="1 for grey (if left out), 3 for colour; without an encoder.")]
Dimensions = Annotated[
    int | None, typer.Option(help="2 for pictures (if left out), 3 for volumes; without an encoder.")
]
Cut = Annotated[
    str | None,
    typer.Option(
        help="What the encoder takes of an image: slices (of volumes), patches (of films) or leads (of ECG pages)."
    ),
]
Images = Annotated[
    int | None,
    typer.Option(help="Images of a sample at most (columns image:NAME); any may be missing."),
]
Seed = Annotated[int, typer.Option(min=0, help="Decides every random draw.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def numbers(text: str, option: str) -> tuple[int, ...]:
    """The whole numbers in a comma-separated list, each 1 or more."""
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or min(values) < 1:
        raise InputError(f"{option} is '{text}', but must be whole numbers of 1 or more, for example 1,5,10.")
    return values


def assignments(
    pairs: Sequence[str] | None, option: str, part: Callable[[str, str], tuple[str, str, str]] = str.partition
) -> dict[str, str]:
    """`NAME=VALUE` pairs as a dictionary; `part` parts them at the first "=", or at the last."""
    parted = [part(pair, "=") for pair in pairs or []]
    for pair, (name, equals, value) in zip(pairs or [], parted, strict=True):
        if not (name and equals and value):
            raise InputError(f"{option} is '{pair}', but must be NAME=VALUE.")
    if len({name for name, _, _ in parted}) < len(parted):
        raise InputError(f"{option} names one of {', '.join(name for name, _, _ in parted)} twice; name each once.")
    return {name: value for name, _, value in parted}


def kept(pairs: Sequence[str] | None) -> dict[str, list[str]]:
    """The `--keep` options: for each column, the values to keep."""
    return {column: values.split(",") for column, values in assignments(pairs, "--keep").items()}


def shares(pairs: Sequence[str] | None) -> dict[str, float] | None:
    """The `--prevalence` options: for each class, whose name may hold a "=", how common it is."""
    try:
        parted = assignments(pairs, "--prevalence", str.rpartition)
        return {name: float(value) for name, value in parted.items()} or None
    except ValueError as error:
        raise InputError(f"--prevalence takes CLASS=NUMBER, for example nodule=0.02 ({error}).") from error


def write_out(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """JSON on stdout."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def note(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr)
