"""Small results with awkward names, an example episode and reliability curves."""

import numpy as np
import pytest

from medshot.evaluation.metrics import reliability_curve
from medshot.evaluation.predictions import EpisodePredictions, pool
from medshot.evaluation.results import Metadata, collect, measure
from medshot.reporting.examples import ExampleEpisode

TASKS = ("chest <script>alert(1)</script>", "skin | $x$ [red]1_2[/red] 皮膚")
LEARNERS = {"logistic": 0.8, "metal": 2.5, "proto<b>net": 0.8, "worse & none": 0.0}
CLASSES = ("normal", "<i>nodule</i>")


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
        for row in measure(predicted, task=task, shots=shots, baseline="logistic", seed=4)
    ]
    metadata = Metadata(
        seed=4,
        date="2026-01-02",
        machine="two cores",
        command="medshot evaluate <a>",
        version="0.1.0",
        notes=["a|b"],
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
