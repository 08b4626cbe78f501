"""Each metric equals its scikit-learn twin, with weights and with ties."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, roc_auc_score
from study import calibration_error

from medshot.errors import InputError
from medshot.evaluation import metrics
from medshot.evaluation.predictions import EpisodePredictions, check_same_episodes

ALL = (metrics.balanced_accuracy, metrics.auroc, metrics.brier, calibration_error)


@st.composite
def weighted_predictions(draw):
    """Return probabilities in quarters, which gives many ties, and whole weights; every class has some weight."""
    ways = draw(st.integers(2, 4))
    queries = draw(st.integers(ways, 20))
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    probabilities = generator.multinomial(4, np.full(ways, 1 / ways), queries) / 4
    labels = generator.permutation(np.concatenate([np.arange(ways), generator.integers(ways, size=queries - ways)]))
    weights = generator.integers(0, 3, queries).astype(float)
    assume((np.bincount(labels, weights, minlength=ways) > 0).all())
    return probabilities, labels, weights


@given(weighted_predictions())
def test_balanced_accuracy_equals_scikit_learn(case):
    probabilities, labels, weights = case
    twin = balanced_accuracy_score(labels, probabilities.argmax(axis=1), sample_weight=weights)
    assert metrics.balanced_accuracy(probabilities, labels, weights) == pytest.approx(twin, abs=1e-12)


@given(weighted_predictions())
def test_auroc_equals_scikit_learn(case):
    probabilities, labels, weights = case
    ways = probabilities.shape[1]
    scores = probabilities[:, 1] if ways == 2 else probabilities
    twin = roc_auc_score(labels, scores, average="macro", multi_class="ovr", sample_weight=weights)
    assert metrics.auroc(probabilities, labels, weights) == pytest.approx(twin, abs=1e-12)


@given(weighted_predictions())
def test_brier_equals_scikit_learn(case):
    probabilities, labels, weights = case
    classes = list(range(probabilities.shape[1]))
    twin = brier_score_loss(labels, probabilities, labels=classes, sample_weight=weights, scale_by_half=False)
    assert metrics.brier(probabilities, labels, weights) == pytest.approx(twin, abs=1e-12)


@given(weighted_predictions())
def test_calibration_error_equals_its_definition(case):
    probabilities, labels, weights = case
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    total = 0.0
    for low in np.arange(10) / 10:
        inside = (confidence >= low) & ((confidence < low + 0.1) | (low == 0.9))
        if weights[inside].sum() > 0:
            mean_right = np.average(right[inside], weights=weights[inside])
            mean_confidence = np.average(confidence[inside], weights=weights[inside])
            total += weights[inside].sum() / weights.sum() * abs(mean_right - mean_confidence)
    assert calibration_error(probabilities, labels, weights) == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("metric", ALL)
@given(case=weighted_predictions())
@settings(max_examples=30)
def test_a_weight_is_a_number_of_copies(metric, case):
    probabilities, labels, weights = case
    copies = np.repeat(np.arange(len(labels)), weights.astype(int))
    assert metric(probabilities, labels, weights) == pytest.approx(
        float(metric(probabilities[copies], labels[copies])), abs=1e-12
    )


@pytest.mark.parametrize("metric", ALL)
@given(case=weighted_predictions())
@settings(max_examples=30)
def test_replicates_at_once_equal_one_at_a_time(metric, case):
    probabilities, labels, weights = case
    rows = np.stack([weights, np.ones_like(weights), np.zeros_like(weights), weights[::-1]])
    together = metric(probabilities, labels, rows)
    np.testing.assert_allclose(together, [metric(probabilities, labels, row) for row in rows], atol=1e-12)
    assert np.isnan(together[2])


@pytest.mark.parametrize("metric", ALL)
def test_a_class_without_weight_is_left_out(metric):
    generator = np.random.default_rng(3)
    probabilities = generator.dirichlet(np.ones(3), 30)
    labels = np.arange(30) % 3
    kept = labels != 2
    assert metric(probabilities, labels, kept.astype(float)) == pytest.approx(
        float(metric(probabilities[kept], labels[kept]))
    )


def test_auroc_of_one_class_is_undefined():
    probabilities = np.array([[0.2, 0.8], [0.6, 0.4]])
    assert np.isnan(metrics.auroc(probabilities, np.array([1, 1])))


def test_brier_reaches_both_ends_of_its_range():
    truth = np.eye(3)
    assert metrics.brier(truth, np.array([0, 1, 2])) == 0
    assert metrics.brier(truth, np.array([1, 2, 0])) == 2


@given(weighted_predictions())
def test_the_reliability_curve_holds_the_calibration_error(case):
    probabilities, labels, _ = case
    curve = metrics.reliability_curve(probabilities, labels)
    assert curve.counts.sum() == len(labels)
    assert curve.error == pytest.approx(float(calibration_error(probabilities, labels)), abs=1e-12)


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([[np.nan, 1.0]], [0], "NaN"),
        ([[1.5, -0.5]], [0], "negative"),
        ([[0.5, 0.2]], [0], "sum to one"),
        ([[0.5, 0.5]], [2], "2 columns"),
        (np.zeros((0, 2)), [], "0 queries"),
    ],
)
def test_broken_predictions_are_refused(probabilities, labels, message):
    labels = np.array(labels, dtype=np.int64)
    with pytest.raises(InputError, match=message):
        EpisodePredictions(np.array(probabilities, dtype=np.float64), labels, labels, labels)


def test_learners_scored_on_different_queries_are_refused():
    half = np.full((2, 2), 0.5)
    one, other = (EpisodePredictions(half, np.array([0, 1]), np.array([3, 4]), np.array(i)) for i in ([3, 4], [3, 5]))
    check_same_episodes({"metal": [one], "logistic": [one]})
    with pytest.raises(InputError, match="metal and logistic were scored on different queries"):
        check_same_episodes({"metal": [one], "logistic": [other]})
    with pytest.raises(InputError, match="different queries"):
        check_same_episodes({"metal": [one], "logistic": [one, one]})
    with pytest.raises(InputError, match="no episode"):
        check_same_episodes({"metal": []})
