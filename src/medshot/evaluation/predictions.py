"""What a learner said about the queries of one episode: all that metrics and intervals need to know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from medshot.errors import InputError


@dataclass(frozen=True)
class EpisodePredictions:
    """The predictions of one learner for the queries of one episode, with the truth.

    Args:
        probabilities: one row per query, summing to one.
        labels: class of each query, a column of `probabilities`.
        patients: code of each query's patient, the same code in all episodes of a task.
        images: index of each query's image within the task.

    Raises:
        InputError: a probability is not finite or negative, a row does not sum to one, a label has no column,
            or there are no queries.
    """

    probabilities: Float[np.ndarray, "queries ways"]
    labels: Int[np.ndarray, " queries"]
    patients: Int[np.ndarray, " queries"]
    images: Int[np.ndarray, " queries"]

    def __post_init__(self) -> None:
        queries, ways = self.probabilities.shape
        lengths = {len(self.labels), len(self.patients), len(self.images)}
        if queries == 0 or lengths != {queries}:
            raise InputError(
                f"predictions for {queries} queries came with labels, patients and images of lengths "
                f"{sorted(lengths)}; give each query one of each."
            )
        if not (np.isfinite(self.probabilities).all() and (self.probabilities >= 0).all()):
            raise InputError("probabilities hold negative, infinite or NaN values; the learner's output is broken.")
        if not np.allclose(self.probabilities.sum(axis=1), 1, atol=1e-3):
            raise InputError("probabilities of a query do not sum to one; apply a softmax to the learner's scores.")
        if self.labels.min() < 0 or self.labels.max() >= ways:
            raise InputError(f"query labels go beyond the {ways} columns of probabilities; number classes from 0.")


def pool(
    episodes: Sequence[EpisodePredictions],
) -> tuple[Float[np.ndarray, "queries ways"], Int[np.ndarray, " queries"]]:
    """Probabilities and labels of the queries of all episodes together."""
    return (
        np.concatenate([episode.probabilities for episode in episodes]),
        np.concatenate([episode.labels for episode in episodes]),
    )


def check_same_episodes(predictions: Mapping[str, Sequence[EpisodePredictions]]) -> None:
    """See to it that learners can be compared query by query.

    Args:
        predictions: the episodes of one task by learner.

    Raises:
        InputError: there is no episode, or two learners were not scored on the same queries in order.
    """
    (first, episodes), *others = predictions.items()
    if not episodes:
        raise InputError(f"learner {first} has no episode to be scored on; draw at least one.")
    for name, candidates in others:
        if len(candidates) != len(episodes) or not all(map(_same_queries, episodes, candidates)):
            raise InputError(f"learners {first} and {name} were scored on different queries; run both on the same.")


def _same_queries(one: EpisodePredictions, other: EpisodePredictions) -> bool:
    return (
        one.probabilities.shape == other.probabilities.shape
        and np.array_equal(one.images, other.images)
        and np.array_equal(one.labels, other.labels)
        and np.array_equal(one.patients, other.patients)
    )
