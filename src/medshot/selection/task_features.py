"""What few labelled images show of a task by themselves: how well a learner does on those that it was not shown."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.metrics import balanced_accuracy_score

from medshot.errors import TooFewPatients
from medshot.learners import Learner
from medshot.learners.run import evaluating
from medshot.tasks import Episode, Task, collate, draw_folds

SCORED, MOST_REPEATS = 24, 4
"""Cross-validation is repeated until that many patients per class were scored, at most that often."""
FEWEST = 2
SMALLEST = 1e-6


@dataclass(frozen=True)
class Signs:
    """What a support shows.

    Args:
        ways: number of classes.
        shots: labelled patients per class, those of the rarest class.
        accuracy: balanced accuracy in cross-validation over the patients.
        loss: cross-entropy there in units of that of guessing, log(ways), every class counting alike.
        accuracy_of_half: the same, adapting on half as many patients per class.
        loss_of_half: likewise.
    """

    ways: int
    shots: int
    accuracy: float
    loss: float
    accuracy_of_half: float
    loss_of_half: float


def signs_of(task: Task, learner: Learner, rng: np.random.Generator) -> Signs:
    """Cross-validate the learner on a labelled task, several times over.

    As many patients of each class as the rarest has are drawn each time, one image each, so that the number of shots
    means the same here as in past learning curves.

    Raises:
        TooFewPatients: a class has fewer than two patients.
    """
    shots = min(map(len, task.members))
    if shots < FEWEST:
        scarce = task.classes[min(range(len(task.classes)), key=lambda c: len(task.members[c]))]
        raise TooFewPatients(
            f"Class '{scarce}' of task '{task.name}' has 1 labelled patient, but a forecast needs at least {FEWEST} of "
            "each class; label another one."
        )
    accuracy, loss = cross_validated(task, learner, shots - 1, 1, rng)
    half = max(shots // 2, 1)
    accuracy_of_half, loss_of_half = cross_validated(task, learner, half, shots - half, rng)
    return Signs(len(task.classes), shots, accuracy, loss, accuracy_of_half, loss_of_half)


def cross_validated(
    task: Task, learner: Learner, shots: int, queries: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Balanced accuracy and relative cross-entropy over the folds of `draw_folds`, mean over repeats."""
    found = []
    for _ in range(min(max(SCORED // (shots + queries), 1), MOST_REPEATS)):
        probabilities, labels = pooled(learner, draw_folds(task, shots=shots, queries=queries, rng=rng))
        found.append((_balanced_accuracy(probabilities, labels), _relative_loss(probabilities, labels)))
    accuracy, loss = np.mean(found, axis=0).tolist()
    return accuracy, loss


def pooled(
    learner: Learner, episodes: Sequence[Episode]
) -> tuple[Float[np.ndarray, "queries classes"], Int[np.ndarray, " queries"]]:
    """What the learner says of the queries of all episodes, and the truth; columns in the order of the task."""
    batch = collate(episodes, learner.input_spec)
    with evaluating(learner), torch.no_grad():
        said = learner.adapt(batch.support).probabilities(batch.query.images, batch.query.weights)
    order = [np.argsort(episode.classes) for episode in episodes]
    probabilities = [
        of_one[: len(episode.query)].double().numpy()[:, columns]
        for of_one, episode, columns in zip(said.cpu(), episodes, order, strict=True)
    ]
    labels = [np.argsort(columns)[episode.query_labels] for columns, episode in zip(order, episodes, strict=True)]
    return np.concatenate(probabilities), np.concatenate(labels)


def _balanced_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    with warnings.catch_warnings():  # patients of several classes may leave a class without a query
        warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")
        return float(balanced_accuracy_score(labels, probabilities.argmax(1)))


def _relative_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    losses = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], SMALLEST))
    by_class = [losses[labels == c].mean() for c in np.unique(labels)]
    return float(np.mean(by_class) / np.log(probabilities.shape[1]))
