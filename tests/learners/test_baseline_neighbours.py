"""The nearest neighbours are scikit-learn's (law 5)."""

import numpy as np
import pytest
import torch
from feature_learners import of_features, support_of, vectors
from sklearn.neighbors import KNeighborsClassifier


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2], [0, 0, 1, 1], [0, 1, 1, 2, 2, 2, 0, 1, 0, 3, 3, 3]])
@pytest.mark.parametrize("neighbours", [1, 3, 5])
def test_it_is_scikit_learns_vote_and_one_more_for_all_classes(labels, neighbours):
    features, queries = vectors(0, len(labels), 10), vectors(1, 30, 10)
    ways, count = max(labels) + 1, min(neighbours, len(labels))
    twin = KNeighborsClassifier(count, weights="distance").fit(features.numpy(), labels)
    expected = (count * twin.predict_proba(queries.numpy()) + 1 / ways) / (count + 1)
    learner = of_features("knn", neighbours=neighbours)
    predictions = learner.adapt(support_of(labels, features)).probabilities(queries[None])[0]
    np.testing.assert_allclose(predictions.numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("padding", [1, 8])
def test_padding_never_votes_even_where_images_are_fewer_than_neighbours(padding):
    features, queries = vectors(0, 3, 10), vectors(1, 30, 10)
    learner = of_features("knn")
    alone = learner.adapt(support_of([0, 1, 2], features)).probabilities(queries[None])
    padded = torch.cat([features, queries[:padding]])
    weights = [1.0] * 3 + [0.0] * padding
    beside = learner.adapt(support_of([0, 1, 2] + [0] * padding, padded, weights)).probabilities(queries[None])
    torch.testing.assert_close(beside, alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_query_that_is_a_support_image_has_its_class(dtype):
    labels = [0, 1, 2, 0, 1, 2]
    features = vectors(0, 6, 10).to(dtype)
    predictions = of_features("knn").to(dtype).adapt(support_of(labels, features)).probabilities(features[None])[0]
    assert predictions.argmax(1).tolist() == labels
    assert torch.isfinite(predictions.log()).all()
