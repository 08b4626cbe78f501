"""What might give a label away without any disease being seen: groups of simple numbers for every image."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

import numpy as np
from jaxtyping import Float32

from medshot.tasks.audit.examined import Examined
from medshot.tasks.audit.listing import Column

Kind = Literal["made", "seen", "told"]

_COMMON = 20  # values of a column that are told apart
_BINS = 10


@dataclass(frozen=True)
class Cue:
    """Numbers that should not tell the classes apart.

    Args:
        name: what they are of.
        kind: "made": how the file was made, which no disease changes; "seen": of the picture, which a disease may
            change a little; "told": beside the picture, which a network does not see.
        values: a few numbers for each sample.
    """

    name: str
    kind: Kind
    values: Float32[np.ndarray, "samples numbers"]


def cues(task: Examined, rows: np.ndarray) -> list[Cue]:
    """All cues of these samples of a task, without those that are the same for all."""
    numbers = {name: values[rows] for name, values in task.numbers.items()}
    grey = float(np.mean(numbers["colourfulness"] > 0.02)) < 0.9
    aspect = numbers["width"] / numbers["height"]
    per_pixel = numbers["bytes"] / (numbers["width"] * numbers["height"])
    kinds: list[tuple[str, Kind, list[np.ndarray]]] = [
        ("image size", "made", [binned(numbers["width"]), binned(numbers["height"]), binned(aspect)]),
        ("file type and bit depth", "made", [one_hot(numbers[name]) for name in ("type", "bits", "channels")]),
        ("bytes per pixel", "seen", [binned(per_pixel)]),
        ("pixel spacing and modality", "made", [binned(numbers["spacing_rows"]), one_hot(numbers["modality"])]),
        ("colour", "made" if grey else "seen", [binned(numbers["colourfulness"])]),
        ("coloured marks", "made", [binned(numbers["coloured"])] if grey else []),
        ("text in the margins", "made", [binned(numbers["characters"])]),
        ("border strip", "seen", [task.fact("border")[rows].astype(np.float32) / 255]),
        ("grey levels", "seen", [np.sqrt(task.fact("histogram")[rows])]),
        ("file name", "told", [_name_patterns(task, rows)] if task.listing.paths else []),
    ]
    kinds += [(f"column {name}", "told", [_of_column(column, rows)]) for name, column in task.columns.items()]
    made = [Cue(name, kind, np.concatenate(parts, axis=1)) for name, kind, parts in kinds if parts]
    return [cue for cue in made if np.ptp(cue.values, axis=0).any()]


def one_hot(values: np.ndarray) -> Float32[np.ndarray, "samples values"]:
    """One column for each of the most common values."""
    kinds, counts = np.unique(values, return_counts=True)
    common = kinds[np.argsort(-counts, kind="stable")[:_COMMON]]
    return (values[:, None] == common).astype(np.float32)


def binned(values: np.ndarray) -> Float32[np.ndarray, "samples bins"]:
    """One column for each tenth of the samples by this number; for each value where there are few."""
    if len(np.unique(values)) <= _COMMON:
        return one_hot(values)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return one_hot(np.searchsorted(edges, values, side="right"))


def _of_column(column: Column, rows: np.ndarray) -> Float32[np.ndarray, "samples values"]:
    """Numbers by tenths, with a column for what is missing; words by the most common."""
    numbers = np.full(len(column.names), np.nan)
    for code, name in enumerate(column.names):
        try:
            numbers[code] = float(name)
        except ValueError:
            continue
    codes = column.codes[rows]
    filled = np.array([bool(name) for name in column.names])
    if np.isnan(numbers[filled]).any() or not filled.any():
        return one_hot(codes)
    values = numbers[codes]
    missing = np.isnan(values)
    return np.column_stack([binned(np.where(missing, -1e300, values)), missing]).astype(np.float32)


def _name_patterns(task: Examined, rows: np.ndarray) -> Float32[np.ndarray, "samples patterns"]:
    """What stays of file names when numbers become 0: prefixes, separators, lengths."""
    stems = [PurePath(task.listing.paths[int(index)]).stem for index in task.rows[rows]]
    words = Column.of([re.sub(r"\d+", "0", stem) for stem in stems])
    lengths = np.array([len(stem) for stem in stems])
    return np.concatenate([one_hot(words.codes), one_hot(lengths), _first_numbers(stems)], axis=1)


def _first_numbers(stems: Sequence[str]) -> Float32[np.ndarray, "samples bins"]:
    found = [re.search(r"\d+", stem) for stem in stems]
    return binned(np.array([float(match[0][:15]) if match else -1.0 for match in found]))
