"""Strategies choose as scikit-activeml does, and the learned one follows its coefficients."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pools import CLASSES, pool
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import Clue as ClusteredUncertainty
from skactiveml.pool import MaxHerding, RandomSampling, TypiClust, UncertaintySampling
from skactiveml.utils import MISSING_LABEL
from sklearn.linear_model import LogisticRegression

from medshot.errors import StorageError
from medshot.selection.active_learning import STRATEGIES, Pool, shipped, standardised
from medshot.selection.active_learning.pool import FEATURES, AcquisitionFeatures, margins, shares
from medshot.selection.active_learning.strategies import SHIPPED, choose_greedily, read_coefficients
from medshot.selection.active_learning.suggesting import LESS, MORE, PLAIN, reasons
from medshot.storage import read_json, write_json

SEEDS = st.integers(0, 1000)
MISSING = np.full(30, MISSING_LABEL)


def gains(**of: float) -> np.ndarray:
    return np.array([of.get(name, 0.0) for name in FEATURES])


@given(SEEDS)
def test_typical_and_coverage_and_random_are_those_of_scikit_activeml(seed):
    candidates = pool(seed)
    theirs = {
        "typical": TypiClust(random_state=seed),
        "coverage": MaxHerding(metric="rbf", metric_dict={"gamma": 1.0}, random_state=seed),
        "random": RandomSampling(random_state=seed),
    }
    for name, strategy in theirs.items():
        expected, utilities = strategy.query(candidates.features, MISSING, batch_size=5, return_utilities=True)
        chosen, scores = STRATEGIES[name].choose(candidates, 5, seed)
        np.testing.assert_array_equal(chosen, expected)
        np.testing.assert_allclose(scores, utilities[np.arange(5), expected])


@pytest.mark.parametrize("seed", range(5))
def test_margin_and_clue_are_those_of_scikit_activeml_with_a_classifier_of_its_own(seed):
    rng = np.random.default_rng(seed)
    features = standardised(rng.normal(size=(30, 8)))
    fitted = SklearnClassifier(LogisticRegression(), classes=range(CLASSES)).fit(features[:9], np.arange(9) % CLASSES)
    candidates = Pool(features, fitted.predict_proba(features))
    margin = UncertaintySampling(method="margin_sampling", random_state=seed)
    expected = margin.query(features, MISSING, clf=fitted, fit_clf=False, batch_size=5)
    np.testing.assert_array_equal(STRATEGIES["margin"].choose(candidates, 5, seed)[0], expected)
    clue = ClusteredUncertainty(method="margin_sampling", cluster_algo_dict={"random_state": seed}, random_state=seed)
    expected = clue.query(features, MISSING, estimator=fitted, fit_estimator=False, batch_size=5)
    np.testing.assert_array_equal(STRATEGIES["clue"].choose(candidates, 5, seed)[0], expected)


@given(SEEDS)
def test_a_gain_from_uncertainty_alone_is_the_strategy_margin(seed):
    candidates = pool(seed)
    np.testing.assert_array_equal(
        choose_greedily(candidates, gains(uncertainty=1.0), 30)[0], np.argsort(margins(candidates.probabilities))
    )


@given(SEEDS)
def test_a_gain_from_coverage_alone_is_herding_with_the_linear_kernel(seed):
    candidates = pool(seed)
    chosen, _ = choose_greedily(candidates, gains(coverage=1.0), 6)
    labelled = MISSING.copy()
    for before, after in pairwise(chosen):
        labelled[before] = 0
        herding = MaxHerding(metric="linear", normalize_samples=False, random_state=seed)
        _, utilities = herding.query(candidates.features, labelled, return_utilities=True)
        np.testing.assert_allclose(utilities[0, after], np.nanmax(utilities))  # each other's nearest are a tie


@given(SEEDS, st.integers(0, 5))
def test_acquisition_features_are_shares_that_follow_a_permutation(seed, chosen):
    candidates, order = pool(seed), np.random.default_rng(seed).permutation(30)
    shuffled = Pool(candidates.features[order], candidates.probabilities[order])
    places = np.arange(chosen)
    found = AcquisitionFeatures(candidates)(places)
    assert found.shape == (30, len(FEATURES))
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(AcquisitionFeatures(shuffled)(np.argsort(order)[places]), found[order], atol=1e-6)


@given(SEEDS)
def test_what_is_chosen_covers_nothing_more_and_is_nearest_to_itself(seed):
    candidates = pool(seed)
    found = AcquisitionFeatures(candidates)([4])[4]
    assert found[FEATURES.index("coverage")] == 0
    assert found[FEATURES.index("distance")] == 0


def test_shares_count_ties_by_half():
    np.testing.assert_allclose(shares(np.array([1.0, 3.0, 3.0, 7.0])), [0, 0.5, 0.5, 1])


def test_the_shipped_coefficients_are_of_every_feature_and_of_free_data_alone():
    assert set(shipped().gains) == set(FEATURES)
    assert not {"skin_ham10000_subset", "lgg_mri_genomics", "cxr_jsrt_nodule_lungmask"} & set(shipped().learned_from)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["gains"].pop("distance"),
        lambda value: value["gains"].update(distance="far"),
        lambda value: value["gains"].update(beauty=1.0),
        lambda value: value.update(more=1),
        lambda value: value.pop("command"),
    ],
)
def test_a_damaged_file_of_coefficients_is_refused_by_name(tmp_path, change):
    value = read_json(SHIPPED)
    change(value)
    write_json(tmp_path / "coefficients.json", value)
    with pytest.raises(StorageError, match=r"coefficients\.json does not hold"):
        read_coefficients(tmp_path / "coefficients.json")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_reasons_name_classes_and_leave_no_gap(strategy):
    candidates = pool()
    chosen, _ = STRATEGIES[strategy].choose(candidates, 10, 0)
    found = reasons(strategy, candidates, ["a {b}", "c", "d"], chosen)
    assert len(found) == 10
    assert not any("{first}" in reason or "{second}" in reason for reason in found)


def test_every_acquisition_feature_and_strategy_has_its_words():
    assert MORE.keys() == LESS.keys() == set(FEATURES)
    assert PLAIN.keys() == STRATEGIES.keys() - {"learned", "margin"}


def test_the_reason_of_the_most_uncertain_names_both_classes():
    candidates = Pool(standardised(np.eye(2)), np.array([[0.9, 0.1, 0.0], [0.05, 0.5, 0.45]]))
    (reason,) = reasons("margin", candidates, ["a", "b", "c"], STRATEGIES["margin"].choose(candidates, 1, 0)[0])
    assert reason == "the model is unsure between b (50%) and c (45%)"
