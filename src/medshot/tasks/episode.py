"""Episodes: the support and query samples of a task, and the same as tensors for learners."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from medshot.imaging import InputSpec
from medshot.tasks.task import Task


@dataclass(frozen=True)
class Episode:
    """One draw from a task; no patient is in both its support and its query.

    Args:
        task: its task.
        classes: the drawn classes, as indices into `task.classes`; label k below is `classes[k]`.
        support: samples to adapt on, indices into the task.
        support_labels: their labels, 0 to ways - 1.
        query: samples to score on.
        query_labels: their labels.
    """

    task: Task
    classes: tuple[int, ...]
    support: Int[np.ndarray, " support"]
    support_labels: Int[np.ndarray, " support"]
    query: Int[np.ndarray, " query"]
    query_labels: Int[np.ndarray, " query"]

    @property
    def ways(self) -> int:
        """The number of classes."""
        return len(self.classes)


@dataclass(frozen=True)
class Support:
    """Labelled images to adapt on, with or without a leading axis over tasks.

    Args:
        images: `(tasks, support, channels, *spatial)` in [0, 1], or the same without `tasks` for one task.
        labels: `(tasks, support)`, 0 to ways - 1.
        weights: `(tasks, support)`; 0 marks padding, which must not affect a learner.
        ways: the number of classes.
        patients: `(tasks, support)`, the same number for images of one patient; None if each image is a patient.
    """

    images: Float[Tensor, "..."]
    labels: Int[Tensor, "*tasks support"]
    weights: Float[Tensor, "*tasks support"]
    ways: int
    patients: Int[Tensor, "*tasks support"] | None = None

    def of_task(self, task: int) -> "Support":
        """Return the support of one task, without the leading axis and without its padding."""
        real = self.weights[task] > 0
        patients = None if self.patients is None else self.patients[task][real]
        return Support(self.images[task][real], self.labels[task][real], self.weights[task][real], self.ways, patients)

    @staticmethod
    def stack(supports: "Sequence[Support]") -> "Support":
        """Stack supports of single tasks along a leading axis, padded to the largest with weight 0."""
        longest = max(len(support.labels) for support in supports)

        def stacked(tensors: list[Tensor]) -> Tensor:
            padding = [tensor.new_zeros(longest - len(tensor), *tensor.shape[1:]) for tensor in tensors]
            return torch.stack([torch.cat(pair) for pair in zip(tensors, padding, strict=True)])

        return Support(
            stacked([support.images for support in supports]),
            stacked([support.labels for support in supports]),
            stacked([support.weights for support in supports]),
            supports[0].ways,
            stacked([support.patients for support in supports if support.patients is not None])
            if supports[0].patients is not None
            else None,
        )


@dataclass(frozen=True)
class Side:
    """One side of a batch of episodes, its images named by their rows in the batch's pool of images.

    Args:
        rows: `(tasks, samples)`, indices into `Episodes.images`.
        labels: `(tasks, samples)`, 0 to ways - 1.
        weights: `(tasks, samples)`; 0 marks padding.
        patients: `(tasks, samples)`, the same number for images of one patient.
    """

    rows: Int[Tensor, "tasks samples"]
    labels: Int[Tensor, "tasks samples"]
    weights: Float[Tensor, "tasks samples"]
    patients: Int[Tensor, "tasks samples"]


@dataclass(frozen=True)
class Episodes:
    """A batch of episodes of equal way over a pool of images, each held once even if several episodes use it.

    Args:
        images: `(images, channels, *spatial)` in [0, 1].
        support_side: the samples that each task adapts on.
        query_side: the samples that it is scored on.
        ways: the number of classes.
    """

    images: Float[Tensor, "images *shape"]
    support_side: Side
    query_side: Side
    ways: int

    def __len__(self) -> int:
        return len(self.support_side.rows)

    @property
    def support(self) -> Support:
        """The support with its images, `(tasks, support, channels, *spatial)`."""
        return self._with_images(self.support_side)

    @property
    def query(self) -> Support:
        """The query with its images, true labels and weights."""
        return self._with_images(self.query_side)

    def _with_images(self, side: Side) -> Support:
        return Support(self.images[side.rows], side.labels, side.weights, self.ways, side.patients)


def collate(episodes: Sequence[Episode], shape: InputSpec, device: torch.device | str = "cpu") -> Episodes:
    """Convert episodes to tensors with a leading axis over tasks; shorter ones are padded with weight 0.

    Args:
        episodes: all of the same way.
        shape: the image shape that the learner declares.
        device: the device of the tensors.
    """
    tasks = {id(episode.task): episode.task for episode in episodes}
    used = {
        key: np.unique(np.concatenate([_samples(episode) for episode in episodes if id(episode.task) == key]))
        for key in tasks
    }
    starts = dict(zip(used, np.cumsum([0, *map(len, used.values())]), strict=False))

    def side(chosen: list[np.ndarray], labels: list[np.ndarray]) -> Side:
        rows, patients = [], []
        for episode, samples in zip(episodes, chosen, strict=True):
            key = id(episode.task)
            rows.append(starts[key] + np.searchsorted(used[key], samples))
            patients.append(episode.task.patient_codes[samples])
        weights = [np.ones(len(of_task), dtype=np.float32) for of_task in labels]
        return Side(*(_padded(arrays).to(device) for arrays in (rows, labels, weights, patients)))

    return Episodes(
        torch.cat([tasks[key].batch(samples, shape) for key, samples in used.items()]).to(device),
        side([e.support for e in episodes], [e.support_labels for e in episodes]),
        side([e.query for e in episodes], [e.query_labels for e in episodes]),
        episodes[0].ways,
    )


def _samples(episode: Episode) -> np.ndarray:
    return np.concatenate([episode.support, episode.query])


def _padded(arrays: Sequence[np.ndarray]) -> Tensor:
    """Stack the arrays as rows of one tensor, padded with zeros."""
    padded = np.zeros((len(arrays), max(map(len, arrays))), dtype=arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(padded)
