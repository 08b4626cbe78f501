"""The set encoder's description of a support, and what modulation by it is for."""

import pytest
import torch
from feature_learners import of_features, support_of, vectors
from hypothesis import given
from hypothesis import strategies as st

from medshot.learners.closed_form.ridge import block_sums
from medshot.learners.in_context import describe


@given(factor=st.floats(0.01, 100), shuffle=st.randoms(use_true_random=False), ways=st.integers(2, 5))
def test_the_description_of_a_support_ignores_scale_order_and_numbering(factor, shuffle, ways):
    labels, features = torch.arange(2 * ways + 1) % ways, vectors(0, 2 * ways + 1, 10)
    order, renamed = torch.tensor(shuffle.sample(range(len(labels)), len(labels))), shuffle.sample(range(ways), ways)
    other = support_of(torch.tensor(renamed)[labels][order].tolist(), factor * features[order] + 1).of_task(0)
    support = support_of(labels.tolist(), features).of_task(0)
    description, expected = (describe(side.images, side, (6, 4)) for side in (other, support))
    torch.testing.assert_close(description, expected, atol=1e-3, rtol=0)


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_block_sums_are_the_sums_of_the_parts(sizes):
    values = vectors(0, 2, 3, sum(sizes))
    expected = torch.stack([part.sum(-1) for part in values.split(sizes, -1)], -1)
    torch.testing.assert_close(block_sums(values, tuple(sizes)), expected)


@pytest.mark.parametrize("name", ["ridge", "film"])
def test_it_alone_finds_out_which_block_serves_the_task(name):
    learner = of_features(name, (8, 8), stir=False).train()
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.01)

    def loss_and_accuracy(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Score on two classes that differ in one block, another one in each task; 5 of 25 samples adapt."""
        labels, features = torch.tensor([0, 1] * 25), vectors(seed, 50, 16)
        serving = features[:, :8] if seed % 2 else features[:, 8:]
        serving /= 5
        serving += vectors(seed + 10_000, 2, 8)[labels] / 5
        logits = learner.adapt(support_of(labels[:10].tolist(), features[:10]))(features[None, 10:])[0]
        accuracy = (logits.argmax(1) == labels[10:]).double().mean()
        return torch.nn.functional.cross_entropy(logits, labels[10:]), accuracy

    for step in range(100):
        optimizer.zero_grad()
        loss_and_accuracy(step)[0].backward()
        optimizer.step()
    with torch.no_grad():
        accuracy = torch.stack([loss_and_accuracy(seed)[1] for seed in range(1000, 1040)]).mean()
    assert (accuracy > 0.9) == (name == "film")
