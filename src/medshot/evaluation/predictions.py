"""The predictions of a learner for the queries of one episode, from which metrics and intervals are computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from medshot.errors import InputError


@dataclass(frozen=True)
class EpisodePredictions:
    """The predictions of one learner for the queries of one episode, with the true labels.

    Args:
        probabilities: one row per query, which sums to one.
        labels: class of each query, as a column of `probabilities`.
        patients: code of each query's patient; a patient has the same code in all episodes of a task.
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
                f"There are predictions for {queries} queries, but labels, patients and images of lengths "
                f"{sorted(lengths)}; give one of each per query."
            )
        if not (np.isfinite(self.probabilities).all() and (self.probabilities >= 0).all()):
            raise InputError("The probabilities hold negative, infinite or NaN values; correct the learner.")
        if not np.allclose(self.probabilities.sum(axis=1), 1, atol=1e-3):
            raise InputError("The probabilities of a query do not sum to one; apply a softmax to the learner's scores.")
        if self.labels.min() < 0 or self.labels.max() >= ways:
            raise InputError(f"Query labels exceed the {ways} columns of the probabilities; number classes from 0.")


def pool(
    episodes: Sequence[EpisodePredictions],
) -> tuple[Float[np.ndarray, "queries ways"], Int[np.ndarray, " queries"]]:
    """Return the probabilities and labels of the queries of all episodes together."""
    return (
        np.concatenate([episode.probabilities for episode in episodes]),
        np.concatenate([episode.labels for episode in episodes]),
    )


def check_same_episodes(predictions: Mapping[str, Sequence[EpisodePredictions]]) -> None:
    """Raise InputError if learners cannot be compared query by query.

    Args:
        predictions: the episodes of one task by learner.

    Raises:
        InputError: there is no episode, or two learners were scored on different queries or in another order.
    """
    (first, episodes), *others = predictions.items()
    if not episodes:
        raise InputError(f"Learner {first} has no episode; give at least one.")
    for name, candidates in others:
        if len(candidates) != len(episodes) or not all(map(_same_queries, episodes, candidates)):
            raise InputError(
                f"Learners {first} and {name} were scored on different queries; run both on the same episodes."
            )


def _same_queries(one: EpisodePredictions, other: EpisodePredictions) -> bool:
    return (
        one.probabilities.shape == other.probabilities.shape
        and np.array_equal(one.images, other.images)
        and np.array_equal(one.labels, other.labels)
        and np.array_equal(one.patients, other.patients)
    )
