"""`medshot check`: look for mistakes in labelled data, and write a copy without names and dates."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from medshot.cli.options import DATA, IMAGES, OUTPUT, SCHEMA, Json, Keep, Label, Seed, note, parse_keep, print_json
from medshot.errors import InputError


def check(
    data: Annotated[
        list[Path],
        typer.Argument(help="Folders, CSV manifests or MedMNIST files; several are compared with each other."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="New folder for report.html, findings.json and findings.csv.", rich_help_panel=OUTPUT),
    ] = None,
    label: Label = "label",
    split: Annotated[
        str, typer.Option(help="Manifest column that holds the split, if there is one.", rich_help_panel=DATA)
    ] = "split",
    keep: Keep = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="Encoder whose features are used to find doubtful labels, in up to 20,000 images; none skips this. "
            "Default: lite0.",
            rich_help_panel=IMAGES,
        ),
    ] = None,
    deidentified: Annotated[
        Path | None,
        typer.Option(
            "--deidentify", help="New folder for a copy without names, dates and ages.", rich_help_panel=OUTPUT
        ),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Look for mistakes in labelled data before you train on it; the data is only read.

    Finds unreadable and odd images, and copies or near copies, also across classes, splits and tasks.
    Finds patients on both sides of a split, shortcuts that reveal the label, doubtful labels, and names and dates.
    Exits with 0 if nothing is harmful, 1 if something is, and 2 if there is nothing to check.

    Example: medshot check tasks/ --out checked
    """
    from medshot.cli.checking import DEFAULT_ENCODER, NO_ENCODER, check_encoder, check_new, check_paths

    kept, encoder = parse_keep(keep), encoder or DEFAULT_ENCODER
    if encoder != NO_ENCODER:
        check_encoder(encoder)
    check_paths(data)
    check_new(out, deidentified)

    import numpy as np
    from rich.console import Console

    from medshot.audit import audit
    from medshot.encoders import EncodedInput, encoders_of, reader_of
    from medshot.imaging import ImageSource
    from medshot.reporting.data_check import findings_table, write_check
    from medshot.storage import new_folder

    if encoder != NO_ENCODER:
        encoders_of(encoder, "--encoder")

    def embed(images: ImageSource) -> np.ndarray:
        return reader_of(EncodedInput(encoder)).read(images, np.arange(len(images))).numpy()

    checked = audit(
        data, label=label, split=split, keep=kept, embed=None if encoder == NO_ENCODER else embed, seed=seed
    )
    copied = _deidentify(data, deidentified) if deidentified else None
    if out is not None:
        with new_folder(out) as folder:
            write_check(folder, checked)
    if as_json:
        print_json({"schema": SCHEMA, **checked.verdict.to_json()} | ({"deidentified": copied} if copied else {}))
    else:
        Console().print(findings_table(checked.verdict))
        for sentence in checked.verdict.left_out:
            note(sentence)
    if copied:
        note(
            f"The clean copy is in {copied['out']}: {copied['cleaned']} files. {len(copied['left_out'])} files were "
            f"left out; {len(copied['look_at'])} may show text in their pixels, so look at them. --json lists them."
        )
    if out is not None:
        note(f"The report is {out / 'report.html'}; open it in a browser.")
    if checked.verdict.harmful:
        raise typer.Exit(1)


def _deidentify(paths: Sequence[Path], out: Path) -> dict[str, Any]:
    """Write the clean copy and return what was done; files that were left out are named for the owner of the data.

    Raises:
        InputError: there are several paths, or the data cannot be cleaned at all.
    """
    from medshot.deidentify import deidentify

    if len(paths) != 1:
        raise InputError(f"--deidentify takes one DATA, not {len(paths)}; give the folder above them.")
    done = deidentify(paths[0], out)
    return {
        "out": str(done.out),
        "cleaned": done.cleaned,
        "manifests": done.manifests,
        "left_out": [{"file": path, "reason": reason} for path, reason in done.left_out],
        "look_at": [{"file": path, "reason": reason} for path, reason in done.look_at],
        "folder_names": list(done.folder_names),
    }
