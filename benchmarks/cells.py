"""What a learner said in the episodes of one task, as a file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medshot.evaluation import EpisodePredictions
from medshot.storage import read_arrays, write_arrays

FIELDS = ("probabilities", "labels", "patients", "images")


def write_cell(path: Path, predictions: Sequence[EpisodePredictions], seconds: Sequence[float]) -> None:
    """Write the predictions of every episode, and the seconds of each adaptation."""
    arrays = {name: np.concatenate([np.asarray(getattr(episode, name)) for episode in predictions]) for name in FIELDS}
    arrays["probabilities"] = arrays["probabilities"].astype(np.float32)
    arrays["lengths"] = np.array([len(episode.labels) for episode in predictions])
    write_arrays(path, arrays | {"seconds": np.array(seconds)})


def read_cell(path: Path) -> tuple[list[EpisodePredictions], list[float]]:
    """What `write_cell` wrote."""
    arrays = read_arrays(path)
    ends = np.cumsum(arrays["lengths"])[:-1]
    parts = [np.split(arrays[name], ends) for name in FIELDS]
    episodes = [EpisodePredictions(said.astype(np.float64), *rest) for said, *rest in zip(*parts, strict=True)]
    return episodes, arrays["seconds"].tolist()
