"""Cells: files with the predictions of one learner in the episodes of one task."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from medshot.evaluation import EpisodePredictions
from medshot.evaluation.results import Measurement, measure
from medshot.storage import read_arrays, write_arrays

FIELDS = ("probabilities", "labels", "patients", "images")


def write_cell(path: Path, predictions: Sequence[EpisodePredictions], seconds: Sequence[float]) -> None:
    """Write the predictions of every episode and the seconds of each adaptation."""
    arrays = {name: np.concatenate([np.asarray(getattr(episode, name)) for episode in predictions]) for name in FIELDS}
    arrays["probabilities"] = arrays["probabilities"].astype(np.float32)
    arrays["lengths"] = np.array([len(episode.labels) for episode in predictions])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_arrays(path, arrays | {"seconds": np.array(seconds)})


def read_cell(path: Path) -> tuple[list[EpisodePredictions], list[float]]:
    """Return what `write_cell` wrote."""
    arrays = read_arrays(path)
    ends = np.cumsum(arrays["lengths"])[:-1]
    parts = [np.split(arrays[name], ends) for name in FIELDS]
    episodes = [
        EpisodePredictions(probabilities.astype(np.float64), *rest) for probabilities, *rest in zip(*parts, strict=True)
    ]
    return episodes, arrays["seconds"].tolist()


def measure_cells(paths: Mapping[str, Path], *, task: str, shots: int, baseline: str) -> list[Measurement]:
    """Return the scores of learners from their cells of one task."""
    torch.set_num_threads(1)
    cells = {learner: read_cell(path) for learner, path in paths.items()}
    return measure(
        {learner: predictions for learner, (predictions, _) in cells.items()},
        task=task,
        shots=shots,
        baseline=baseline,
        seconds={learner: seconds for learner, (_, seconds) in cells.items()},
    )
