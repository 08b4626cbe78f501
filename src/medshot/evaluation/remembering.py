"""From an evaluation to rows for `auto`: how each learner did on each task."""

from collections.abc import Mapping, Sequence

import numpy as np

from medshot.evaluation.metrics import balanced_accuracy
from medshot.evaluation.predictions import EpisodePredictions
from medshot.evaluation.protocol import Cell
from medshot.imaging import InputShape
from medshot.learners import Learner
from medshot.networks.encoders import WHOLE, EncodedShape
from medshot.selection.candidates import views_of
from medshot.selection.outcomes import Outcome
from medshot.selection.traits import traits_of
from medshot.tasks import Episode, collate, marks_of

SUPPORTS = 10


def outcomes_of(cells: Sequence[Cell], learners: Mapping[str, Learner]) -> list[Outcome]:
    """One row for each learner in each cell of an evaluation."""
    return [
        Outcome(
            source=cell.task.source,
            task=cell.task.name,
            learner=learners[name].name,
            takes=takes_of(learners[name]),
            shots=cell.shots,
            ways=len(cell.task.classes),
            spread=spread_of(cell.episodes, learners[name].shape),
            loss=mean_loss(predictions),
            accuracy=float(np.mean([balanced_accuracy(each.probabilities, each.labels) for each in predictions])),
            episodes=len(predictions),
            images=marks_of(cell.task),
        )
        for cell in cells
        for name, predictions in cell.predictions.items()
        if np.isfinite(mean_loss(predictions))
    ]


def takes_of(learner: Learner) -> str:
    """What a learner takes of images, in a few words."""
    shape = learner.shape
    cut = f" by {shape.cut}" if isinstance(shape, EncodedShape) and shape.cut != WHOLE else ""
    return views_of(shape)[-1].name + cut


def spread_of(episodes: Sequence[Episode], shape: InputShape) -> float:
    """The mean spread of the first supports."""
    supports = [collate([each], shape).support.of_task(0) for each in episodes[:SUPPORTS]]
    return float(np.mean([traits_of(support).spread for support in supports]))


def mean_loss(predictions: Sequence[EpisodePredictions]) -> float:
    """Mean cross-entropy over the episodes, as a share of that of guessing."""
    ways = predictions[0].probabilities.shape[1]
    of_truth = [each.probabilities[np.arange(len(each.labels)), each.labels] for each in predictions]
    return float(np.mean([-np.log(np.maximum(each, 1e-12)).mean() for each in of_truth]) / np.log(ways))
