"""The outcomes of an evaluation, from which `auto` learns which learner to choose."""

from collections.abc import Mapping, Sequence

import numpy as np

from medshot.evaluation.metrics import balanced_accuracy
from medshot.evaluation.predictions import EpisodePredictions
from medshot.evaluation.protocol import Cell
from medshot.evaluation.running import device_of, run_episodes
from medshot.imaging import WHOLE
from medshot.learners import Learner
from medshot.selection.auto import Auto
from medshot.selection.candidates import Candidate
from medshot.selection.outcomes import Outcome
from medshot.selection.task_features import support_features
from medshot.tasks import Episode, collate, marks_of

SUPPORTS = 10


def outcomes_of(cells: Sequence[Cell], learners: Mapping[str, Learner]) -> list[Outcome]:
    """Return one outcome per learner and cell, and one for each candidate of an `auto`, which is run for it."""
    rows = []
    for cell in cells:
        for name, predictions in cell.predictions.items():
            learner = learners[name]
            rows.append(_outcome(cell, learner.name, takes_of(learner), learner, predictions))
            if isinstance(learner, Auto):
                for candidate in learner.candidates:
                    predictions, _ = run_episodes(candidate, cell.episodes, device_of(learner))
                    rows.append(_outcome(cell, *candidate.key, candidate, predictions))
    return [row for row in rows if row is not None]


def _outcome(
    cell: Cell, name: str, takes: str, learner: Learner, predictions: Sequence[EpisodePredictions]
) -> Outcome | None:
    """Return the outcome, or None if the learner failed."""
    loss = mean_loss(predictions)
    if not np.isfinite(loss):
        return None
    return Outcome(
        source=cell.task.source,
        task=cell.task.name + _cut_of(learner),
        learner=name,
        takes=takes,
        shots=cell.shots,
        ways=len(cell.task.classes),
        spread=spread_of(cell.episodes, learner),
        loss=loss,
        accuracy=float(np.mean([balanced_accuracy(each.probabilities, each.labels) for each in predictions])),
        episodes=len(predictions),
        images=marks_of(cell.task),
    )


def takes_of(learner: Learner) -> str:
    """Describe the input of a learner in a few words, and whether the user meta-trained it."""
    own = ", meta-trained" if learner.training_record else ""
    return learner.input_spec.describe() + own


def _cut_of(learner: Learner) -> str:
    input_spec = learner.input_spec
    return f" by {input_spec.cut}" if input_spec.cut != WHOLE and not input_spec.is_bag else ""


def spread_of(episodes: Sequence[Episode], learner: Learner) -> float:
    """Return the mean spread of the first supports, as the learner takes them."""
    supports = [collate([each], learner.input_spec).support.of_task(0) for each in episodes[:SUPPORTS]]
    if isinstance(learner, Candidate):
        supports = [learner.view.support(support) for support in supports]
    return float(np.mean([support_features(support).spread for support in supports]))


def mean_loss(predictions: Sequence[EpisodePredictions]) -> float:
    """Return the mean cross-entropy over the episodes, as a share of the cross-entropy of guessing."""
    ways = predictions[0].probabilities.shape[1]
    of_truth = [each.probabilities[np.arange(len(each.labels)), each.labels] for each in predictions]
    return float(np.mean([-np.log(np.maximum(each, 1e-12)).mean() for each in of_truth]) / np.log(ways))
