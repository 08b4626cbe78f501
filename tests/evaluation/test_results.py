"""Results: every number finite or absent, and the same after JSON."""

import json
from dataclasses import replace

import numpy as np
import pytest
from study import study

from medshot.errors import InputError
from medshot.evaluation.intervals import Estimate, bootstrap, compare, draw_replicates, estimate
from medshot.evaluation.predictions import EpisodePredictions
from medshot.evaluation.results import Metadata, Results, collect, mean_scores, measure

METADATA = Metadata(seed=3, date="2026-01-02", machine="one core", command="medshot evaluate", version="0.1.0")


def predictions(seed):
    good = [replace(episode, probabilities=np.eye(2)[episode.labels]) for episode in study(seed, patients=30)]
    return {"logistic": study(seed, patients=30), "metal": good}


@pytest.fixture(scope="module")
def measured():
    return [
        row
        for seed in range(3)
        for row in measure(
            predictions(seed),
            task=f"task {seed}",
            shots=5,
            baseline="logistic",
            seconds={"metal": [3.0, 1.0, 2.0]},
        )
    ]


@pytest.fixture(scope="module")
def results(measured):
    return collect(measured, baseline="logistic", metadata=METADATA)


def test_a_row_describes_the_scored_episodes(results):
    baseline, metal = results.rows[:2]
    assert (baseline.learner, metal.learner, metal.task, metal.shots) == ("logistic", "metal", "task 0", 5)
    assert (metal.ways, metal.episodes, metal.queries) == (2, 15, 300)
    assert metal.patients == len({patient for each in study(0, patients=30) for patient in each.patients})
    assert (metal.adapt_seconds, baseline.adapt_seconds) == (2.0, None)
    assert baseline.difference is None
    assert metal.difference.verdict == "better"
    assert metal.difference.value == pytest.approx(metal.balanced_accuracy.value - baseline.balanced_accuracy.value)


def test_json_round_trip(results):
    text = json.dumps(results.to_json(), allow_nan=False)
    assert Results.from_json(json.loads(text)) == results


def test_undefined_metrics_are_absent_rather_than_nan():
    labels = np.zeros(4, dtype=np.int64)
    one_class = [EpisodePredictions(np.full((4, 2), 0.5), labels, np.arange(4), np.arange(4))] * 3
    (row,) = measure({"knn": one_class}, task="one class", shots=1, baseline="knn")
    assert row.score.auroc is None
    assert row.score.balanced_accuracy.value == 1


def test_numbers_that_are_not_finite_are_refused(results):
    value = results.to_json()
    value["rows"][0]["brier"]["value"] = float("nan")
    with pytest.raises(InputError, match=r"rows\.0\.brier\.value"):
        Results.from_json(value)


def test_unknown_fields_are_refused(results):
    with pytest.raises(InputError, match="extra"):
        Results.from_json({**results.to_json(), "extra": 1})


def test_means_are_over_the_tasks(results):
    assert [(mean.learner, mean.tasks) for mean in results.means] == [("logistic", 3), ("metal", 3)]
    for mean in results.means:
        rows = [row for row in results.rows if row.learner == mean.learner]
        for name in ("balanced_accuracy", "auroc", "brier", "calibration_error"):
            values = [getattr(row, name).value for row in rows]
            assert getattr(mean, name).value == pytest.approx(np.mean(values))
    assert results.means[0].difference is None
    assert results.means[1].difference.value == pytest.approx(np.mean([r.difference.value for r in results.rows[1::2]]))


def test_one_task_has_no_mean(measured):
    assert mean_scores(measured[:2]) == []


def test_scores_are_the_estimates_of_their_replicates(measured):
    for each in measured:
        assert isinstance(each.score.brier, Estimate)
        assert each.score.brier == estimate(each.replicates["brier"])


def test_all_learners_of_a_task_have_the_same_resamples(measured):
    baseline, metal = measured[:2]
    assert compare(metal.replicates["balanced_accuracy"], baseline.replicates["balanced_accuracy"]) == (
        metal.score.difference
    )
    episodes = predictions(0)["logistic"]
    other_draws = draw_replicates(episodes, seed=99)
    assert not np.array_equal(
        bootstrap(episodes, other_draws)["brier"].new_patients, baseline.replicates["brier"].new_patients
    )


def test_a_missing_baseline_is_named():
    with pytest.raises(InputError, match="baseline knn was not evaluated"):
        measure(predictions(0), task="task", shots=5, baseline="knn")
