"""Laws of the learners of the Meta-NN family, in addition to those of all learners."""

from dataclasses import replace

import pytest
import torch
from feature_learners import NEURAL, of_features, support_of, vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from medshot.learners import LEARNERS
from medshot.tasks import Support

STARTS_AS = {"relation": "protonet", "film": "ridge", "context": "ridge"}


def test_this_is_the_whole_family():
    assert {name for name, learner in LEARNERS.items() if learner.family == "Meta-NN"} == set(NEURAL)


@pytest.mark.parametrize("name", NEURAL)
@settings(max_examples=10)
@given(ways=st.integers(2, 12), shuffle=st.randoms(use_true_random=False))
def test_one_learner_takes_any_number_of_classes_in_any_order(name, ways, shuffle):
    labels = [*range(ways), *range(ways), 0]
    support, queries = support_of(labels, vectors(0, len(labels), 10)), vectors(1, 1, 4, 10)
    renamed, order = shuffle.sample(range(ways), ways), shuffle.sample(range(len(labels)), len(labels))
    other = Support(
        support.images[:, order],
        torch.tensor(renamed)[support.labels[:, order]],
        support.weights,
        ways,
    )
    learner = of_features(name)
    before, after = (learner.adapt(side).probabilities(queries) for side in (support, other))
    torch.testing.assert_close(after[..., renamed], before, atol=1e-8, rtol=0)
    assert before.shape == (1, 4, ways)
    assert before.std(-1).min() > 1e-4, "all classes look alike and prove nothing"


@pytest.mark.parametrize("name", NEURAL)
@settings(max_examples=10)
@given(counts=st.lists(st.integers(0, 3), min_size=6, max_size=6).filter(lambda counts: counts[0] and counts[1]))
def test_a_weight_counts_an_image_as_often(name, counts):
    labels, features, queries = torch.tensor([0, 1] * 3), vectors(0, 6, 10), vectors(1, 1, 4, 10)
    repeated = torch.tensor(counts)
    weighted = support_of(labels.tolist(), features, [float(count) for count in counts])
    twice = support_of(labels.repeat_interleave(repeated).tolist(), features.repeat_interleave(repeated, 0))
    twice = replace(twice, patients=torch.arange(6).repeat_interleave(repeated)[None])
    learner = of_features(name)
    predictions, expected = (learner.adapt(side).probabilities(queries) for side in (weighted, twice))
    torch.testing.assert_close(predictions, expected, atol=1e-8, rtol=0)


@pytest.mark.parametrize("name", NEURAL)
def test_the_cost_of_queries_is_linear(name):
    learner = of_features(name).requires_grad_(False)
    adapted = {
        key: value[0] for key, value in learner.adapt(support_of([0, 1, 2] * 2, vectors(0, 6, 10))).adapted.items()
    }

    def cost(queries: int) -> int:
        with FlopCounterMode(display=False) as counter:
            learner.predict_one(adapted, learner.embed(vectors(1, queries, 10)))
        return counter.get_total_flops()

    assert cost(5) > 0
    assert cost(35) == 7 * cost(5)


@pytest.mark.parametrize(("name", "simpler"), STARTS_AS.items())
def test_untrained_it_is_the_simpler_learner(name, simpler):
    support, queries = support_of([0, 1, 2, 0], vectors(0, 4, 10)), vectors(1, 1, 4, 10)
    predictions, expected = (
        of_features(of, stir=False).adapt(support).probabilities(queries) for of in (name, simpler)
    )
    torch.testing.assert_close(predictions, expected, atol=1e-12, rtol=0)
    assert (of_features(name).adapt(support).probabilities(queries) - predictions).abs().max() > 1e-3


@pytest.mark.parametrize("name", NEURAL)
def test_meta_training_lowers_the_loss_on_new_tasks(name):
    learner = of_features(name, stir=False).train()
    optimizer = torch.optim.Adam(learner.parameters(), lr=0.01)

    def loss(seed: int) -> torch.Tensor:
        """Return the loss on two classes that differ in the first block; the second block is larger noise."""
        labels, features = torch.tensor([0, 1] * 8), vectors(seed, 16, 10)
        features[:, :6] = features[:, :6] / 3 + vectors(seed + 10_000, 2, 6)[labels]
        classifier = learner.adapt(support_of(labels[:6].tolist(), features[:6]))
        return torch.nn.functional.cross_entropy(classifier(features[None, 6:])[0], labels[6:])

    def on_new_tasks() -> float:
        with torch.no_grad():
            return torch.stack([loss(seed) for seed in range(1000, 1030)]).mean().item()

    before = on_new_tasks()
    for step in range(40):
        optimizer.zero_grad()
        loss(step).backward()
        optimizer.step()
    assert on_new_tasks() < 0.95 * before
