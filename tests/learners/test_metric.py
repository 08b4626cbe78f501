"""Prototypes are scikit-learn's class centroids (law 5), found by matrix products alone."""

import numpy as np
import pytest
import torch
from feature_learners import of_features, support_of, vectors
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestCentroid

from medshot.errors import InputError
from medshot.learners.features import class_means, memberships, squared_distances
from medshot.tasks import Support


def test_an_untrained_prototype_network_is_scikit_learn_on_the_same_features():
    labels, features, queries = [0, 1, 2] * 4, vectors(0, 12, 10), vectors(1, 40, 10)
    twin = NearestCentroid().fit(features.numpy(), labels)
    classifier = of_features("protonet", stir=False).adapt(support_of(labels, features))
    np.testing.assert_allclose(classifier.adapted["means"][0].detach().numpy(), twin.centroids_, atol=1e-12)
    predictions = classifier(queries[None])[0].argmax(1).numpy()
    assert np.array_equal(predictions, twin.predict(queries.numpy()))
    assert len(set(predictions)) == 3


@given(queries=st.integers(1, 5), means=st.integers(1, 5), features=st.integers(1, 5))
def test_squared_distances_are_sums_of_squared_differences(queries, means, features):
    left, right = vectors(0, queries, features), vectors(1, means, features)
    expected = (left[:, None] - right).square().sum(2)
    torch.testing.assert_close(squared_distances(left, right), expected, atol=1e-12, rtol=1e-12)


@given(counts=st.lists(st.integers(0, 3), min_size=6, max_size=6).filter(lambda counts: counts[0] and counts[1]))
def test_a_weight_counts_a_sample_as_often(counts):
    labels, features, weights = torch.tensor([0, 1] * 3), vectors(0, 6, 4), torch.tensor(counts).double()
    repeated = torch.tensor(counts)
    copies = features.repeat_interleave(repeated, 0), labels.repeat_interleave(repeated)
    support = Support(features, labels, weights, 2)
    means = class_means(Support(*copies, torch.ones(sum(counts)).double(), 2))
    torch.testing.assert_close(class_means(support), means)
    assert torch.equal(memberships(support).sum(1), weights)


def test_the_cosine_sees_directions_from_the_centre_alone():
    support, queries = support_of([0, 1, 2] * 2, vectors(0, 6, 10)), vectors(1, 1, 5, 10)
    classifier = of_features("protonet", stir=False, distance="cosine").adapt(support)
    centre = classifier.adapted["centre"]
    torch.testing.assert_close(classifier(centre + 3 * (queries - centre)), classifier(queries), atol=1e-10, rtol=0)


def test_another_distance_is_refused():
    with pytest.raises(InputError, match="distance"):
        of_features("protonet", distance="manhattan")
