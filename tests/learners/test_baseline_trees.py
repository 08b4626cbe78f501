"""The forest and the boosted trees are scikit-learn's (law 5)."""

import numpy as np
import pytest
import torch
from feature_learners import of_features, support_of, vectors
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from medshot.learners import Learner
from medshot.tasks import Support

LABELS = {2: [0, 1, 0, 1, 1, 1], 4: [0, 1, 1, 2, 3, 2, 0, 1, 0, 3, 3, 3, 1]}


def grown(learner: Learner, support: Support, queries: torch.Tensor, seed: int) -> np.ndarray:
    """Return the learner's predictions of the queries after adapting with this seed."""
    adapted = learner.adapt_one(support.of_task(0), {"seed": torch.tensor([seed])})
    return learner.predict_one(adapted, queries).softmax(1).numpy()


def data(ways: int) -> tuple[Support, torch.Tensor]:
    labels = LABELS[ways]
    return support_of(labels, vectors(ways, len(labels), 10).float().double()), vectors(1, 40, 10).float().double()


@pytest.mark.parametrize("ways", LABELS)
def test_the_forest_is_scikit_learns_and_one_more_undecided_tree(ways):
    support, queries = data(ways)
    twin = RandomForestClassifier(30, random_state=5).fit(support.images[0].numpy(), LABELS[ways])
    expected = (30 * twin.predict_proba(queries.numpy()) + 1 / ways) / 31
    predictions = grown(of_features("forest", trees=30), support, queries, 5)
    np.testing.assert_allclose(predictions, expected, atol=1e-10)
    assert np.ptp(predictions) > 0.3


@pytest.mark.parametrize("ways", LABELS)
def test_boosting_is_scikit_learns(ways):
    support, queries = data(ways)
    twin = GradientBoostingClassifier(
        n_estimators=30, max_depth=1, learning_rate=0.05, max_features="sqrt", random_state=5
    ).fit(support.images[0].numpy(), LABELS[ways])
    predictions = grown(of_features("boosting", rounds=30), support, queries, 5)
    np.testing.assert_allclose(predictions, twin.predict_proba(queries.numpy()), atol=1e-10)
    assert np.ptp(predictions) > 0.3


@pytest.mark.parametrize("name", ["forest", "boosting"])
def test_another_support_grows_other_trees_and_the_same_support_the_same(name):
    (support, _), (other, _) = data(4), data(4)
    learner = of_features(name)
    first = learner.adapt(support).adapted
    again = learner.adapt(other).adapted
    assert all(torch.equal(first[key], again[key]) for key in first)
    moved = support_of(LABELS[4], other.images[0] + 1e-3)
    assert not torch.equal(learner.adapt(moved).adapted["trees.features"], first["trees.features"])
