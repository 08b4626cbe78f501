"""The two intervals: their coverage, and that patients rather than episodes limit a claim."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from study import PATIENT_SPREAD, SKILL, TRUE_ACCURACY, calibration_error, guesses, study

from medshot.errors import InputError
from medshot.evaluation import metrics
from medshot.evaluation.intervals import (
    METRICS,
    Comparison,
    Replicates,
    bootstrap,
    compare,
    difference,
    draw_replicates,
    estimate,
    mean_over_tasks,
)
from medshot.evaluation.predictions import EpisodePredictions, pool


def width(interval):
    return interval[1] - interval[0]


def accuracy(episodes, *, replicates=1000, seed=0):
    draws = draw_replicates(episodes, replicates=replicates, seed=seed)
    return bootstrap(episodes, draws, ["balanced_accuracy"])["balanced_accuracy"]


def as_certain(episode):
    """Return the same predicted classes with probability 1."""
    return replace(episode, probabilities=np.eye(2)[episode.probabilities.argmax(axis=1)])


def always_right(episode):
    return replace(episode, probabilities=np.eye(2)[episode.labels])


@given(seed=st.integers(0, 1000), ways=st.integers(2, 4), digits=st.sampled_from([None, 3]))
@settings(max_examples=10)
def test_a_replicate_is_the_metric_of_the_drawn_patients_and_episodes(seed, ways, digits):
    episodes = guesses(seed, ways=ways, digits=digits)
    draws = draw_replicates(episodes, replicates=3, seed=seed)
    found = bootstrap(episodes, draws)
    patients = np.unique(np.concatenate([episode.patients for episode in episodes]))
    for replicate in range(3):
        per_patient = dict(zip(patients, draws.patients[replicate], strict=True))
        copies = [
            (episode.probabilities[chosen], episode.labels[chosen], count)
            for episode, count in zip(episodes, draws.episodes[replicate], strict=True)
            if len(chosen := np.repeat(np.arange(30), [per_patient[patient] for patient in episode.patients]))
        ]
        for name in ("balanced_accuracy", "auroc", "brier"):
            values = np.array([float(getattr(metrics, name)(p, y)) for p, y, _ in copies])
            counts = np.array([count for *_, count in copies]) * np.isfinite(values)
            expected = np.average(np.nan_to_num(values), weights=counts)
            assert found[name].new_patients[replicate] == pytest.approx(expected, abs=1e-12)
        pooled = [np.concatenate([part for *both, n in copies for part in [both[i]] * n]) for i in (0, 1)]
        expected = float(calibration_error(*pooled))
        assert found["calibration_error"].new_patients[replicate] == pytest.approx(expected, abs=1e-12)


def test_values_are_means_over_episodes_and_the_calibration_error_is_pooled():
    episodes = study(0)
    found = bootstrap(episodes, draw_replicates(episodes, replicates=20))
    for name in ("balanced_accuracy", "auroc", "brier"):
        each = [getattr(metrics, name)(episode.probabilities, episode.labels) for episode in episodes]
        assert found[name].value == pytest.approx(np.mean(each))
    pooled = calibration_error(*pool(episodes))
    assert found["calibration_error"].value == pytest.approx(float(pooled))


def test_more_episodes_do_not_make_up_for_patients():
    episodes = study(1, episodes=30, queries=20, support_spread=0)
    once, often = estimate(accuracy(episodes)), estimate(accuracy(episodes * 20))
    assert often.value == pytest.approx(once.value)
    assert width(often.over_episodes) < 0.35 * width(once.over_episodes)
    assert width(often.new_patients) > 0.9 * width(once.new_patients)


def test_more_patients_narrow_the_interval_for_new_patients():
    few = estimate(accuracy(study(2, patients=15, episodes=40, queries=15)))
    many = estimate(accuracy(study(2, patients=150, episodes=40, queries=150)))
    assert width(many.new_patients) < 0.5 * width(few.new_patients)


def test_the_interval_for_new_patients_covers_what_it_promises():
    covered, over_episodes = [], []
    for seed in range(400):
        found = estimate(accuracy(study(seed), replicates=200, seed=seed))
        covered.append(found.new_patients[0] <= TRUE_ACCURACY <= found.new_patients[1])
        over_episodes.append(found.over_episodes[0] <= TRUE_ACCURACY <= found.over_episodes[1])
    assert 0.94 <= np.mean(covered) <= 0.98, "an interval of 95 % covers the truth in 95 % of 400 studies"
    assert np.mean(over_episodes) < 0.85, "the interval over episodes says nothing about new patients"


def test_equal_learners_are_rarely_called_different():
    verdicts = []
    for seed in range(40):
        one, other = study(seed), study(seed)
        generator = np.random.default_rng(seed)
        for episodes in (one, other):  # each is wrong about its own tenth of the patients
            unlucky = generator.choice(40, 4, replace=False)
            for index, episode in enumerate(episodes):
                flip = np.isin(episode.patients, unlucky)[:, None]
                episodes[index] = replace(
                    episode,
                    probabilities=np.where(flip, episode.probabilities[:, ::-1], episode.probabilities),
                )
        draws = draw_replicates(one, replicates=200, seed=seed)
        found = [bootstrap(each, draws, ["balanced_accuracy"])["balanced_accuracy"] for each in (one, other)]
        verdicts.append(compare(*found).verdict)
    assert verdicts.count("undecided") >= 37


def test_a_clear_difference_is_found_and_turns_with_the_sign():
    good = [always_right(episode) for episode in study(3)]
    bad = study(3)
    draws = draw_replicates(good)
    one, other = (bootstrap(each, draws)["balanced_accuracy"] for each in (good, bad))
    assert compare(one, other).verdict == "better"
    assert compare(other, one).verdict == "worse"
    assert compare(one, other).value == pytest.approx(one.value - other.value)


def test_a_difference_is_paired():
    episodes = study(4)
    nearly = [replace(episode, probabilities=episode.probabilities.copy()) for episode in episodes]
    nearly[0].probabilities[0] = nearly[0].probabilities[0, ::-1]
    draws = draw_replicates(episodes)
    one, other = (bootstrap(each, draws)["balanced_accuracy"] for each in (episodes, nearly))
    assert width(compare(one, other).new_patients) < 0.2 * width(estimate(one).new_patients)


def test_a_perfect_score_still_allows_for_the_patients_not_met():
    few = estimate(accuracy([always_right(episode) for episode in study(5, patients=10)]))
    many = estimate(accuracy([always_right(episode) for episode in study(5, patients=100, queries=50)]))
    assert few.value == few.new_patients[1] == 1
    assert few.new_patients[0] == pytest.approx(0.025 ** (1 / 20))
    assert few.new_patients[0] < many.new_patients[0] < 1


def test_one_patient_per_class_or_one_episode_allows_next_to_no_claim():
    episodes = [always_right(study(6, patients=1, queries=1)[0])]
    found = estimate(accuracy(episodes))
    assert found.over_episodes == (0, 1)
    assert found.new_patients[0] < 0.2


@pytest.mark.parametrize("name", METRICS)
def test_intervals_hold_the_value_and_stay_within_limits(name):
    for seed in range(10):
        episodes = guesses(seed, digits=4)
        replicates = bootstrap(episodes, draw_replicates(episodes, replicates=200), [name])[name]
        found = estimate(replicates)
        for low, high in (found.over_episodes, found.new_patients):
            assert replicates.limits[0] <= low <= found.value <= high <= replicates.limits[1]


def test_two_learners_with_the_same_predictions_have_intervals_that_agree():
    """Both intervals bound the share of patients, not of the 20 episodes: 2 points of 186 patients, not 17."""
    episodes = study(9, patients=93, episodes=20, queries=90)
    found = compare(accuracy(episodes), accuracy(episodes))
    assert found.value == 0
    assert found.over_episodes == found.new_patients == pytest.approx((-found.new_patients[1], 0.0196), abs=0.001)
    assert found.verdict == "undecided"


@given(seed=st.integers(0, 10000), episodes=st.integers(1, 6), spread=st.sampled_from([0, 0.3, 2]))
@settings(max_examples=30)
def test_the_interval_for_new_patients_contains_that_over_episodes(seed, episodes, spread):
    found = estimate(accuracy(study(seed, episodes=episodes, support_spread=spread), replicates=50))
    assert found.new_patients[0] <= found.over_episodes[0] <= found.over_episodes[1] <= found.new_patients[1]


def test_few_episodes_with_different_supports_are_covered_too():
    spread, covered = 1.0, []
    truth = norm.cdf(SKILL / np.sqrt(1 + PATIENT_SPREAD**2 + spread**2))
    for seed in range(200):
        episodes = study(seed, patients=100, episodes=3, support_spread=spread)
        low, high = estimate(accuracy(episodes, replicates=200, seed=seed)).new_patients
        covered.append(low <= truth <= high)
    assert np.mean(covered) >= 0.91


@given(low=st.floats(-2, 2), high=st.floats(-2, 2))
def test_a_verdict_is_that_of_the_interval_as_printed(low, high):
    low, high = min(low, high), max(low, high)
    found = Comparison((low + high) / 2, (low, high), (low, high))
    printed = [float(f"{100 * bound:.1f}") for bound in (low, high)]
    assert found.verdict == ("better" if printed[0] > 0 else "worse" if printed[1] < 0 else "undecided")


def test_a_bound_that_is_printed_as_zero_decides_nothing():
    assert Comparison(-0.042, (-0.06, -0.02), (-0.091, -0.00015)).verdict == "undecided"
    assert Comparison(-0.042, (-0.06, -0.02), (-0.091, -0.00051)).verdict == "worse"


def test_same_seed_same_numbers():
    assert estimate(accuracy(study(7), seed=3)) == estimate(accuracy(study(7), seed=3))
    assert estimate(accuracy(study(7), seed=3)) != estimate(accuracy(study(7), seed=4))


def test_an_undefined_metric_has_no_estimate():
    labels = np.zeros(4, dtype=np.int64)
    one_class = EpisodePredictions(np.full((4, 2), 0.5), labels, np.arange(4), np.arange(4))
    found = bootstrap([one_class] * 3, draw_replicates([one_class] * 3, replicates=10))
    assert estimate(found["auroc"]) is None
    assert compare(found["auroc"], found["auroc"]) is None
    assert estimate(found["balanced_accuracy"]).value == 1


def test_no_episodes_no_interval():
    with pytest.raises(InputError, match="no episodes"):
        draw_replicates([])


def task_with(value, spread, generator):
    near = value + generator.normal(0, spread, 300)
    return Replicates(value, near, near.copy(), 20, 40, (-9.0, 9.0))


def test_the_mean_over_one_task_is_that_task():
    task = accuracy(study(8))
    assert estimate(mean_over_tasks([task])) == estimate(task)


def test_undefined_tasks_are_left_out_of_the_mean():
    generator = np.random.default_rng(0)
    defined = [task_with(0.6, 0.1, generator), task_with(0.8, 0.1, generator)]
    undefined = replace(defined[0], value=float("nan"), new_patients=np.full(300, np.nan))
    assert estimate(mean_over_tasks([*defined, undefined])) == estimate(mean_over_tasks(defined))
    assert estimate(mean_over_tasks([undefined])) is None


@pytest.mark.parametrize("tasks", [3, 10])
def test_the_interval_over_tasks_covers_what_it_promises(tasks):
    generator = np.random.default_rng(tasks)
    covered = []
    for _ in range(1000):
        sampled = [task_with(0.7 + generator.normal(0, 0.1), 0.02, generator) for _ in range(tasks)]
        low, high = estimate(mean_over_tasks(sampled)).new_patients
        covered.append(low <= 0.7 <= high)
    assert 0.94 <= np.mean(covered) <= 0.985


def test_tasks_that_differ_widen_the_mean_over_tasks():
    generator = np.random.default_rng(1)
    alike = mean_over_tasks([task_with(0.7, 0.02, generator) for _ in range(6)])
    apart = mean_over_tasks([task_with(value, 0.02, generator) for value in (0.5, 0.6, 0.7, 0.7, 0.8, 0.9)])
    assert apart.value == pytest.approx(alike.value)
    assert width(estimate(apart).new_patients) > 3 * width(estimate(alike).new_patients)
    assert width(estimate(apart).over_episodes) < 2 * width(estimate(alike).over_episodes)


def test_a_paired_difference_over_tasks_is_the_difference_of_the_means():
    tasks = [(accuracy(study(seed)), accuracy([as_certain(e) for e in study(seed, skill=1.5)])) for seed in range(4)]
    paired = mean_over_tasks([difference(one, other) for one, other in tasks])
    means = [mean_over_tasks(column).value for column in zip(*tasks, strict=True)]
    assert paired.value == pytest.approx(means[0] - means[1])
