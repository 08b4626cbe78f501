"""Operating points are chosen on the support by leaving its patients out; queries have no part in them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import recall_score

from medshot.errors import InputError
from medshot.evaluation import Protocol, draw_episodes, evaluate
from medshot.evaluation.thresholds import left_out, support_thresholds, thresholds_of
from medshot.imaging import ArrayImages, ImageInput
from medshot.learners import create
from medshot.tasks import Task

SPEC = ImageInput(channels=1, size=8)


def task_of(*, shift, patients=24, name="films", images=1):
    """Return two classes of noise, the second brighter by `shift`; each patient has some images."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], patients * images // 2)
    pixels = generator.normal(100, 20, (len(labels), 8, 8)) + shift * labels[:, None, None]
    owners = np.array([f"p{index}" for index in np.repeat(np.arange(patients), images)])
    return Task(name, ArrayImages(pixels.clip(0, 255).astype(np.uint8)), labels, ("normal", "nodule"), owners)


@pytest.fixture(scope="module")
def task():
    return task_of(shift=15)


@pytest.fixture(scope="module")
def learner():
    return create("logistic", input_spec=SPEC)


@given(
    seed=st.integers(0, 1000), images=st.integers(2, 30), sensitivity=st.floats(0.01, 0.99), digits=st.integers(1, 9)
)
def test_a_threshold_is_the_highest_that_reaches_the_sensitivity(seed, images, sensitivity, digits):
    generator = np.random.default_rng(seed)
    second = generator.integers(0, digits + 1, images) / digits
    probabilities = np.stack([1 - second, second], axis=1)
    labels = np.append([0, 1], generator.integers(0, 2, images - 2))
    for index, threshold in enumerate(thresholds_of(probabilities, labels, sensitivity)):
        scores = probabilities[:, index]
        assert recall_score(labels == index, scores >= threshold) >= sensitivity - 1e-9
        higher = scores[scores > threshold]
        if len(higher):
            assert recall_score(labels == index, scores >= higher.min()) < sensitivity


def test_a_class_without_left_out_images_has_a_threshold_that_all_reach():
    assert thresholds_of(np.array([[0.3, 0.7]]), np.array([1]), 0.95).tolist() == [0, 0.7]


def test_left_out_patients_are_in_the_support_and_on_one_side(task):
    (episode,) = draw_episodes(task, 5, Protocol(shots=(5,), episodes=1, queries=3))
    support = set(task.patients[episode.support])
    scored = []
    for fold in left_out(episode, np.random.default_rng(0)):
        inside, outside = (set(fold.task.patients[rows]) for rows in (fold.support, fold.query))
        assert not inside & outside
        assert inside | outside <= support
        scored += sorted(outside)
    assert sorted(scored) == sorted(support)


def test_queries_have_no_part_in_a_threshold(task, learner):
    episodes = draw_episodes(task, 4, Protocol(shots=(4,), episodes=3, queries=3))
    without = [replace(each, query=each.query[:1], query_labels=each.query_labels[:1]) for each in episodes]
    found = [support_thresholds(learner, each, 0.95, seed=0) for each in (episodes, without)]
    np.testing.assert_array_equal(*found)
    assert found[0].shape == (3, 2)


def test_one_patient_per_class_has_no_threshold(task, learner):
    episodes = draw_episodes(task, 1, Protocol(shots=(1,), episodes=2, queries=3))
    assert support_thresholds(learner, episodes, 0.95, seed=0) is None


def test_an_evaluation_gives_operating_points_where_supports_allow_them(task, learner):
    protocol = Protocol(shots=(1, 5), episodes=6, queries=5, sensitivity=0.9, prevalence={"nodule": 0.1})
    results, cells = evaluate({"logistic": learner}, [task], protocol, show=False)
    one, five = results.rows
    assert one.operating_points is None
    assert [(each.name, each.wanted) for each in five.operating_points] == [("normal", 0.9), ("nodule", 0.9)]
    thresholds = cells[1].thresholds["logistic"]
    flagged = [
        each.probabilities[:, 1] >= limit[1]
        for each, limit in zip(cells[1].predictions["logistic"], thresholds, strict=True)
    ]
    labels = np.concatenate([each.labels for each in cells[1].predictions["logistic"]])
    reached = five.operating_points[1].rates
    assert reached.sensitivity.value == pytest.approx(np.concatenate(flagged)[labels == 1].mean())
    assert reached.positive_predictive_value is not None
    assert five.classes[1].prevalence == 0.1
    assert results.metadata.study.sensitivity == 0.9


def test_a_higher_sensitivity_is_paid_for_with_specificity(learner):
    found = []
    for sensitivity in (0.5, 0.95):
        protocol = Protocol(shots=(10,), episodes=10, queries=10, sensitivity=sensitivity)
        results, _ = evaluate({"logistic": learner}, [task_of(shift=6, patients=60)], protocol, show=False)
        found.append(results.rows[0].operating_points[1].rates)
    assert found[0].sensitivity.value < found[1].sensitivity.value - 0.1
    assert found[0].specificity.value > found[1].specificity.value + 0.1


@pytest.mark.parametrize("sensitivity", [0.0, 1.0, 95.0, float("nan")])
def test_a_sensitivity_that_is_no_share_is_refused(sensitivity):
    with pytest.raises(InputError, match=r"for example 0\.95"):
        Protocol(sensitivity=sensitivity)


def test_the_prevalence_of_an_unknown_class_is_refused_before_any_learner_runs(task, learner, monkeypatch):
    monkeypatch.setattr("medshot.evaluation.protocol.run_episodes", lambda *_: pytest.fail("a learner ran"))
    with pytest.raises(InputError, match="is of 'Nodule', but the classes are normal, nodule"):
        evaluate({"logistic": learner}, [task], Protocol(shots=(5,), prevalence={"Nodule": 0.1}), show=False)


def test_the_study_describes_the_data_and_the_learners(learner):
    several = task_of(shift=15, patients=20, images=2)
    results, _ = evaluate({"mine": learner}, [several], Protocol(shots=(2,), episodes=2, baseline="mine"), show=False)
    study = results.metadata.study
    (described,) = study.tasks
    assert (described.images, described.patients, described.classes) == (40, 20, {"normal": 10, "nodule": 10})
    assert (study.learners[0].name, study.learners[0].learner, study.learners[0].encoder_sha256) == (
        "mine",
        "logistic",
        None,
    )
    assert results.rows[0].images <= 40
