"""Meta-forest: a mixture of forests whose proportions and calibration are learned."""

import numpy as np
import pytest
import torch
from feature_learners import of_features, support_of, vectors

from medshot.imaging import FeatureInput, Vectors
from medshot.learners import FewShotClassifier, create
from medshot.learners.forest.meta_forest import SETTINGS, WEIGHTS, MetaForest
from medshot.learners.forest.trees import CHILDREN, FEATURES, joint, leaf_values
from medshot.storage import read_arrays
from medshot.tasks import Support, Task
from medshot.training import BatchSettings, OuterSettings

LABELS = [0, 1, 2, 0, 1, 2, 0, 1, 2]
BLOCKS = (6, 6, 6, 6)


def data() -> tuple[Support, torch.Tensor]:
    return support_of(LABELS, vectors(0, len(LABELS), 10)), vectors(1, 20, 10)


def unlearned(**settings) -> MetaForest:
    """Make a meta-forest without meta-training: it has the initial settings for every task."""
    learner = of_features("meta-forest", stir=False, **settings)
    for linear in (learner.policy, learner.calibration):
        torch.nn.init.zeros_(linear.weight)
    return learner


@pytest.mark.parametrize("training", [False, True])
def test_the_weights_of_the_trees_and_the_probabilities_of_the_settings_add_up_to_one(training):
    support, _ = data()
    learner = of_features("meta-forest").train(training)
    adapted = learner.adapt(support).adapted
    trees = learner.trials * learner.trial_trees if training else learner.trees
    assert adapted[WEIGHTS].shape == (1, trees)
    assert adapted[SETTINGS].shape == (1, trees, len(learner.space.axes))
    shares = [adapted[WEIGHTS], *(value for name, value in adapted.items() if name.startswith("probabilities."))]
    assert len(shares) == 7
    for share in shares:
        torch.testing.assert_close(share.sum(1), torch.ones(1, dtype=torch.float64))


def test_it_is_the_mixture_of_its_trees_calibrated():
    support, queries = data()
    adapted = of_features("meta-forest").train().adapt(support).adapted
    one = {name: value[0].detach() for name, value in adapted.items()}
    mixture = (one[WEIGHTS][:, None, None] * leaf_values(one, queries)).sum(0)
    raised = (mixture + one["smoothing"]) ** one["temperature"]
    predictions = of_features("meta-forest").predict_one(one, queries).softmax(1)
    torch.testing.assert_close(predictions, raised / raised.sum(1, keepdim=True))


def test_before_it_has_learned_all_trials_count_alike_and_then_as_their_probability_grew():
    support, _ = data()
    learner = unlearned().train()
    before = learner.adapt(support).adapted
    torch.testing.assert_close(before[WEIGHTS], torch.full_like(before[WEIGHTS], 1 / before[WEIGHTS].shape[1]))
    with torch.no_grad():
        learner.policy.bias += vectors(3, *learner.policy.bias.shape)
    after = learner.adapt(support).adapted
    assert torch.equal(after[SETTINGS], before[SETTINGS])
    start, now = (
        joint({name: adapted[f"probabilities.{name}"][0].log() for name in learner.space.axes}, after[SETTINGS][0])
        for adapted in (before, after)
    )
    grown = (now - start).exp()
    torch.testing.assert_close(after[WEIGHTS][0], grown / grown.sum())


def test_an_unlearned_forest_has_trees_by_the_shares_that_all_tasks_start_with():
    support, _ = data()
    learner = unlearned(trees=400)
    settings = learner.adapt(support).adapted[SETTINGS][0]
    for column, axis in zip(settings.T, learner.space.axes.values(), strict=True):
        found = torch.bincount(column, minlength=len(axis)) / 400
        torch.testing.assert_close(found, torch.tensor(list(axis.values())), atol=0.05, rtol=0)


def test_a_tree_tests_features_of_its_own_block_alone():
    support, _ = data()
    learner = unlearned(trees=60)
    one = {name: value[0] for name, value in learner.adapt(support).adapted.items()}
    inner = one[CHILDREN][..., 0] != torch.arange(one[CHILDREN].shape[1])
    seen = set()
    for settings, features, tests in zip(one[SETTINGS], one[FEATURES], inner, strict=True):
        block = list(learner.space.blocks)[settings[0]]
        seen.add(block)
        allowed = range(10)[learner.space.blocks[block]]
        assert set(features[tests].tolist()) <= set(allowed), block
    assert seen == {"all", "0-0", "1-1"}


def test_the_settings_of_every_tree_are_in_a_model_folder(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (8, 20, 20)).astype(np.uint8)
    learner = create("meta-forest", trees=10)
    FewShotClassifier(learner).fit(images, list("abababab")).save(tmp_path / "model")
    arrays = read_arrays(tmp_path / "model" / "adapted.safetensors")
    assert arrays["trees.settings"].shape == (1, 10, 6)
    assert {f"probabilities.{name}" for name in learner.space.axes} <= set(arrays)
    assert {"temperature", "smoothing"} <= set(arrays)


def signal_in_one_block(seed: int, block: int) -> Task:
    """Make a task of two classes that differ only in one block of features."""
    rng = np.random.default_rng([seed, block])
    labels = np.repeat([0, 1], 20)
    features = rng.normal(size=(40, sum(BLOCKS)))
    features[:, 6 * block : 6 * block + 6] += np.where(labels, 1.0, -1.0)[:, None] * rng.normal(size=6)
    return Task(f"task {seed}", Vectors(features), labels, ("a", "b"), np.arange(40))


@pytest.mark.slow
@pytest.mark.parametrize("block", [0, 2])
def test_it_learns_from_other_tasks_which_block_to_grow_its_trees_on(block):
    torch.manual_seed(0)
    learner = create("meta-forest", input_spec=FeatureInput(BLOCKS), trees=60, trials=5, trial_trees=8)
    task = signal_in_one_block(100, block)
    support = Support(
        task.batch(np.arange(15, 25), learner.input_spec)[None],
        torch.from_numpy(task.labels[None, 15:25]),
        torch.ones(1, 10),
        2,
    )
    queries = np.r_[:15, 25:40]
    truth = torch.from_numpy(task.labels[queries])

    def adapted() -> tuple[torch.Tensor, float, float]:
        classifier = learner.eval().adapt(support)
        predictions = classifier.probabilities(task.batch(queries, learner.input_spec)[None])[0]
        of_tree = classifier.adapted[SETTINGS][0, :, 0]
        return (
            classifier.adapted["probabilities.blocks"][0].detach(),
            float((of_tree == block + 1).double().mean()),
            float(torch.nn.functional.nll_loss(predictions.log(), truth)),
        )

    before, trees_before, loss_before = adapted()
    settings = OuterSettings(
        steps=40, learning_rate=0.02, validate_every=20, validation_batches=1, batch=BatchSettings(ways=2, shots=(5,))
    )
    learner.meta_fit([signal_in_one_block(seed, block) for seed in range(8)], settings=settings, engine="loop")
    after, trees_after, loss_after = adapted()
    others = [number for number in range(1, 5) if number != block + 1]
    assert before.max() < 0.25
    assert after.argmax() == block + 1
    assert after[block + 1] > 0.5
    assert (after[others] < before[others]).all()
    assert trees_after > 2 * trees_before
    assert loss_after < loss_before
