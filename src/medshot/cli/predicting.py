"""What `medshot predict` does: files in, rows out."""

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from medshot.errors import InputError
from medshot.imaging import FileImages, ImageSource, all_image_paths
from medshot.learners import FewShotClassifier
from medshot.storage import refuse_existing, shown, write_bytes
from medshot.tasks import MANIFEST_SUFFIXES, read_images, sample_images

Row = dict[str, str | float]
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def predict_files(model: Path, paths: Sequence[Path], prevalence: Mapping[str, float] | None) -> list[Row]:
    """One row per sample: `image`, `predicted`, `p_<class>` for each class, `warning`.

    Args:
        model: a model folder.
        paths: files and folders of images, or one manifest, whose samples may have several images each.
        prevalence: how common each class is.
    """
    classifier = FewShotClassifier.load(model)
    files, images = _samples(paths)
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
    write_bytes(out, _csv(rows).encode())


def print_rows(rows: Sequence[Row]) -> None:
    """The rows as CSV on stdout."""
    sys.stdout.write(_csv(rows))


def _samples(paths: Sequence[Path]) -> tuple[list[Path], ImageSource]:
    """The first file of each sample, and the samples."""
    if len(paths) == 1 and paths[0].suffix.lower() in MANIFEST_SUFFIXES:
        images = read_images(paths[0])
        return [next(filter(None, of_sample)) for of_sample in zip(*images.values(), strict=True)], sample_images(
            images
        )
    files = [file for path in paths for file in _files(path)]
    return files, FileImages(files)


def _files(path: Path) -> list[Path]:
    found = all_image_paths(path)
    if not found:
        raise InputError(f"{path} holds no image; check the path.")
    return found


def _csv(rows: Sequence[Row]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writerow({name: _harmless(name) for name in rows[0]})
    writer.writerows({name: _harmless(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _harmless(value: str | float) -> str | float:
    """A file or class name that a spreadsheet would run as a formula becomes plain text."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
