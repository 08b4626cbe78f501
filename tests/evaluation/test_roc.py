"""ROC curves equal scikit-learn's, and the area under a mean curve is the mean area."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve
from study import guesses, study

from medshot.evaluation.intervals import draw_replicates
from medshot.evaluation.metrics import class_auroc
from medshot.evaluation.predictions import EpisodePredictions
from medshot.evaluation.roc import mean_roc, roc_points


def area(x, y):
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))


@given(seed=st.integers(0, 2**32 - 1), queries=st.integers(2, 30), digits=st.sampled_from([1, 4, 1000]))
def test_points_equal_scikit_learn_with_ties_and_weights(seed, queries, digits):
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, digits + 1, queries) / digits
    positive = generator.random(queries) < 0.5
    weights = generator.integers(0, 3, queries).astype(float)
    assume(weights[positive].sum() > 0)
    assume(weights[~positive].sum() > 0)
    twin = roc_curve(positive, scores, sample_weight=weights, drop_intermediate=False)
    # scikit-learn leaves out queries of weight zero, whose points repeat the one before
    found = np.stack(roc_points(scores, positive, weights))
    repeats = np.isin(np.append(np.inf, np.unique(scores)[::-1]), twin[2])
    np.testing.assert_allclose(found[:, repeats], np.stack(twin[:2]), atol=1e-12)
    assert (np.diff(found[:, ~repeats]) >= 0).all()


@given(seed=st.integers(0, 1000), ways=st.integers(2, 4), digits=st.sampled_from([None, 3]))
@settings(max_examples=20)
def test_the_area_under_the_mean_curve_is_the_mean_area(seed, ways, digits):
    episodes = guesses(seed, ways=ways, digits=digits)
    draws = draw_replicates(episodes, replicates=5)
    for index in range(ways):
        curve = mean_roc(episodes, index, draws, max_rates=10**6)
        areas = [float(class_auroc(each.probabilities, each.labels, index=index)) for each in episodes]
        assert area(curve.false_positive_rates, curve.sensitivities) == pytest.approx(np.mean(areas), abs=1e-9)


@pytest.mark.parametrize("max_rates", [11, 51])
def test_a_curve_rises_from_corner_to_corner_within_its_band(max_rates):
    curve = mean_roc(study(0, queries=20), 1, draw_replicates(study(0, queries=20)), max_rates=max_rates)
    for values in (curve.false_positive_rates, curve.sensitivities):
        assert (np.diff(values) >= -1e-12).all()
        assert (values[0], values[-1]) == (0, 1)
    assert (curve.low <= curve.sensitivities + 1e-12).all()
    assert (curve.sensitivities <= curve.high + 1e-12).all()
    assert len(curve.low) == 2 * min(max_rates, 21)


def test_a_band_narrows_with_more_patients():
    few, many = (study(1, patients=patients, queries=patients) for patients in (15, 150))
    widths = [np.mean(curve.high - curve.low) for curve in (mean_roc(e, 1, draw_replicates(e)) for e in (few, many))]
    assert widths[1] < 0.8 * widths[0]


def test_one_class_alone_has_no_curve():
    one_class = EpisodePredictions(np.full((4, 2), 0.5), np.zeros(4, dtype=np.int64), np.arange(4), np.arange(4))
    assert mean_roc([one_class] * 2, 1, draw_replicates([one_class] * 2)) is None


def test_episodes_without_the_class_are_left_out_of_the_mean():
    episodes = study(2)
    one_class = EpisodePredictions(np.full((4, 2), 0.5), np.zeros(4, dtype=np.int64), np.arange(4), np.arange(4))
    alone, beside = ([*episodes, *more] for more in ([], [one_class]))
    curves = [mean_roc(each, 1, draw_replicates(each)) for each in (alone, beside)]
    np.testing.assert_allclose(curves[0].sensitivities, curves[1].sensitivities)
