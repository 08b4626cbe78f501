"""The sentence of `auto` on patients that were left out: balanced accuracy, its interval, and each class."""

import numpy as np
import pytest

from medshot.selection.left_out_scores import balanced_accuracy, describe_left_out, interval


def test_a_rare_class_weighs_as_much_as_the_others():
    right, judged = np.array([20.0, 18.0, 0.0]), np.array([20.0, 20.0, 3.0])
    assert balanced_accuracy(right, judged) == pytest.approx((1 + 0.9 + 0) / 3)
    sentence = describe_left_out(right, judged, ["glioma", "meningioma", "pituitary"])
    assert "balanced accuracy of 63% (95 % interval" in sentence
    assert "glioma 20 of 20, meningioma 18 of 20, pituitary 0 of 3" in sentence


def test_classes_without_patients_do_not_count():
    assert balanced_accuracy(np.array([1.0, 0.0]), np.array([2.0, 0.0])) == 0.5
    assert "class 1" not in describe_left_out(np.array([1.0, 0.0]), np.array([2.0, 0.0]))


@pytest.mark.parametrize("patients", [4, 12, 40])
@pytest.mark.parametrize("share", [0.5, 0.8])
def test_the_interval_covers_the_share_among_all_patients(patients, share):
    rng = np.random.default_rng(0)
    judged = np.array([patients, patients])
    inside = 0
    for _ in range(300):
        low, high = interval(rng.binomial(judged, share).astype(float), judged.astype(float))
        inside += low <= share <= high
    assert inside >= 0.91 * 300


def test_the_interval_narrows_with_patients():
    widths = [np.ptp(interval(np.array([0.7, 0.7]) * many, np.array([1.0, 1.0]) * many)) for many in (10, 40, 160)]
    assert widths == sorted(widths, reverse=True)


def test_of_many_classes_the_lowest_are_listed():
    right = np.arange(30.0)
    sentence = describe_left_out(right, np.full(30, 30.0), [f"c{number}" for number in range(30)])
    assert "the lowest 10: c0 0 of 30, c1 1 of 30" in sentence
    assert "c10 " not in sentence
