"""What `medshot predict` does: files in, rows out."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from medshot.errors import InputError
from medshot.imaging import FileImages
from medshot.learners import FewShotClassifier
from medshot.reporting.spreadsheet import csv_text
from medshot.storage import refuse_existing, shown, write_bytes
from medshot.tasks import IMAGE_SUFFIXES

Row = dict[str, str | float]


def predict_files(model: Path, paths: Sequence[Path], prevalence: Mapping[str, float] | None) -> list[Row]:
    """One row per image: `image`, `predicted`, `p_<class>` for each class, `warning`."""
    classifier = FewShotClassifier.load(model)
    files = [file for path in paths for file in _files(path)]
    images = FileImages(files)
    probabilities, warnings = classifier.predict_proba(images, prevalence), classifier.warnings(images)
    rows: list[Row] = []
    for file, shares, warning in zip(files, probabilities, warnings, strict=True):
        row: Row = {"image": shown(file), "predicted": str(classifier.classes_[shares.argmax()])}
        row |= {f"p_{name}": round(float(share), 6) for name, share in zip(classifier.classes_, shares, strict=True)}
        rows.append(row | {"warning": warning})
    return rows


def write_rows(out: Path, rows: Sequence[Row]) -> None:
    """Write the rows as CSV; StorageError if `out` exists or cannot be written."""
    refuse_existing(out)
    write_bytes(out, csv_text(rows, list(rows[0])).encode())


def print_rows(rows: Sequence[Row]) -> None:
    """The rows as CSV on stdout."""
    sys.stdout.write(csv_text(rows, list(rows[0])))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".") and file.is_file()
    )
    if not found:
        raise InputError(f"{path} holds no PNG, JPEG or TIFF image; check the path.")
    return found
