"""An operating point for each class, chosen on the support alone.

Folds of the support's patients are left out in turn, and the learner is adapted to the others. The threshold is the
highest at which the left-out images of the class reach the wanted sensitivity. Queries have no part in it.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

from medshot.errors import TooFewPatients
from medshot.evaluation.running import run_episodes
from medshot.learners import Learner
from medshot.tasks import Episode, draw_folds


def support_thresholds(
    learner: Learner, episodes: Sequence[Episode], sensitivity: float, *, seed: int, device: torch.device | None = None
) -> Float[np.ndarray, "episodes ways"] | None:
    """Return the threshold of each class in each episode, or None if a class has one patient in a support.

    Args:
        learner: the learner.
        episodes: the episodes; only their supports are read.
        sensitivity: the sensitivity to reach, between 0 and 1.
        seed: seed of the folds, combined with the number of the episode.
        device: the device that the learner is moved to; by default, it runs where it is.
    """
    try:
        folds = [left_out(episode, np.random.default_rng([seed, number])) for number, episode in enumerate(episodes)]
    except TooFewPatients:
        return None
    predictions, _ = run_episodes(learner, [fold for of_episode in folds for fold in of_episode], device)
    ends = np.cumsum([len(of_episode) for of_episode in folds])
    thresholds = []
    for start, end in zip([0, *ends[:-1]], ends, strict=True):
        probabilities = np.concatenate([each.probabilities for each in predictions[start:end]])
        labels = np.concatenate([each.labels for each in predictions[start:end]])
        thresholds.append(thresholds_of(probabilities, labels, sensitivity))
    return np.array(thresholds)


def left_out(episode: Episode, rng: np.random.Generator) -> list[Episode]:
    """Return the folds of an episode's support: each adapts on some of its patients, and scores the others.

    Raises:
        TooFewPatients: a class has fewer than two patients in the support.
    """
    support = episode.task.select(episode.support)
    shots = int(np.bincount(episode.support_labels).max())
    return draw_folds(support, shots=shots, queries=1, rng=rng)


def thresholds_of(
    probabilities: Float[np.ndarray, "images ways"], labels: Int[np.ndarray, " images"], sensitivity: float
) -> Float[np.ndarray, " ways"]:
    """Return, for each class, the highest threshold that reaches the sensitivity; 0 if the class has no image."""
    thresholds = np.zeros(probabilities.shape[1])
    for index in range(len(thresholds)):
        scores = np.sort(probabilities[labels == index, index])[::-1]
        if len(scores):
            thresholds[index] = scores[math.ceil(sensitivity * len(scores) - 1e-9) - 1]
    return thresholds
