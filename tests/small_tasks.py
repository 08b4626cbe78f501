"""Small tasks for tests, in memory and on disk."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from medshot.imaging import ArrayImages, ImageInput, VolumeInput
from medshot.tasks import Task

SHAPE = ImageInput(channels=1, size=20)
VOLUME = VolumeInput(channels=1, size=12)


def labelled(labels: Sequence[int], patients: Sequence[int], name: str = "task") -> Task:
    """Make a task with these labels and patients, for draws that need no pixels."""
    return Task(
        name=name,
        images=ArrayImages(np.arange(len(labels), dtype=np.uint16)[:, None, None]),
        labels=np.array(labels),
        classes=tuple(f"class {c}" for c in range(max(labels) + 1)),
        patients=np.array(patients),
    )


def textured(
    seed: int,
    *,
    classes: int = 2,
    patients: int = 8,
    size: int = 20,
    signal: float = 1.0,
    flip: bool = False,
    depth: int | None = None,
) -> Task:
    """Make a task of classes that differ in the direction of a grating, under noise; without `signal` in nothing.

    With a `depth`, images are volumes: the grating in each slice, under separate noise.
    """
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), patients)
    angles = rng.uniform(0, np.pi) + np.pi * labels / classes
    across, down = np.meshgrid(np.arange(size), np.arange(size))
    waves = np.sin(np.multiply.outer(np.cos(angles), across) + np.multiply.outer(np.sin(angles), down))
    if depth is not None:
        waves = np.repeat(waves[:, None], depth, axis=1)
    images = 128 + 50 * signal * waves + rng.normal(0, 25, waves.shape)
    return Task(
        name=f"textures {seed}",
        images=ArrayImages(images.clip(0, 255).astype(np.uint8)),
        labels=labels,
        classes=tuple(f"direction {c}" for c in range(classes)),
        patients=np.arange(len(labels)),
        flip=flip,
    )


def write_images(task: Task, folder: Path) -> list[str]:
    """Write each image of a grey task as a PNG in its class's folder; return the paths relative to `folder`."""
    written = []
    for number, (row, label) in enumerate(zip(task.rows, task.labels, strict=True)):
        path = folder / task.classes[label] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(task.images.array[row]).save(path)
        written.append(str(path.relative_to(folder)))
    return written


def write_volumes(task: Task, folder: Path) -> list[str]:
    """Write each volume of a task as a compressed `.npz` with a mask; return the paths relative to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [f"{number:03d}.npz" for number in range(len(task))]
    for row, name in zip(task.rows, written, strict=True):
        volume = task.images.array[row]
        np.savez_compressed(folder / name, flair=volume, mask=(volume > 128).astype(np.uint8))
    return written


def write_manifest(path: Path, rows: Sequence[Sequence[str]], delimiter: str = ",") -> Path:
    """Write a manifest of these rows, the header first; nothing is quoted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(delimiter.join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def in_doubles(value):
    """Return the same with every floating tensor in double precision."""
    if isinstance(value, torch.Tensor):
        return value.double() if value.is_floating_point() else value
    if is_dataclass(value):
        return replace(value, **{field.name: in_doubles(getattr(value, field.name)) for field in fields(value)})
    return value
