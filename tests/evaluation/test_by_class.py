"""Numbers by class equal their scikit-learn twins, agree with the confusion matrix, and have honest intervals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix as twin_confusion
from sklearn.metrics import precision_score, recall_score, roc_auc_score
from study import TRUE_ACCURACY, guesses, study

from medshot.errors import InputError
from medshot.evaluation.by_class import class_scores, confusion_matrix, operating_points, prevalence_of
from medshot.evaluation.intervals import draw_replicates
from medshot.evaluation.predictions import EpisodePredictions, pool
from medshot.evaluation.rates import class_rates

RATES = ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value")


def score(episodes, prevalence=None, *, replicates=50, seed=0):
    ways = episodes[0].probabilities.shape[1]
    draws = draw_replicates(episodes, replicates=replicates, seed=seed)
    return class_scores(episodes, draws, [f"class {index}" for index in range(ways)], prevalence)


@given(seed=st.integers(0, 1000), ways=st.integers(2, 4), digits=st.sampled_from([None, 3]))
@settings(max_examples=20)
def test_counts_and_rates_equal_scikit_learn(seed, ways, digits):
    episodes = guesses(seed, ways=ways, digits=digits)
    probabilities, labels = pool(episodes)
    predicted = probabilities.argmax(axis=1)
    np.testing.assert_array_equal(confusion_matrix(episodes), twin_confusion(labels, predicted, labels=np.arange(ways)))
    for index, found in enumerate(score(episodes)):
        assert found.rates.sensitivity.value == pytest.approx(recall_score(labels == index, predicted == index))
        assert found.rates.specificity.value == pytest.approx(recall_score(labels != index, predicted != index))
        areas = [roc_auc_score(each.labels == index, each.probabilities[:, index]) for each in episodes]
        assert found.auroc.value == pytest.approx(np.mean(areas))
        assert found.rates.positive_predictive_value is None


@given(seed=st.integers(0, 1000), ways=st.integers(2, 4), raw=st.lists(st.floats(0.05, 1), min_size=4, max_size=4))
@settings(max_examples=20)
def test_predictive_values_are_those_of_queries_at_that_prevalence(seed, ways, raw):
    episodes = guesses(seed, ways=ways)
    prevalence = np.array(raw[:ways]) / sum(raw[:ways])
    probabilities, labels = pool(episodes)
    predicted = probabilities.argmax(axis=1)
    weights = (prevalence / np.bincount(labels))[labels]
    for index, found in enumerate(score(episodes, prevalence)):
        twins = [
            precision_score(labels == index, predicted == index, sample_weight=weights, zero_division=np.nan),
            precision_score(labels != index, predicted != index, sample_weight=weights, zero_division=np.nan),
        ]
        values = (found.rates.positive_predictive_value, found.rates.negative_predictive_value)
        for value, twin in zip(values, twins, strict=True):
            assert (value is None) == np.isnan(twin)
            assert value is None or value.value == pytest.approx(twin)


def test_predictive_values_of_two_classes_follow_bayes_rule():
    episodes = study(0)
    (_, found) = score(episodes, np.array([0.98, 0.02]))
    sensitivity, specificity = found.rates.sensitivity.value, found.rates.specificity.value
    positive, negative = 0.02 * sensitivity, 0.98 * (1 - specificity)
    assert found.rates.positive_predictive_value.value == pytest.approx(positive / (positive + negative))
    right, missed = 0.98 * specificity, 0.02 * (1 - sensitivity)
    assert found.rates.negative_predictive_value.value == pytest.approx(right / (right + missed))
    assert found.prevalence == 0.02


@given(seed=st.integers(0, 1000), ways=st.integers(2, 4))
@settings(max_examples=20)
def test_numbers_by_class_follow_from_the_confusion_matrix(seed, ways):
    episodes = guesses(seed, ways=ways)
    matrix = confusion_matrix(episodes)
    assert matrix.sum() == sum(len(each.labels) for each in episodes)
    for index, found in enumerate(score(episodes)):
        others = np.arange(ways) != index
        assert found.rates.sensitivity.value == pytest.approx(matrix[index, index] / matrix[index].sum())
        right = matrix[others][:, others].sum()
        assert found.rates.specificity.value == pytest.approx(right / matrix[others].sum())


def test_with_equal_classes_the_mean_sensitivity_is_the_balanced_accuracy():
    episodes = study(1)
    found = score(episodes)
    each = [(each.probabilities.argmax(axis=1) == each.labels).mean() for each in episodes]
    assert np.mean([one.rates.sensitivity.value for one in found]) == pytest.approx(np.mean(each))
    assert found[0].rates.sensitivity.value == pytest.approx(found[1].rates.specificity.value)


@given(seed=st.integers(0, 200), ways=st.integers(2, 3))
@settings(max_examples=10)
def test_a_replicate_counts_the_drawn_patients_and_episodes(seed, ways):
    episodes = guesses(seed, ways=ways)
    draws = draw_replicates(episodes, replicates=2, seed=seed)
    flags = [np.eye(ways, dtype=bool)[each.probabilities.argmax(axis=1)] for each in episodes]
    from medshot.evaluation.rates import _count_flags, _rates

    resampled = _rates(_count_flags(episodes, draws, flags)[2], 0, None)
    patients = np.unique(np.concatenate([each.patients for each in episodes]))
    for number in range(2):
        per_patient = dict(zip(patients, draws.patients[number], strict=True))
        weights = np.concatenate(
            [
                count * np.array([per_patient[patient] for patient in each.patients])
                for each, count in zip(episodes, draws.episodes[number], strict=True)
            ]
        )
        probabilities, labels = pool(episodes)
        assume(weights[labels == 0].sum() > 0)
        twin = recall_score(labels == 0, probabilities.argmax(axis=1) == 0, sample_weight=weights)
        assert resampled["sensitivity"][number] == pytest.approx(twin)


def bayes(prevalence):
    return prevalence * TRUE_ACCURACY / (prevalence * TRUE_ACCURACY + (1 - prevalence) * (1 - TRUE_ACCURACY))


def test_intervals_for_new_patients_cover_what_they_promise():
    prevalence = 0.1
    truths = (TRUE_ACCURACY, TRUE_ACCURACY, bayes(prevalence), 1 - (1 - bayes(1 - prevalence)))
    covered = []
    for seed in range(200):
        (_, found) = score(study(seed), np.array([1 - prevalence, prevalence]), replicates=200, seed=seed)
        intervals = [getattr(found.rates, name).new_patients for name in RATES]
        covered.append([low <= truth <= high for (low, high), truth in zip(intervals, truths, strict=True)])
    shares = np.mean(covered, axis=0)
    assert (shares >= 0.88).all(), shares
    assert (shares <= 0.995).all(), shares


@given(seed=st.integers(0, 1000), ways=st.integers(2, 4))
@settings(max_examples=10)
def test_intervals_contain_their_value_and_those_for_new_patients_contain_those_over_episodes(seed, ways):
    for found in score(guesses(seed, ways=ways), np.full(ways, 1 / ways)):
        for estimate in (found.auroc, *vars(found.rates).values()):
            if estimate is not None:
                assert 0 <= estimate.new_patients[0] <= estimate.over_episodes[0] <= estimate.value
                assert estimate.value <= estimate.over_episodes[1] <= estimate.new_patients[1] <= 1


def test_a_perfect_learner_may_still_miss_rare_positives():
    """No false alarm among 20 patients: at 1 % prevalence, most alarms could still be false."""
    perfect = [replace(each, probabilities=np.eye(2)[each.labels]) for each in study(5, patients=20)]
    (_, found) = score(perfect, np.array([0.99, 0.01]))
    assert found.rates.sensitivity.value == 1
    assert found.rates.sensitivity.new_patients[0] == pytest.approx(0.025 ** (1 / 20))
    assert found.rates.positive_predictive_value.value == 1
    assert found.rates.positive_predictive_value.new_patients[0] < 0.1


def test_a_class_that_is_never_found_has_no_positive_predictive_value():
    never = [replace(each, probabilities=np.tile([1.0, 0.0], (len(each.labels), 1))) for each in study(6)]
    (_, found) = score(never, np.array([0.5, 0.5]))
    assert found.rates.positive_predictive_value is None
    assert (found.rates.sensitivity.value, found.rates.specificity.value) == (0, 1)


def test_an_operating_point_counts_what_reaches_the_threshold():
    episodes = study(7)
    draws = draw_replicates(episodes, replicates=20)
    thresholds = np.random.default_rng(0).uniform(0.2, 0.8, (len(episodes), 2))
    for index, point in enumerate(operating_points(episodes, draws, ("a", "b"), thresholds, 0.95)):
        flagged = np.concatenate(
            [each.probabilities[:, index] >= limit for each, limit in zip(episodes, thresholds[:, index], strict=True)]
        )
        labels = np.concatenate([each.labels for each in episodes])
        assert point.rates.sensitivity.value == pytest.approx(recall_score(labels == index, flagged))
        assert point.rates.specificity.value == pytest.approx(recall_score(labels != index, ~flagged))
        assert (point.wanted, point.threshold) == (0.95, pytest.approx(np.median(thresholds[:, index])))


def test_the_threshold_of_the_most_probable_class_is_one_half():
    episodes = study(8)
    draws = draw_replicates(episodes, replicates=20)
    by_threshold = class_rates(episodes, draws, [each.probabilities >= 0.5 for each in episodes], None)
    assert by_threshold == [found.rates for found in class_scores(episodes, draws, ("a", "b"))]


@pytest.mark.parametrize(
    ("stated", "shares"),
    [
        ({"nodule": 0.02}, [0.49, 0.02, 0.49]),
        ({"nodule": 2.0, "normal": 6.0, "other": 2.0}, [0.6, 0.2, 0.2]),
        ({"elsewhere": 0.3}, None),
        ({}, None),
    ],
)
def test_prevalences_that_are_not_stated_share_the_rest(stated, shares):
    found = prevalence_of(("normal", "nodule", "other"), stated)
    assert found is None if shares is None else np.allclose(found, shares)


@pytest.mark.parametrize("stated", [{"nodule": 0.0}, {"nodule": 1.0}, {"nodule": 2.0}, {"nodule": float("nan")}])
def test_prevalences_that_are_not_shares_are_refused(stated):
    with pytest.raises(InputError, match="nodule="):
        prevalence_of(("normal", "nodule"), stated)


def test_numbers_of_patients_and_images_are_those_of_the_class():
    labels, patients, images = np.array([0, 0, 1, 1, 1]), np.array([3, 4, 5, 5, 3]), np.array([0, 1, 2, 3, 4])
    episode = EpisodePredictions(np.full((5, 2), 0.5), labels, patients, images)
    found = score([episode, episode])
    assert [(each.patients, each.images) for each in found] == [(2, 2), (2, 3)]
