"""Drawing what an encoder sees in one step: episodes of several tasks, their pictures augmented."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from medshot.errors import TooFewPatients
from medshot.imaging import Augmentation, ImageShape, augment
from medshot.tasks import Episode, Task, draw_episode
from medshot.training.encoders.settings import EncoderSettings

ATTEMPTS = 50
STRONG = Augmentation(
    rotation=20.0,
    translation=0.1,
    scale=0.25,
    shear=8.0,
    brightness=0.15,
    contrast=0.3,
    gamma=0.3,
    noise=0.03,
    blur=1.0,
)


def draw_episodes(tasks: Sequence[Task], settings: EncoderSettings, rng: np.random.Generator) -> list[Episode]:
    """The episodes of one step: data sets alike often and within one its tasks, whatever their numbers.

    Tasks with too few patients for a draw are passed over.

    Raises:
        TooFewPatients: no task has patients enough.
    """
    sources = sorted({task.source for task in tasks})
    episodes: list[Episode] = []
    for _ in range(ATTEMPTS * settings.tasks):
        source = sources[rng.integers(len(sources))]
        of_source = [task for task in tasks if task.source == source]
        task = of_source[rng.integers(len(of_source))]
        ways = min(settings.ways, len(task.classes))
        try:
            episodes.append(draw_episode(task, shots=settings.shots, queries=settings.queries, ways=ways, rng=rng))
        except TooFewPatients:
            continue
        if len(episodes) == settings.tasks:
            return episodes
    raise TooFewPatients(
        f"No {settings.tasks} draws with {settings.shots} support patients of each class and others beside them could "
        f"be made from {len(tasks)} tasks; add patients."
    )


def draw_pictures(
    episodes: Sequence[Episode], size: int, views: int, seed: int
) -> Float[Tensor, "views images 3 size size"]:
    """Augmented views of the images of the episodes in turn, of each its support and then its query, from 0 to 1."""
    shape = ImageShape(channels=3, size=size)
    generator = torch.Generator().manual_seed(seed)
    drawn = []
    for episode in episodes:
        pictures = episode.task.batch(np.concatenate([episode.support, episode.query]), shape)
        flip = episode.task.flip
        drawn.append(torch.stack([augment(pictures, STRONG, flip=flip, generator=generator) for _ in range(views)]))
    return torch.cat(drawn, dim=1)
