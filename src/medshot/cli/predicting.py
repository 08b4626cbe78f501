"""What `medshot predict` does: files in, rows out."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from medshot.cli.options import note
from medshot.errors import InputError
from medshot.imaging import FileImages, SeveralImages, all_image_paths
from medshot.learners import FewShotClassifier
from medshot.reporting.markdown import csv_text
from medshot.storage import refuse_existing, shown, write_bytes
from medshot.tasks import MANIFEST_SUFFIXES, read_images, sample_images

Row = dict[str, str | int | float]


def predict_files(model: Path, paths: Sequence[Path], prevalence: Mapping[str, float] | None) -> list[Row]:
    """One row per sample: `image`, `predicted`, `p_<class>` for each class, `warning`.

    Args:
        model: a model folder.
        paths: files and folders of images, or one manifest, whose samples may have several images each.
        prevalence: how common each class is.
    """
    classifier = FewShotClassifier.load(model)
    files, images = samples(paths)
    if not classifier.learner_.inductive:
        note(
            f"{classifier.learner_.name} is transductive: the {len(images)} images are seen together, and their "
            "predictions depend on each other."
        )
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


def samples(paths: Sequence[Path]) -> tuple[list[Path], FileImages | SeveralImages]:
    """The first file of each sample, and the samples, of files and folders or of one manifest."""
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
