"""Objectives for training an encoder; each turns features into a loss."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from medshot.tasks import Episode, Task

SCALE, TEMPERATURE, PROJECTED = 10.0, 0.2, 128


class Objective(Protocol):
    """A module made for the number of features and the tasks, and called with features and episodes.

    Attributes:
        views: how many augmented views of each image it compares.
    """

    views: ClassVar[int]

    def __call__(self, features: Float[Tensor, "views images features"], episodes: Sequence[Episode]) -> Tensor:
        """Return the loss; images are each episode's support and then its query, episode after episode."""


class Supervised(nn.Module):
    """Multi-task classification by a linear head for each task; cross-entropy relative to that of guessing."""

    views: ClassVar[int] = 1

    def __init__(self, features: int, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.tasks = list(tasks)
        self.heads = nn.ModuleList([nn.Linear(features, len(task.classes)) for task in tasks])

    def forward(self, features: Float[Tensor, "views images features"], episodes: Sequence[Episode]) -> Tensor:
        """Return the mean loss over the tasks of the batch."""
        losses = []
        for of_task, episode in zip(features[0].split(_sizes(episodes)), episodes, strict=True):
            classes = torch.tensor(episode.classes, device=features.device)
            (head,) = [head for task, head in zip(self.tasks, self.heads, strict=True) if task is episode.task]
            logits = head(of_task)
            loss = functional.cross_entropy(logits, classes[_labels(episode, features.device)])
            losses.append(loss / loss.new_tensor(float(logits.shape[1])).log())
        return torch.stack(losses).mean()


class Episodic(nn.Module):
    """Prototypical networks (Snell et al., NeurIPS 2017, equation 2) on features of unit norm, at a learned scale."""

    views: ClassVar[int] = 1

    def __init__(self, features: int, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(SCALE).log())

    def forward(self, features: Float[Tensor, "views images features"], episodes: Sequence[Episode]) -> Tensor:
        """Return the mean loss over the tasks of the batch."""
        losses = []
        for of_task, episode in zip(features[0].split(_sizes(episodes)), episodes, strict=True):
            labels = _labels(episode, features.device)
            unit = functional.normalize(of_task, dim=1)
            support, query = unit.tensor_split([len(episode.support)])
            members = functional.one_hot(labels[: len(support)], episode.ways).to(unit)
            prototypes = members.T @ support / members.sum(0)[:, None]
            logits = query @ prototypes.T - prototypes.square().sum(1) / 2
            loss = functional.cross_entropy(self.log_scale.exp() * logits, labels[len(support) :])
            losses.append(loss / loss.new_tensor(float(episode.ways)).log())
        return torch.stack(losses).mean()


class SelfSupervised(nn.Module):
    """Contrastive learning: find the other view of an image among all views (Chen et al., SimCLR, 2020, equation 1)."""

    views: ClassVar[int] = 2

    def __init__(self, features: int, tasks: Sequence[Task]) -> None:
        super().__init__()
        self.projection = nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, PROJECTED))

    def forward(self, features: Float[Tensor, "views images features"], episodes: Sequence[Episode]) -> Tensor:
        """Return the mean loss over both views of all images."""
        images = features.shape[1]
        projected = functional.normalize(self.projection(features.flatten(0, 1)), dim=1)
        similar = projected @ projected.T / TEMPERATURE
        similar = similar.masked_fill(torch.eye(2 * images, dtype=torch.bool, device=similar.device), -torch.inf)
        other = torch.arange(2 * images, device=similar.device).roll(images)
        return functional.cross_entropy(similar, other)


OBJECTIVES: Mapping[str, type[Supervised | Episodic | SelfSupervised]] = {
    "supervised": Supervised,
    "episodic": Episodic,
    "self-supervised": SelfSupervised,
}


def _sizes(episodes: Sequence[Episode]) -> list[int]:
    return [len(episode.support) + len(episode.query) for episode in episodes]


def _labels(episode: Episode, device: torch.device) -> Tensor:
    both = (torch.from_numpy(episode.support_labels), torch.from_numpy(episode.query_labels))
    return torch.cat(both).to(device)
