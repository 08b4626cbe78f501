"""The baseline is scikit-learn's own logistic regression (law 5)."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from small_learners import episodes, one_task, tiny


def features(images: torch.Tensor) -> np.ndarray:
    """Average blocks of 2×2 pixels and normalise to mean 0, deviation 1 and unit mean square norm, by NumPy."""
    blocks = images.numpy()[:, 0].reshape(len(images), 10, 2, 10, 2).mean((2, 4)).reshape(len(images), 100)
    deviations = blocks - blocks.mean(1, keepdims=True)
    return deviations / np.sqrt(blocks.var(1, keepdims=True) + 1e-5) / 10


@pytest.mark.parametrize("ways", [2, 3, 5])
@pytest.mark.parametrize("strength", [0.1, 1.0, 100.0])
def test_without_augmentation_it_is_scikit_learn_on_the_same_features(ways, strength):
    batch = episodes(3, ways=ways)
    support, query = one_task(batch.support, 2), one_task(batch.query, 2)
    learner = tiny("logistic", views=1, regularisation=strength)
    twin = LogisticRegression(C=strength, tol=1e-8, max_iter=10_000)
    twin.fit(features(support.images[0]), support.labels[0].numpy())
    expected = twin.predict_proba(features(query.images[0]))
    predictions = learner.adapt(support).probabilities(query.images)[0].numpy()
    np.testing.assert_allclose(predictions, expected, atol=1e-5)
    assert np.ptp(expected) > 0.01


def test_augmented_views_change_the_fit_and_the_first_is_the_image_itself():
    support = episodes(1).support
    learner = tiny("logistic", views=4)
    views = learner.sample_randomness(support.of_task(0), torch.Generator().manual_seed(0))["views"]
    assert views.shape[1] == 4
    assert torch.equal(views[:, 0], support.images[0])
    assert not torch.equal(views[:, 1], support.images[0])
