"""Volumes of real patients as tasks."""

import numpy as np
import pytest
from small_tasks import VOLUME

from medshot.evaluation import Protocol, evaluate
from medshot.imaging import VolumeInput, fingerprints, near_duplicates
from medshot.learners import FewShotClassifier, create
from medshot.tasks import Task, load_tasks

SHAPE = VolumeInput(size=32)
LGG = "lgg_mri_genomics/volumes.csv"


def score(task: Task, episodes: int) -> dict[str, tuple[float, float]]:
    """Return the interval of balanced accuracy for new patients with ten shots, by learner."""
    learners = {name: create(name, input_spec=SHAPE).eval() for name in ("logistic", "protonet")}
    protocol = Protocol(shots=(10,), episodes=episodes, queries=10, baseline="logistic")
    results, _ = evaluate(learners, [task], protocol, show=False)
    return {row.learner: row.balanced_accuracy.new_patients for row in results.rows}


@pytest.mark.parametrize(
    ("label", "classes", "dropped"),
    [
        ("grade", {"1": 51, "2": 58}, 1),
        ("histology", {"1": 33, "2": 29, "3": 47}, 1),
        ("methylation_cluster", {"1": 4, "2": 13, "3": 34, "4": 21, "5": 37}, 1),
    ],
)
def test_brain_volumes_load_with_their_published_counts(shared_data, label, classes, dropped):
    (task,) = load_tasks(shared_data / LGG, label=label)
    assert {name: int(np.sum(task.labels == index)) for index, name in enumerate(task.classes)} == classes
    assert task.dropped == dropped
    assert task.images.axes == 3
    assert len(set(task.patients)) == len(task)


@pytest.mark.slow
def test_fingerprints_of_brain_volumes_differ_and_survive_another_size(shared_data):
    (task,) = load_tasks(shared_data / LGG, label="grade")
    some = np.arange(40)
    prints = [np.stack(list(task.images.stream(VolumeInput(size=size), some))) for size in (32, 48)]
    small, large = (fingerprints(pixels) for pixels in prints)
    pairs = near_duplicates(small, large)
    assert np.array_equal(pairs[:, 0], pairs[:, 1])
    assert len(pairs) >= 38


@pytest.mark.slow
def test_learners_adapt_to_brain_volumes(shared_data):
    (task,) = load_tasks(shared_data / LGG, label="grade")
    for _, high in score(task, episodes=6).values():
        assert high > 0.5  # grade is not seen in FLAIR from ten shots; below chance would be a mistake


@pytest.mark.slow
def test_learners_adapt_to_adrenal_volumes(shared_data):
    (task,) = load_tasks(shared_data / "adrenalmnist3d_64")
    assert [len(members) for members in task.members] == [1234, 350]
    for _, high in score(task, episodes=10).values():
        assert high > 0.5
    some = np.flatnonzero(np.arange(len(task)) % 10 == 0)
    volumes, labels = task.images.array[some], task.labels[some]
    model = FewShotClassifier(create("protonet", input_spec=VOLUME)).fit(volumes, labels)
    assert model.predict_proba(volumes[:5]).shape == (5, 2)
