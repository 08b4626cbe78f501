"""What `medshot check` does: data in, a verdict out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from medshot.audit import Audit, audit
from medshot.cli.making import DEFAULT_ENCODER, PIXELS
from medshot.cli.options import note, write_out
from medshot.encoders import EncodedInput, encoders_of
from medshot.imaging import ImageSource
from medshot.reporting.data_check import findings_table, write_check
from medshot.storage import new_folder


def check_data(
    paths: Sequence[Path],
    *,
    label: str,
    split: str,
    keep: Mapping[str, Sequence[str]],
    encoder: str | None,
    seed: int,
) -> Audit:
    """Audit the data at the paths, with an encoder's features unless they are not wanted.

    Raises:
        InputError: there is no such encoder, or nothing at the paths can be checked.
        StorageError: the cache folder cannot be written to.
    """
    encoder = encoder or DEFAULT_ENCODER
    if encoder != PIXELS:
        encoders_of(encoder, "--encoder")

    def embed(images: ImageSource) -> np.ndarray:
        return EncodedInput(encoder).read(images, np.arange(len(images))).numpy()

    return audit(paths, label=label, split=split, keep=keep, embed=None if encoder == PIXELS else embed, seed=seed)


def report_on(checked: Audit, out: Path | None, copied: Mapping[str, Any] | None, *, as_json: bool) -> None:
    """Print the verdict and what was copied, and write the page into the folder `out` where one is given."""
    if out is not None:
        with new_folder(out) as folder:
            write_check(folder, checked)
    if as_json:
        write_out(checked.verdict.to_json() | ({"deidentified": copied} if copied else {}))
    else:
        Console().print(findings_table(checked.verdict))
        for sentence in checked.verdict.left_out:
            note(sentence)
    if copied:
        note(
            f"The clean copy is in {copied['out']}: {copied['cleaned']} files; {len(copied['left_out'])} were left out "
            f"and {len(copied['look_at'])} need a look, for text in their pixels: see --json."
        )
    if out is not None:
        note(f"The report is {out / 'report.html'}; open it in a browser.")
