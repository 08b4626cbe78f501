"""Episodes: which samples of a task are support and which are query, and the same as tensors for learners."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from medshot.imaging import ImageShape
from medshot.tasks.task import Task


@dataclass(frozen=True)
class Episode:
    """One draw from a task; no patient stands in both its support and its query.

    Args:
        task: what it was drawn from.
        classes: the drawn classes, as indices into `task.classes`; label k below means `classes[k]`.
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
        weights: `(tasks, support)`; 0 marks padding, which a learner must not feel.
        ways: the number of classes.
        patients: `(tasks, support)`, the same number for images of one patient; None where every image is its own.
    """

    images: Float[Tensor, "..."]
    labels: Int[Tensor, "*tasks support"]
    weights: Float[Tensor, "*tasks support"]
    ways: int
    patients: Int[Tensor, "*tasks support"] | None = None

    def of_task(self, task: int) -> "Support":
        """The support of one task, without the leading axis and without its padding."""
        real = self.weights[task] > 0
        patients = None if self.patients is None else self.patients[task][real]
        return Support(
            self.images[task][real], self.labels[task][real], self.weights[task][real], self.ways, patients
        )

    @staticmethod
    def stack(supports: "Sequence[Support]") -> "Support":
        """Supports of single tasks as one with a leading axis, padded to the largest with weight 0."""
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
class Episodes:
    """A batch of episodes of equal way.

    Args:
        support: with a leading axis over tasks.
        query: the same shape of thing: images to score on, their true labels, and weights of 0 for padding.
    """

    support: Support
    query: Support

    def __len__(self) -> int:
        return len(self.support.labels)


def collate(episodes: Sequence[Episode], shape: ImageShape, device: torch.device | str = "cpu") -> Episodes:
    """The episodes' images as tensors with a leading axis over tasks; shorter ones are padded with weight 0.

    Args:
        episodes: all of the same way.
        shape: the image shape that the learner declares.
        device: where the tensors go.
    """

    def side(samples: np.ndarray, labels: np.ndarray, episode: Episode) -> Support:
        return Support(
            episode.task.batch(samples, shape).to(device),
            torch.from_numpy(labels).to(device),
            torch.ones(len(labels), device=device),
            episode.ways,
            torch.from_numpy(episode.task.patient_codes[samples]).to(device),
        )

    return Episodes(
        Support.stack([side(episode.support, episode.support_labels, episode) for episode in episodes]),
        Support.stack([side(episode.query, episode.query_labels, episode) for episode in episodes]),
    )
