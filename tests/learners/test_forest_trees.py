"""Trees as tensors predict exactly what scikit-learn's do."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from medshot.learners.forest.trees import CHILDREN, FEATURES, class_values, leaf_values, tree_tensors

WIDTH = 6


def samples(seed: int, count: int, spread: float) -> np.ndarray:
    """Return float32 numbers; with a small `spread` they are neighbouring numbers, so that rounding decides."""
    drawn = np.random.default_rng(seed).normal(size=(count, WIDTH))
    return (8 * (1 + spread * drawn)).astype(np.float32)


def as_tensors(forest, support: torch.Tensor, ways: int, columns: np.ndarray | None = None) -> dict[str, torch.Tensor]:
    seen = np.arange(WIDTH) if columns is None else columns
    values = class_values(forest.estimators_, torch.arange(len(forest.classes_)), ways)
    return tree_tensors(forest.estimators_, values, columns=[seen] * len(values), support=support)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(3, 20),
    st.sampled_from([1e-7, 3e-7, 1.0]),
    st.sampled_from([RandomForestClassifier, ExtraTreesClassifier]),
    st.sampled_from([torch.float32, torch.float64]),
)
def test_every_tree_predicts_any_query_as_scikit_learn_does(seed, count, spread, kind, dtype):
    labels = np.arange(count) % 3
    support, queries = samples(seed, count, spread), samples(seed + 1, 40, spread)
    forest = kind(5, random_state=seed).fit(support, labels)
    predictions = leaf_values(
        as_tensors(forest, torch.from_numpy(support).to(dtype), 3), torch.from_numpy(queries).to(dtype)
    )
    expected = np.stack([tree.predict_proba(queries) for tree in forest.estimators_])
    np.testing.assert_array_equal(predictions.numpy(), expected.astype(predictions.numpy().dtype))
    np.testing.assert_allclose(predictions.double().mean(0).numpy(), forest.predict_proba(queries), atol=1e-6)


def test_neighbouring_numbers_are_separated_by_a_threshold_between_them():
    low = np.float32(8)
    high = np.nextafter(low, np.float32(9))
    for below, above in ((low, high), (high, np.nextafter(high, np.float32(9)))):
        support = np.repeat(np.array([[below], [above]], dtype=np.float32), WIDTH, axis=1)
        forest = RandomForestClassifier(1, bootstrap=False).fit(support, [0, 1])
        predictions = leaf_values(as_tensors(forest, torch.from_numpy(support), 2), torch.from_numpy(support))
        assert torch.equal(predictions[0], torch.eye(2))


def test_trees_that_saw_some_columns_take_them_from_the_whole_vector():
    columns = np.array([1, 4, 5])
    support, queries = samples(0, 12, 1.0), samples(1, 30, 1.0)
    forest = ExtraTreesClassifier(8, random_state=0).fit(support[:, columns], np.arange(12) % 2)
    adapted = as_tensors(forest, torch.from_numpy(support).double(), 2, columns)
    predictions = leaf_values(adapted, torch.from_numpy(queries).double()).mean(0)
    np.testing.assert_allclose(predictions.numpy(), forest.predict_proba(queries[:, columns]), atol=1e-12)
    inner = adapted[CHILDREN][..., 0] != torch.arange(adapted[CHILDREN].shape[1])
    assert set(adapted[FEATURES][inner].tolist()) <= set(columns.tolist())


@pytest.mark.parametrize("classes", [[1, 3], [2, 0]])
def test_a_class_without_samples_has_no_probability_and_the_others_keep_theirs(classes):
    support = samples(0, 10, 1.0)
    forest = RandomForestClassifier(4, random_state=0).fit(support, np.arange(10) % 2)
    for tree, values in zip(
        forest.estimators_, class_values(forest.estimators_, torch.tensor(classes), 4), strict=True
    ):
        np.testing.assert_array_equal(values[:, classes], tree.tree_.value[:, 0])
        np.testing.assert_allclose(values.sum(1), 1)


def test_the_longest_tree_that_samples_can_grow_fits():
    support = np.repeat(np.arange(9, dtype=np.float32)[:, None], WIDTH, axis=1)
    forest = RandomForestClassifier(3, bootstrap=False, random_state=0).fit(support, np.arange(9))
    assert {tree.tree_.node_count for tree in forest.estimators_} == {17}
    adapted = as_tensors(forest, torch.from_numpy(support), 9)
    assert adapted[CHILDREN].shape == (3, 17, 2)
    assert torch.equal(leaf_values(adapted, torch.from_numpy(support)).argmax(-1), torch.arange(9).expand(3, 9))
