"""Results of fusion with all images and with missing ones, from predictions under each condition."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.common.results import metadata
from medshot.evaluation import EpisodePredictions
from medshot.evaluation.results import Score, measure
from medshot.imaging import MISSING, SeveralImages
from medshot.tasks import Task

Predictions = Mapping[str, list[EpisodePredictions]]
PLAIN = "logistic, plain mean"


def numbers(
    found: Mapping[tuple[str, int], Predictions], task: Task, sources: Sequence[Task], command: str
) -> dict[str, Any]:
    """Return everything that the report needs, as JSON objects.

    Args:
        found: for each way of fusion and number of patients per class, the predictions under each condition.
        task: the task that was predicted.
        sources: the tasks that fusion was trained on.
        command: the command that made the predictions.
    """
    images = task.images
    assert isinstance(images, SeveralImages)
    hospitals = [source.name for source in sources if source.name.startswith("brain")]
    lacking = {
        name: len(set(task.patients[images.rows[:, column] == MISSING])) for column, name in enumerate(images.names)
    }
    return {
        "command": command,
        "machine": metadata(command).machine,
        "facts": {
            "slices": len(task),
            "patients": len(set(task.patients.tolist())),
            "lacking": lacking,
            "hospitals": len(hospitals),
            "others": [source.name for source in sources if source.name not in hospitals],
        },
        "whole": [row.model_dump(mode="json") for shots in _shots(found) for row in _whole(found, shots)],
        "removed": {
            f"{name}, {shots} per class": [
                row.model_dump(mode="json") | _changes(predictions, row.learner)
                for row in _scores(predictions, shots, "all")
            ]
            for (name, shots), predictions in found.items()
            if len(predictions) > 1
        },
    }


def _shots(found: Mapping[tuple[str, int], Predictions]) -> list[int]:
    return sorted({shots for _, shots in found})


def _scores(predictions: Predictions, shots: int, baseline: str) -> list[Score]:
    measured = measure(predictions, task="lgg_mri_genomics", shots=shots, baseline=baseline)
    return [each.score for each in measured]


def _whole(found: Mapping[tuple[str, int], Predictions], shots: int) -> list[Score]:
    """Return the scores of all ways of fusion with all images, and of single images."""
    predictions = {name: of_name["all"] for (name, number), of_name in found.items() if number == shots}
    predictions |= {
        f"logistic, {condition.split()[1]} alone": of_condition
        for condition, of_condition in found[PLAIN, shots].items()
        if condition.startswith("only") and condition.endswith("both")
    }
    return _scores(predictions, shots, PLAIN)


def _changes(predictions: Predictions, condition: str) -> dict[str, float]:
    """Return the log loss, and how the probability of tumour moves from its value with all images."""
    probabilities = np.concatenate([each.probabilities for each in predictions[condition]])
    truth = np.concatenate([each.labels for each in predictions[condition]])
    moved = probabilities[:, 1] - np.concatenate([each.probabilities for each in predictions["all"]])[:, 1]
    right = np.clip(probabilities[np.arange(len(truth)), truth], 1e-12, 1)
    return {
        "log_loss": round(float(-np.log(right).mean()), 5),
        "mean_change": round(float(moved.mean()), 5),
        "mean_size_of_change": round(float(np.abs(moved).mean()), 5),
    }
