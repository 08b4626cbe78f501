"""Learners that adapt by gradient steps, on feature vectors in several blocks."""

import pytest
import torch
from small_learners import SMALL
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from medshot.imaging import FeatureInput
from medshot.learners import LEARNERS, Learner, create
from medshot.learners.baselines.networks import Scratch
from medshot.learners.gradient.base import CENTRE, GradientLearner
from medshot.tasks import Support
from medshot.training import Engine

SHAPE = FeatureInput((6, 4))
NAMES = [name for name, kind in LEARNERS.items() if issubclass(kind, GradientLearner)]
META_TRAINED = [name for name in NAMES if LEARNERS[name].gradient == "exact"]


def small(name: str, **settings) -> Learner:
    learner = create(name, input_spec=SHAPE, **(SMALL[name] | settings)).double().eval()
    generator = torch.Generator().manual_seed(0)
    for value in learner.parameters():
        if value.requires_grad:
            value.data += 0.03 * torch.randn(value.shape, generator=generator, dtype=value.dtype)
    return learner


def task(seed: int, count: int = 4) -> tuple[Support, Tensor, Tensor]:
    """Return support, queries and their labels, of three classes: vectors in blocks of norm 4 / √2 each."""
    generator = torch.Generator().manual_seed(seed)
    means = torch.randn(3, 10, generator=generator, dtype=torch.float64)
    labels, size = torch.arange(3).repeat(count + 4), 3 * count
    noise = torch.randn(len(labels), 10, generator=generator, dtype=torch.float64)
    blocks = (means[labels] + 0.8 * noise).split(SHAPE.blocks, dim=1)
    vectors = torch.cat([normalize(block) for block in blocks], dim=1) * 8**0.5
    support = Support(vectors[None, :size], labels[None, :size], torch.ones(1, size, dtype=torch.float64), 3)
    return support, vectors[None, size:], labels[size:]


def predictions(name: str, support: Support, queries: Tensor) -> Tensor:
    return small(name).adapt(support).probabilities(queries)


@pytest.mark.parametrize("name", NAMES)
def test_order_and_labels_of_the_support(name):
    support, queries, _ = task(1)
    before = predictions(name, support, queries)
    count = support.labels.shape[1]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(3))
    shuffled = Support(support.images[:, order], support.labels[:, order], support.weights, 3)
    torch.testing.assert_close(predictions(name, shuffled, queries), before, atol=1e-8, rtol=0)
    new = torch.tensor([2, 0, 1])
    relabelled = Support(support.images, new[support.labels], support.weights, 3)
    torch.testing.assert_close(predictions(name, relabelled, queries)[..., new], before, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_batched_over_tasks_equals_one_task_at_a_time(name):
    tasks = [task(1), task(2, count=3)]
    together = Support.stack([support.of_task(0) for support, _, _ in tasks])
    together.images[together.weights == 0] = 0.7
    learner = small(name)
    for engine in (Engine("loop"), Engine("vmap")):
        learner.engine = engine
        both = learner.adapt(together).probabilities(torch.cat([queries for _, queries, _ in tasks]))
        for number, (support, queries, _) in enumerate(tasks):
            alone = learner.adapt(support).probabilities(queries)[0]
            torch.testing.assert_close(both[number], alone, atol=1e-8, rtol=0)


@pytest.mark.parametrize("name", META_TRAINED)
def test_meta_gradients_equal_finite_differences(name):
    learner, step = small(name).train(), 1e-7
    support, queries, labels = task(1)

    def loss() -> Tensor:
        return cross_entropy(learner.adapt(support)(queries)[0], labels)

    loss().backward()
    generator = torch.Generator().manual_seed(1)
    for label, value in learner.named_parameters():
        direction = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        losses = []
        with torch.no_grad():
            for sign in (1, -2, 1):
                value += sign * step * direction
                losses.append(loss())
        expected = (losses[0] - losses[1]) / (2 * step)
        found = (value.grad * direction).sum()
        torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-4, msg=lambda text, n=label: f"{n}: {text}")


@pytest.mark.parametrize("name", NAMES)
def test_with_its_defaults_and_untrained_it_separates_classes_that_differ(name):
    learner = create(name, input_spec=SHAPE).eval()
    for seed in range(3):
        support, queries, labels = task(seed)
        support = Support(support.images.float(), support.labels, support.weights.float(), 3)
        classifier = learner.adapt(support)
        correct = classifier.probabilities(queries.float())[0].argmax(1) == labels
        assert correct.double().mean() > 0.8
        assert cross_entropy(classifier(queries.float())[0], labels) < 0.85  # chance is 1.1


def test_scratch_starts_at_the_features_themselves():
    learner = create("scratch", input_spec=SHAPE)
    support, _, _ = task(1)
    randomness = learner.sample_randomness(support.of_task(0), torch.Generator().manual_seed(0))
    assert isinstance(learner, Scratch)
    network = {name: value for name, value in randomness.items() if name != "views"}
    images = support.images[0].float()
    assert torch.equal(learner.features(network, images), images)
    assert randomness["down.weight"].abs().max() > 0


@pytest.mark.parametrize(("name", "moving"), [("finetune", {"log_weights", "down", "up"}), ("finetune-last", {"up"})])
def test_fine_tuning_lowers_the_support_loss_and_moves_its_part_only_in_evaluation_mode(name, moving):
    learner, (support, _, _) = create(name, input_spec=SHAPE, steps=20).double().eval(), task(2)

    def support_loss() -> Tensor:
        return cross_entropy(learner.adapt(support)(support.images)[0], support.labels[0])

    tuned, adapted = support_loss(), learner.adapt(support).adapted
    assert {part.split(".")[0] for part in adapted} - {"head", CENTRE} == moving
    learner.train()
    assert tuned < support_loss()
    assert set(learner.adapt(support).adapted) == {"head.weight", "head.bias", CENTRE}
