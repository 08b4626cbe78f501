"""Forecasts hold as often as promised if sources are alike, and noise is forecast to stay at chance."""

import json

import numpy as np
import pytest
from command_line import medshot, write_ward
from hypothesis import given
from hypothesis import strategies as st
from small_tasks import labelled, textured

from medshot.encoders import EncodedInput
from medshot.errors import TooFewPatients
from medshot.imaging import ImageInput
from medshot.learners import Learner, create
from medshot.selection.forecasting import (
    COVERAGE,
    MORE,
    Curve,
    Forecaster,
    as_accuracy,
    over_chance,
    quantile,
    read_curves,
    upper_bound,
    write_curves,
)
from medshot.selection.task_features import TaskFeatures, pooled_predictions, task_features
from medshot.tasks import draw_folds


def past(sources: int, draws: int, seed: int) -> list[Curve]:
    """Make curves of sources that differ in the error of cross-validation."""
    rng = np.random.default_rng(seed)
    curves = []
    for source in range(sources):
        ease, off = rng.normal(1.0, 0.7), rng.normal(0.0, 0.3)
        for _ in range(draws):
            ways, shots = int(rng.integers(2, 6)), int(rng.integers(2, 31))
            truth = [ease * np.log1p(shots + more) / 2 for more in MORE]
            seen, of_half = (as_accuracy(np.array(ease * np.log1p(n) / 2 + off), ways) for n in (shots, shots / 2))
            noisy = [
                float(np.clip(value + rng.normal(0, 0.5 / np.sqrt(shots * ways)), 0, 1)) for value in (seen, of_half)
            ]
            features = TaskFeatures(ways, shots, noisy[0], 1 - noisy[0] / 2, noisy[1], 1 - noisy[1] / 2)
            later = tuple(float(as_accuracy(np.array(value + rng.normal(0, 0.1)), ways)) for value in truth)
            curves.append(Curve(f"source {source}", "task", features, later))
    return curves


@pytest.mark.parametrize("sources", [7, 12])
def test_intervals_hold_on_new_sources_as_often_as_they_promise(sources):
    held = []
    for seed in range(12):
        curves = past(sources + 1, 12, seed)
        forecaster = Forecaster([curve for curve in curves if curve.source != "source 0"])
        for curve in curves:
            if curve.source == "source 0":
                forecast = forecaster(curve.features)
                held += [e.low <= value <= e.high for e, value in zip(forecast, curve.accuracies, strict=True)]
                assert all(0 <= e.low <= e.high <= 1 for e in forecast)
    assert COVERAGE <= np.mean(held) <= 0.95


def test_more_coverage_is_wider():
    curves = past(8, 10, 0)
    narrow, wide = (Forecaster(curves, coverage)(curves[0].features) for coverage in (0.5, 0.95))
    assert all(w.high - w.low > n.high - n.low for n, w in zip(narrow, wide, strict=True))


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=20, unique=True), st.floats(0.05, 0.95))
def test_of_exchangeable_sources_as_many_stay_below_the_bound_as_promised(values, coverage):
    held = 0
    for new in range(len(values)):
        others = np.delete(np.array(values), new)
        held += values[new] <= upper_bound(others, np.full(len(others), 1 / len(others)), coverage, len(others))
    assert held >= coverage * len(values) - 1e-9


def test_the_shipped_curves_support_the_coverage_that_is_promised():
    forecast = Forecaster(read_curves())(TaskFeatures(2, 5, 0.7, 0.8, 0.65, 0.9))
    assert all(0 < expected.low < expected.high < 1 for expected in forecast)


def test_too_few_sources_give_no_finite_interval():
    forecast = Forecaster(past(3, 10, 0), coverage=0.9)(past(1, 1, 1)[0].features)
    assert [(expected.low, expected.high) for expected in forecast] == [(0, 1)] * len(MORE)


@given(st.floats(0.02, 0.98), st.integers(2, 9))
def test_log_odds_over_chance_lead_back_and_are_zero_at_chance(accuracy, ways):
    there = over_chance(np.array(accuracy), np.array(ways))
    assert as_accuracy(there, ways) == pytest.approx(accuracy)
    assert over_chance(np.array(1 / ways), np.array(ways)) == pytest.approx(0, abs=1e-9)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.floats(0.01, 1))
def test_with_equal_weights_a_quantile_is_that_of_the_sorted_values(values, level):
    expected = np.quantile(values, level, method="inverted_cdf")
    assert quantile(np.array(values), np.full(len(values), 1 / len(values)), level) == expected


def test_curves_are_read_as_they_were_written(tmp_path):
    curves = past(3, 4, 0)
    write_curves(tmp_path / "curves.json", curves, {"learner": "none"})
    for one, other in zip(read_curves(tmp_path / "curves.json"), curves, strict=True):
        assert (one.source, one.features.shots) == (other.source, other.features.shots)
        assert one.accuracies == pytest.approx(other.accuracies, abs=1e-4)


def logistic() -> Learner:
    return create("logistic", input_spec=ImageInput(channels=1, size=20))


def test_the_mode_of_the_learner_has_no_effect_and_stays():
    task = textured(0, patients=4)
    finetune = create("finetune", input_spec=ImageInput(channels=1, size=20), width=8, steps=3)
    episodes = draw_folds(task, shots=2, queries=1, rng=np.random.default_rng(0))
    evaluated, _ = pooled_predictions(finetune.eval(), episodes)
    trained, _ = pooled_predictions(finetune.train(), episodes)
    assert np.array_equal(evaluated, trained)
    assert finetune.training


def test_one_patient_of_a_class_is_too_few_and_the_class_is_named():
    with pytest.raises(TooFewPatients, match="Class 'class 1' of task 'task' has 1 labelled patient"):
        task_features(labelled([0, 0, 1, 1], [0, 1, 2, 2]), logistic(), np.random.default_rng(0))


def test_task_features_differ_between_a_task_and_noise():
    learner = logistic()
    signal, noise = (task_features(textured(0, signal=s), learner, np.random.default_rng(0)) for s in (1.0, 0.0))
    assert signal.accuracy > 0.9 > 0.75 > noise.accuracy
    assert signal.loss < noise.loss
    assert (signal.ways, signal.shots) == (2, 8)


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_forecast_to_stay_around_chance(seed):
    features = task_features(textured(seed, signal=0.0), logistic(), np.random.default_rng(seed))
    assert all(expected.low <= 0.5 <= expected.high for expected in Forecaster(read_curves())(features))


def test_the_command_prints_the_forecast(tmp_path, capsys):
    ward = write_ward(tmp_path, textured(1, patients=6))
    assert medshot("forecast", ward, "--encoder", "none", "--json", "--out", tmp_path / "forecast") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found == json.loads((tmp_path / "forecast" / "forecast.json").read_text())
    assert [row["shots"] for row in found["balanced_accuracy"]] == [6 + more for more in MORE]
    assert found["unit"] == "labelled patients per class"
    assert "were not tested" in printed.err
    assert (tmp_path / "forecast" / "forecast.svg").read_text().startswith("<?xml")


def test_more_labels_than_past_curves_are_refused(tmp_path, capsys):
    ward = write_ward(tmp_path, textured(1, patients=40))
    assert medshot("forecast", ward, "--encoder", "none") == 2
    assert "40 labelled patients per class" in capsys.readouterr().err


@pytest.mark.slow
def test_a_real_task_is_forecast(shared_data):
    from medshot.tasks import draw_episode, load_tasks

    (task,) = load_tasks(shared_data / "spine_xray_scoliosis")
    few = task.select(draw_episode(task, shots=4, rng=np.random.default_rng(0)).support)
    images = few.images.take(few.rows)  # so that only these are embedded
    few = type(few)("few", images, few.labels, few.classes, few.patients)
    now, *_, last = Forecaster(read_curves())(
        task_features(few, create("logistic", input_spec=EncodedInput()), np.random.default_rng(0))
    )
    assert 0.5 < now.accuracy < last.accuracy
