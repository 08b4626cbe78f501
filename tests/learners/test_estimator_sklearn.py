"""`FewShotClassifier` keeps scikit-learn's own rules of an estimator."""

import pytest
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from medshot.learners import FewShotClassifier

TYPES = {"check_do_not_raise_errors_in_init_or_set_params": "only in tests, beartype checks types in __init__"}
SINGLE = {
    "check_methods_subset_invariance": "in single precision, matrix products of other sizes round otherwise",
    "check_methods_sample_order_invariance": "in single precision, rows at other places round otherwise",
}


@parametrize_with_checks([FewShotClassifier("logistic")], expected_failed_checks=lambda _: TYPES)
def test_logistic(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_learner_that_trains_a_network():
    expected = TYPES | SINGLE
    results = check_estimator(FewShotClassifier("scratch"), expected_failed_checks=expected, on_skip=None)
    passed = [result["check_name"] for result in results if result["status"] == "passed"]
    assert len(passed) > 45
