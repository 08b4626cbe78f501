"""Features of a task: of its support before anything is fitted, and of a learner's cross-validation on it."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medshot.errors import TooFewPatients
from medshot.learners import Learner
from medshot.learners.run import evaluating
from medshot.tasks import Episode, Support, Task, collate, draw_folds
from medshot.tasks.folds import folds_in_turn

SCORED, MOST_REPEATS = 24, 4
"""Cross-validation is repeated until `SCORED` patients per class were scored, at most `MOST_REPEATS` times."""
FEWEST = 2
SMALLEST = 1e-6


@dataclass(frozen=True)
class TaskFeatures:
    """Results of cross-validation on a labelled support.

    Args:
        ways: number of classes.
        shots: labelled patients of the rarest class.
        accuracy: balanced accuracy in cross-validation over the patients.
        loss: cross-entropy there, as a share of that of guessing, log(ways); classes weigh equally.
        accuracy_of_half: balanced accuracy if the learner adapts to half as many patients per class.
        loss_of_half: the loss if the learner adapts to half as many patients per class.
    """

    ways: int
    shots: int
    accuracy: float
    loss: float
    accuracy_of_half: float
    loss_of_half: float


def task_features(task: Task, learner: Learner, rng: np.random.Generator) -> TaskFeatures:
    """Cross-validate the learner on a labelled task, repeatedly.

    Each repeat draws as many patients of every class as the rarest class has, and one image of each, so that the number
    of shots has the same meaning as in past learning curves.

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
    return TaskFeatures(len(task.classes), shots, accuracy, loss, accuracy_of_half, loss_of_half)


def cross_validated(
    task: Task, learner: Learner, shots: int, queries: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Return balanced accuracy and relative cross-entropy over the folds of `draw_folds`, averaged over repeats."""
    found = []
    for _ in range(min(max(SCORED // (shots + queries), 1), MOST_REPEATS)):
        probabilities, labels = pooled_predictions(learner, draw_folds(task, shots=shots, queries=queries, rng=rng))
        found.append((_balanced_accuracy(probabilities, labels), _relative_loss(probabilities, labels)))
    accuracy, loss = np.mean(found, axis=0).tolist()
    return accuracy, loss


def pooled_predictions(
    learner: Learner, episodes: Sequence[Episode]
) -> tuple[Float[np.ndarray, "queries classes"], Int[np.ndarray, " queries"]]:
    """Return the probabilities of the queries of all episodes, in the order of the task's classes, and the labels."""
    batch = collate(episodes, learner.input_spec)
    with evaluating(learner), torch.no_grad():
        predictions = learner.adapt(batch.support).probabilities(batch.query.images, batch.query.weights)
    order = [np.argsort(episode.classes) for episode in episodes]
    probabilities = [
        of_episode[: len(episode.query)].double().numpy()[:, columns]
        for of_episode, episode, columns in zip(predictions.cpu(), episodes, order, strict=True)
    ]
    labels = [np.argsort(columns)[episode.query_labels] for columns, episode in zip(order, episodes, strict=True)]
    return np.concatenate(probabilities), np.concatenate(labels)


def _balanced_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.metrics import balanced_accuracy_score  # slow to import

    with warnings.catch_warnings():  # a class may have no query if patients have several classes
        warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")
        return float(balanced_accuracy_score(labels, probabilities.argmax(1)))


def _relative_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    losses = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], SMALLEST))
    by_class = [losses[labels == c].mean() for c in np.unique(labels)]
    return float(np.mean(by_class) / np.log(probabilities.shape[1]))


@dataclass(frozen=True)
class SupportFeatures:
    """Meta-features of one support.

    Args:
        ways: number of classes.
        shots: mean number of labelled patients per class.
        spread: squared distance of images from their mean, relative to their squared length: 0 if all are equal, at
            most 1.
    """

    ways: int
    shots: float
    spread: float


def support_features(support: Support) -> SupportFeatures:
    """Return the meta-features of a support without a task axis; images `(support, ...)`."""
    real = support.weights > 0
    vectors = support.images[real].flatten(1)
    lengths = vectors.square().sum(1).mean()
    spread = (vectors - vectors.mean(0)).square().sum(1).mean() / lengths.clamp(min=1e-12)
    return SupportFeatures(support.ways, _shots(support, real), float(torch.clamp(spread, 0, 1)))


def _shots(support: Support, real: Bool[Tensor, " support"]) -> float:
    if support.patients is None:
        return float(real.sum()) / support.ways
    people = torch.stack([support.labels[real], support.patients[real]], dim=1)
    return len(people.unique(dim=0)) / support.ways


def left_out_folds(support: Support) -> Int[Tensor, " support"]:
    """Return the fold in which each image is left out with all images of its patient; -1 if it never is.

    There are as many folds as the smallest class has patients, at most five, and each leaves patients of every class.
    With one patient in a class there are no folds. Patients of several classes are left out only if there are too few
    others. The folds depend on the order of the images, and not on the numbering of classes and patients.

    Args:
        support: without a task axis and padding, ordered by content.
    """
    samples = len(support.labels)
    who = list(range(samples)) if support.patients is None else support.patients.tolist()
    classes: dict[int, set[int]] = {}
    for patient, label in zip(who, support.labels.tolist(), strict=True):
        classes.setdefault(patient, set()).add(label)
    fold_of = folds_in_turn({patient: labels for patient, labels in classes.items() if len(labels) == 1}, support.ways)
    if not fold_of:
        fold_of = folds_in_turn(
            {patient: labels for patient, labels in classes.items() if len(labels) > 1}, support.ways
        )
    return torch.tensor([fold_of.get(patient, -1) for patient in who], device=support.labels.device)
