"""Drawing what an encoder sees in one step: episodes of several tasks, their pictures augmented."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from medshot.errors import TooFewPatients
from medshot.imaging import Augmentation, ImageShape, augment
from medshot.tasks import Episode, Task, draw_episode

ATTEMPTS = 50


def draw_episodes(
    tasks: Sequence[Task], number: int, *, shots: int, queries: int, ways: int, rng: np.random.Generator
) -> list[Episode]:
    """Episodes of so many tasks, data sets alike often and within one its tasks, whatever their numbers.

    Raises:
        TooFewPatients: no task has patients enough.
    """
    sources = sorted({task.source for task in tasks})
    episodes: list[Episode] = []
    for _ in range(ATTEMPTS):
        source = sources[rng.integers(len(sources))]
        of_source = [task for task in tasks if task.source == source]
        task = of_source[rng.integers(len(of_source))]
        try:
            episodes.append(
                draw_episode(task, shots=shots, queries=queries, ways=min(ways, len(task.classes)), rng=rng)
            )
        except TooFewPatients:
            continue
        if len(episodes) == number:
            return episodes
    raise TooFewPatients(f"{len(tasks)} tasks have too few patients for {shots} shots; ask for fewer or add patients.")


def draw_pictures(
    episodes: Sequence[Episode], shape: ImageShape, views: int, augmentation: Augmentation, seed: int
) -> Float[Tensor, "views images channels size size"]:
    """Augmented views of the images of the episodes in turn, of each its support and then its query, from 0 to 1."""
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for episode in episodes:
        pictures = episode.task.batch(np.concatenate([episode.support, episode.query]), shape)
        drawn.append(
            torch.stack(
                [augment(pictures, augmentation, flip=episode.task.flip, generator=generator) for _ in range(views)]
            )
        )
    return torch.cat(drawn, dim=1)
