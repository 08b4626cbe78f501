"""The closed-form head is scikit-learn's `Ridge` (law 5), in whichever space is the smaller."""

import math

import numpy as np
import pytest
import torch
from feature_learners import of_features, support_of, vectors
from hypothesis import given
from hypothesis import strategies as st
from sklearn import linear_model
from sklearn.utils.class_weight import compute_sample_weight
from torch.utils.flop_counter import FlopCounterMode

from medshot.learners.closed_form.ridge import solve


@pytest.mark.parametrize("blocks", [(2, 1), (20, 30)], ids=["fewer features", "more features"])
@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
def test_it_is_scikit_learn_where_all_classes_weigh_the_same(blocks, penalty):
    labels, features = [0, 0, 1, 2, 2, 2, 2], vectors(0, 7, sum(blocks))
    learner = of_features("ridge", blocks, stir=False)
    learner.log_penalty.data.fill_(math.log(penalty))
    learner.log_scale.data.zero_()
    twin = linear_model.Ridge(alpha=penalty)
    twin.fit(features.numpy(), np.eye(3)[labels], compute_sample_weight("balanced", labels))
    queries = vectors(1, 5, sum(blocks))
    predictions = learner.adapt(support_of(labels, features))(queries[None])[0].detach().numpy()
    frequencies = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(predictions, twin.predict(queries.numpy()) - 1 / 3 + np.log(frequencies), atol=1e-8)


@given(samples=st.integers(1, 7), features=st.integers(1, 7), penalty=st.floats(0.01, 100))
def test_both_spaces_give_the_least_squares_solution(samples, features, penalty):
    rows, targets = vectors(0, samples, features), vectors(1, samples, 2)
    expected = torch.linalg.solve(rows.T @ rows + penalty * torch.eye(features, dtype=rows.dtype), rows.T @ targets)
    found = solve(rows, targets, torch.tensor(penalty, dtype=torch.float64))
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("few_samples", [True, False])
def test_the_arithmetic_grows_with_the_longer_side_only(few_samples):
    counts = []
    for longer in (500, 1000):
        shape = (3, longer) if few_samples else (longer, 3)
        with FlopCounterMode(display=False) as counter:
            solve(torch.ones(shape), torch.ones(shape[0], 2), torch.tensor(1.0))
        counts.append(counter.get_total_flops())
    assert 0 < counts[1] <= 2.1 * counts[0], "a system of the longer side is solved, whose cost grows as its square"


@pytest.mark.parametrize("times", [2, 30])
def test_more_shots_than_were_learned_from_leave_the_start_as_it_is_at_the_most(times):
    learner = of_features("depth-ridge", (2, 3), stir=False)
    learner.steps = 0
    with torch.no_grad():
        learner.evenness.copy_(torch.tensor([0.5, 0.5]))
    few, starts = torch.cat([vectors(0, 20, 2), 5 + vectors(1, 20, 3)], dim=1), []
    for repeats in (1, times):
        labels = [0] * 10 * repeats + [1] * 10 * repeats
        features = few.unflatten(0, (2, 10)).repeat(1, repeats, 1).flatten(0, 1)
        starts.append(learner.adapt(support_of(labels, features)).adapted["log_weights"])
    torch.testing.assert_close(starts[1], starts[0])
