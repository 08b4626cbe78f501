"""Small results with awkward names, an example episode and reliability curves."""

import numpy as np
import pytest

from medshot.evaluation.metrics import reliability_curve
from medshot.evaluation.predictions import EpisodePredictions, pool
from medshot.evaluation.results import Metadata, collect, draw_resamples, measure
from medshot.evaluation.roc import mean_roc
from medshot.evaluation.study import StudiedLearner, StudiedTask, Study
from medshot.reporting.examples import ExampleEpisode

TASKS = ("chest <script>alert(1)</script>", "skin | $x$ [red]1_2[/red] 皮膚")
LEARNERS = {"logistic": 0.8, "metal": 2.5, "proto<b>net": 0.8, "worse & none": 0.0}
CLASSES = ("normal", "<i>nodule</i>")


STUDY = Study(
    tasks=[StudiedTask(task, images=80, patients=80, classes=dict.fromkeys(CLASSES, 40)) for task in TASKS],
    learners=[
        StudiedLearner(name, "logistic", "lite0", "0123456789abcdef" * 4, meta_trained=name == "metal")
        for name in LEARNERS
    ],
    shots=[1, 5],
    episodes=10,
    queries=20,
    sensitivity=0.95,
    prevalence={CLASSES[1]: 0.1},
)


def predict(labels, skill, generator):
    scores = generator.normal(size=(len(labels), 2))
    scores[np.arange(len(labels)), labels] += skill
    odds = np.exp(scores)
    return odds / odds.sum(axis=1, keepdims=True)


def predictions(seed):
    generator = np.random.default_rng(seed)
    by_learner = {name: [] for name in LEARNERS}
    for _ in range(10):
        queries = generator.choice(80, 40, replace=False)
        for name, skill in LEARNERS.items():
            given = predict(queries % 2, skill, generator)
            by_learner[name].append(EpisodePredictions(given, queries % 2, queries, queries))
    return by_learner


@pytest.fixture(scope="session")
def episodes():
    return {(task, shots): predictions([index, shots]) for index, task in enumerate(TASKS) for shots in (1, 5)}


@pytest.fixture(scope="session")
def results(episodes):
    measured = [
        row
        for (task, shots), predicted in episodes.items()
        for row in measure(
            predicted,
            task=task,
            shots=shots,
            baseline="logistic",
            seed=4,
            classes=CLASSES,
            prevalence=np.array([0.9, 0.1]),
            thresholds={name: np.full((10, 2), 0.3) for name in LEARNERS},
            wanted=0.95,
        )
    ]
    metadata = Metadata(
        seed=4,
        date="2026-01-02",
        machine="two cores",
        command="medshot evaluate <a>",
        version="0.1.0",
        notes=["a|b"],
        study=STUDY,
    )
    return collect(measured, baseline="logistic", metadata=metadata)


@pytest.fixture(scope="session")
def reliability(episodes):
    return {
        place: {name: reliability_curve(*pool(each)) for name, each in predicted.items()}
        for place, predicted in episodes.items()
        if place[1] == 5
    }


@pytest.fixture(scope="session")
def rocs(episodes):
    return {
        (task, shots): {
            name: {learner: mean_roc(each, index, draw_resamples(each, task, 4)) for learner, each in predicted.items()}
            for index, name in enumerate(CLASSES)
        }
        for (task, shots), predicted in episodes.items()
    }


@pytest.fixture(scope="session")
def examples():
    generator = np.random.default_rng(0)
    grey = ExampleEpisode(
        task=TASKS[0],
        classes=CLASSES,
        support_images=generator.integers(256, size=(10, 20, 24), dtype=np.uint8),
        support_labels=np.arange(10) % 2,
        query_images=generator.integers(256, size=(13, 20, 24), dtype=np.uint8),
        query_labels=np.arange(13) % 2,
        probabilities={name: predict(np.arange(13) % 2, skill, generator) for name, skill in LEARNERS.items()},
    )
    colour = ExampleEpisode(
        task=TASKS[1],
        classes=CLASSES,
        support_images=generator.integers(256, size=(2, 300, 200, 3), dtype=np.uint8),
        support_labels=np.arange(2),
        query_images=generator.integers(256, size=(3, 300, 200, 3), dtype=np.uint8),
        query_labels=np.zeros(3, dtype=np.int64),
        probabilities={"logistic": np.full((3, 2), 0.5)},
    )
    return [grey, colour]
