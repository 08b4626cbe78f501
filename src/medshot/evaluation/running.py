"""The predictions of one learner for the queries of episodes."""

import time
from collections.abc import Sequence

import numpy as np
import torch

from medshot.evaluation.predictions import EpisodePredictions
from medshot.learners import Learner
from medshot.learners.run import evaluating
from medshot.tasks import Episode, collate
from medshot.training.engine import synchronize

BATCH = 10


def run_episodes(
    learner: Learner, episodes: Sequence[Episode], device: torch.device | None = None
) -> tuple[list[EpisodePredictions], list[float]]:
    """Return one learner's predictions for each episode, and the duration of each adaptation in seconds.

    Args:
        learner: the learner.
        episodes: the episodes.
        device: the device that the learner is moved to; by default, it runs where it is.
    """
    if device is not None:
        learner.to(device)
    predictions: list[EpisodePredictions] = []
    seconds: list[float] = []
    with evaluating(learner), torch.no_grad():
        for start in range(0, len(episodes), BATCH):
            group = episodes[start : start + BATCH]
            batch = collate(group, learner.input_spec, device or device_of(learner))
            began = time.perf_counter()
            classifier = learner.adapt(batch.support)
            synchronize()
            seconds += [(time.perf_counter() - began) / len(group)] * len(group)
            probabilities = classifier.probabilities(batch.query.images, batch.query.weights).cpu().double().numpy()
            predictions += map(_in_class_order, group, probabilities)
    return predictions, seconds


def device_of(learner: Learner) -> torch.device:
    """Return the device of the learner's parameters and buffers, or the CPU if it has none."""
    return next((tensor.device for tensor in (*learner.parameters(), *learner.buffers())), torch.device("cpu"))


def _in_class_order(episode: Episode, probabilities: np.ndarray) -> EpisodePredictions:
    """Return the predictions of one episode without padding, with columns in the order of the task's classes."""
    order = np.argsort(episode.classes)
    rank = np.argsort(order)
    return EpisodePredictions(
        probabilities=probabilities[: len(episode.query)][:, order],
        labels=rank[episode.query_labels],
        patients=episode.task.patient_codes[episode.query],
        images=episode.query,
    )
