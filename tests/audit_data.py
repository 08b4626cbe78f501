"""Data for tests of the audit: smooth pictures that differ, written as files with a manifest."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from small_tasks import write_manifest

from medshot.audit import Finding, audit


def smooth(seed: int, count: int, size: int = 64) -> np.ndarray:
    """Make grey pictures of a few random blobs, each different from the others."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(128, 60, (count, 17, 17))
    pictures = [cv2.resize(one, (size, size), interpolation=cv2.INTER_CUBIC) for one in coarse]
    return np.clip(np.stack(pictures) + rng.normal(0, 2, (count, size, size)), 1, 254).astype(np.uint8)


def write_data(
    folder: Path, images: Sequence[np.ndarray], labels: Sequence[str], suffix: str = ".png", **columns: Sequence[str]
) -> Path:
    """Write the pictures as files, and `task.csv` with these columns; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [["image", "label", *columns]]
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / f"{number:04d}{suffix}")
        rows.append([f"{number:04d}{suffix}", label, *(values[number] for values in columns.values())])
    write_manifest(folder / "task.csv", rows)
    return folder


def found(*places: Path, **options: object) -> dict[str, Finding]:
    """Return the findings by name, of data that has no two of one name."""
    findings = audit(places, **options).verdict.findings
    return {finding.name: finding for finding in findings}


def harms(findings: Mapping[str, Finding]) -> set[str]:
    """Return the names of the harmful ones."""
    return {name for name, finding in findings.items() if finding.harm == "harmful"}


def named(count: int) -> list[str]:
    """Return patients that all differ."""
    return [f"p{number}" for number in range(count)]


def two(count: int) -> list[str]:
    """Return labels of two classes in turn."""
    return ["sound" if number % 2 else "ill" for number in range(count)]
