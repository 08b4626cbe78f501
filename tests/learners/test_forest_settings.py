"""The space of settings, the number of trees of each setting, and the calibration."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from medshot.encoders import EncodedInput
from medshot.imaging import FeatureInput, ImageInput
from medshot.learners.forest.meta_forest import calibrated
from medshot.learners.forest.trees import SettingsSpace, blocks_of, joint

SPACE = SettingsSpace(FeatureInput((6, 4, 3)))
EVERY = torch.cartesian_prod(*(torch.arange(len(axis)) for axis in SPACE.axes.values()))


def some_logits(seed: int, spread: float) -> torch.Tensor:
    return spread * torch.randn(len(SPACE.start), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shots", [1, 6])
def test_every_setting_grows_a_forest_of_all_classes(shots):
    labels = np.tile(np.arange(3), shots)
    vectors = np.random.default_rng(0).normal(size=(len(labels), 13)).astype(np.float32)
    for number, row in enumerate(EVERY.tolist()):
        forest, columns = SPACE.grow(row, vectors, labels, trees=1, seed=number)
        predictions = forest.predict_proba(vectors[:, columns])
        assert predictions.shape == (len(labels), 3)
        np.testing.assert_allclose(predictions.sum(1), 1)


def test_each_axis_changes_what_its_name_promises():
    vectors = np.random.default_rng(0).normal(size=(24, 13)).astype(np.float32)
    vectors[:, 7] += 100 * (labels := np.arange(24) % 2)
    usual = dict.fromkeys(SPACE.axes, 0)

    def grown(**chosen: int):
        return SPACE.grow(list((usual | chosen).values()), vectors, labels, trees=20, seed=0)

    def leaf(forest) -> int:
        return min(tree.tree_.n_node_samples[tree.tree_.feature < 0].min() for tree in forest.estimators_)

    names = list(SPACE.blocks)
    assert grown(blocks=names.index("1-1"))[1].tolist() == [6, 7, 8, 9]
    assert grown(splits=1)[0].estimators_[0].splitter == "random"
    assert grown(splits=0)[0].estimators_[0].splitter == "best"
    assert [grown(sampling=value)[0].bootstrap for value in range(3)] == [False, True, True]
    assert [grown(sampling=value)[0].class_weight for value in range(3)] == [None, None, "balanced_subsample"]
    assert [grown(candidates=value)[0].max_features for value in range(3)] == ["log2", "sqrt", 0.2]
    assert [leaf(grown(leaf=value)[0]) for value in range(2)] == [1, 3]
    assert max(tree.get_depth() for tree in grown(depth=1)[0].estimators_) == 2
    assert max(tree.get_depth() for tree in grown(depth=0)[0].estimators_) > 2


@given(st.lists(st.integers(1, 9), min_size=1, max_size=20))
def test_the_blocks_a_tree_may_see_are_all_or_parts_that_share_no_feature(blocks):
    shape = FeatureInput(tuple(blocks))
    columns = np.arange(sum(blocks))
    found = blocks_of(shape)
    assert columns[found.pop("all")].tolist() == columns.tolist()
    parts = [columns[part].tolist() for part in found.values()]
    assert len(parts) == (min(4, len(blocks)) if len(blocks) > 1 else 0)
    if parts:
        assert [column for part in parts for column in part] == columns.tolist()
        assert parts[0] == columns[: blocks[0]].tolist()


def test_an_encoder_has_final_early_middle_and_late_features_and_pixels_have_no_blocks():
    parts = blocks_of(EncodedInput("lite0"))
    assert {name: len(range(2816)[part]) for name, part in parts.items()} == {
        "all": 2816,
        "0-0": 1280,
        "1-4": 128,
        "5-8": 384,
        "9-12": 1024,
    }
    assert list(blocks_of(ImageInput(channels=1, size=64))) == ["all"]


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 5.0]))
def test_the_probabilities_of_all_settings_add_up_to_one(seed, spread):
    probable = SPACE.log_probabilities(some_logits(seed, spread))
    assert list(probable) == list(SPACE.axes)
    torch.testing.assert_close(joint(probable, EVERY).exp().sum(), torch.ones((), dtype=torch.float64))
    for axis in probable.values():
        torch.testing.assert_close(axis.exp().sum(), torch.ones((), dtype=torch.float64))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0, 3.0]), st.integers(1, 300))
def test_settings_have_trees_in_proportion_to_their_probability(seed, spread, trees):
    probable = SPACE.log_probabilities(some_logits(seed, spread))
    dealt = SPACE.shares(probable, trees)
    assert dealt.shape == (trees, len(SPACE.axes))
    counts = Counter(map(tuple, dealt.tolist()))
    for row, share in zip(EVERY.tolist(), (trees * joint(probable, EVERY).exp()).tolist(), strict=True):
        assert math.floor(share - 1e-6) <= counts[tuple(row)] <= math.ceil(share + 1e-6)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_trials_have_values_in_proportion_to_the_shares_they_start_with(seed, count):
    trials = SPACE.trials(count, torch.Generator().manual_seed(seed))
    for column, axis in zip(trials.T, SPACE.axes.values(), strict=True):
        for value, share in enumerate(axis.values()):
            found = int((column == value).sum())
            assert math.floor(count * share - 1e-4) <= found <= math.ceil(count * share + 1e-4)


def test_over_many_tasks_trials_are_drawn_by_the_shares_they_start_with():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.cat([SPACE.trials(5, generator) for _ in range(2000)])
    for column, axis in zip(drawn.T, SPACE.axes.values(), strict=True):
        found = torch.bincount(column, minlength=len(axis)) / len(column)
        torch.testing.assert_close(found, torch.tensor(list(axis.values())), atol=0.02, rtol=0)


probabilities = st.lists(st.floats(0, 1), min_size=2, max_size=6).filter(lambda p: sum(p) > 0.1)
positive = st.floats(0.01, 20)


@given(probabilities, positive, positive, st.randoms(use_true_random=False))
def test_calibration_treats_classes_alike_and_keeps_their_order(shares, temperature, smoothing, random):
    p = torch.tensor([shares], dtype=torch.float64) / sum(shares)
    constants = torch.tensor([temperature, smoothing], dtype=torch.float64)
    order = random.sample(range(len(shares)), len(shares))
    logits = calibrated(p, *constants)
    torch.testing.assert_close(calibrated(p[:, order], *constants), logits[:, order])
    assert torch.isfinite(logits).all()
    ranked = p[0].argsort()
    assert (logits[0, ranked].diff() >= 0).all()


@given(probabilities)
def test_calibration_goes_from_the_forests_own_probabilities_to_none(shares):
    p = torch.tensor([shares], dtype=torch.float64) / sum(shares)
    one = torch.ones((), dtype=torch.float64)
    predictions = [calibrated(p, one, smoothing * one).softmax(1) for smoothing in (1e-12, 0.01, 0.1, 1.0, 1e9)]
    torch.testing.assert_close(predictions[0], p, atol=1e-10, rtol=0)
    torch.testing.assert_close(predictions[-1], torch.full_like(p, 1 / len(shares)), atol=1e-8, rtol=0)
    distances = torch.stack([(each - 1 / len(shares)).abs().max() for each in predictions])
    assert (distances.diff() <= 1e-12).all()
