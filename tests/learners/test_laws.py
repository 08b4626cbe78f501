"""The laws of learners, over everything that is registered."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_learners import LARGE, NAMES, episodes, one_task, tiny
from small_tasks import SHAPE, VOLUME, textured

from medshot.errors import InputError
from medshot.evaluation import Protocol, evaluate
from medshot.imaging import ImageInput, VolumeInput
from medshot.learners import LEARNERS, FewShotClassifier, create, load, load_learner
from medshot.tasks import Support
from medshot.training import Engine

EXACT = [name for name in NAMES if tiny(name).gradient == "exact"]
RELABELLING = [name for name in NAMES if tiny(name).relabels]
INDUCTIVE = [name for name in NAMES if tiny(name).inductive]
TRANSDUCTIVE = [name for name in NAMES if name not in INDUCTIVE]
PIXELS, VOXELS = pytest.param(SHAPE, id="pixels"), pytest.param(VOLUME, id="voxels")
KINDS = pytest.mark.parametrize("shape", [PIXELS, pytest.param(VOLUME, id="voxels", marks=pytest.mark.slow)])
Shape = ImageInput | VolumeInput


def probabilities(name: str, support: Support, queries: torch.Tensor, **settings) -> torch.Tensor:
    return tiny(name, **settings).adapt(support).probabilities(queries)


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    torch.testing.assert_close(one, other, atol=1e-8, rtol=0)


def permuted(support: Support, order: torch.Tensor) -> Support:
    sides = (support.images, support.labels, support.weights, support.patients)
    images, labels, weights, patients = (side[:, order] for side in sides)
    return Support(images, labels, weights, support.ways, patients)


def test_every_learner_is_tested_here_or_listed_as_too_large():
    assert {name for name in LEARNERS if name not in LARGE} <= set(NAMES)
    assert set(LEARNERS) >= set(LARGE)
    assert EXACT, "no learner is left to test the gradients of"


@pytest.mark.parametrize("name", NAMES)
def test_its_class_attributes_are_complete(name):
    learner = tiny(name)
    assert learner.gradient in ("exact", "first-order", "implicit", None)
    assert learner.name in LEARNERS
    assert "\n" not in learner.summary
    assert learner.paper
    assert (learner.gradient is None) == (not any(p.requires_grad for p in learner.parameters()))


@pytest.mark.parametrize("name", EXACT)
def test_meta_gradients_equal_finite_differences(name):
    learner, batch, step = tiny(name).train(), episodes(2), 1e-6
    learner.scores(batch)[0].mean().backward()
    generator = torch.Generator().manual_seed(1)
    for label, value in learner.named_parameters():
        direction = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        losses = []
        with torch.no_grad():
            for sign in (1, -2, 1):
                value += sign * step * direction
                losses.append(learner.scores(batch)[0].mean())
        expected = (losses[0] - losses[1]) / (2 * step)
        found = (value.grad * direction).sum()
        torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-4, msg=lambda text, n=label: f"{n}: {text}")
        assert value.grad.abs().max() > 0, f"{label} has no gradient"


@KINDS
@pytest.mark.parametrize("name", NAMES)
def test_batched_over_tasks_equals_one_task_at_a_time(name: str, shape: Shape):
    learner, batch = tiny(name, shape=shape), episodes(3, shape=shape)
    for engine in (Engine("loop"), Engine("vmap")):
        learner.engine = engine
        together = learner.adapt(batch.support).probabilities(batch.query.images, batch.query.weights)
        losses, accuracies = learner.scores(batch)
        for task in range(3):
            alone = learner.adapt(one_task(batch.support, task))
            query = one_task(batch.query, task)
            predictions = alone.probabilities(query.images)[0]
            close(together[task, : len(predictions)], predictions)
            truth = query.labels[0]
            close(losses[task].detach(), -predictions[torch.arange(len(truth)), truth].log().mean())
            close(accuracies[task], (predictions.argmax(1) == truth).double().mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_a_large_learner_adapts_to_a_task_as_it_does_beside_a_larger_one(name: str):
    learner = create(name, **LARGE[name]).eval()
    supports = []
    for samples in (4, 14):
        images = torch.rand(samples, *learner.input_spec.dimensions, generator=torch.Generator().manual_seed(samples))
        supports.append(Support(images, torch.arange(samples) % 2, torch.ones(samples), 2, torch.arange(samples)))
    small, _ = supports
    alone = learner.adapt(Support.stack([small])).adapted
    together = learner.adapt(Support.stack(supports)).adapted
    assert all(torch.equal(together[key][0], value[0]) for key, value in alone.items())


def test_randomness_of_another_length_than_the_support_is_refused():
    class Uneven(type(tiny("scratch"))):
        def sample_randomness(self, support, generator):
            return {"rows": torch.arange(len(support.labels) - 1)}

    learner = Uneven(SHAPE, width=8)
    with pytest.raises(ValueError, match=r"'rows' has .* one row per sample"):
        learner.adapt(episodes(3, doubles=False).support)


@pytest.mark.parametrize("name", NAMES)
def test_padding_has_no_effect(name):
    batch = episodes(3)
    support, queries = batch.support, batch.query.images
    padding = support.weights == 0
    assert padding.any()
    images, labels = support.images.clone(), support.labels.clone()
    images[padding], labels[padding] = 0.7, 1
    other = Support(images, labels, support.weights, support.ways, support.patients)
    assert torch.equal(probabilities(name, other, queries), probabilities(name, support, queries))


@KINDS
@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_the_support_does_not_matter(name: str, shape: Shape):
    batch = episodes(3, ways=3, shape=shape)
    support, queries = one_task(batch.support, 2), batch.query.images[2:]
    order = torch.randperm(len(support.labels[0]), generator=torch.Generator().manual_seed(3))
    assert (order != torch.arange(len(order))).any()
    predictions, again = (
        probabilities(name, side, queries, shape=shape) for side in (support, permuted(support, order))
    )
    close(again, predictions)


@KINDS
@pytest.mark.parametrize("name", RELABELLING)
def test_relabelling_the_classes_relabels_the_output(name: str, shape: Shape):
    batch = episodes(3, ways=3, shape=shape)
    support, queries = one_task(batch.support, 2), batch.query.images[2:]
    new = torch.tensor([2, 0, 1])
    relabelled = Support(support.images, new[support.labels], support.weights, 3, support.patients)
    before, after = (probabilities(name, side, queries, shape=shape) for side in (support, relabelled))
    torch.testing.assert_close(after[..., new], before, atol=1e-6, rtol=0)
    assert (after - before).abs().max() > 1e-3, "all classes look alike and prove nothing"


@pytest.mark.parametrize("name", INDUCTIVE)
def test_a_prediction_does_not_depend_on_the_other_queries(name):
    batch = episodes(2)
    classifier = tiny(name).adapt(batch.support)
    together = classifier.probabilities(batch.query.images)
    for query in range(batch.query.images.shape[1]):
        close(classifier.probabilities(batch.query.images[:, query : query + 1])[:, 0], together[:, query])


@pytest.mark.parametrize("name", TRANSDUCTIVE)
def test_a_transductive_learner_is_named_so_and_only_its_queries_depend_on_each_other(name):
    assert "transductive" in name
    batch = episodes(2)
    classifier, inductive = tiny(name).adapt(batch.support), tiny(name)
    inductive.predict_jointly = lambda adapted, images, weights: inductive.predict_one(adapted, images)
    alone = inductive.adapt(batch.support).probabilities(batch.query.images)
    together = classifier.probabilities(batch.query.images, batch.query.weights)
    real = batch.query.weights > 0
    assert (together - alone)[real].abs().max() > 1e-6, "the queries did not learn from each other"
    order = torch.randperm(real.shape[1], generator=torch.Generator().manual_seed(3))
    permuted_too = classifier.probabilities(batch.query.images[:, order], batch.query.weights[:, order])
    close(permuted_too[real[:, order]], together[:, order][real[:, order]])
    for query in range(real.shape[1]):
        close(classifier.probabilities(batch.query.images[:, query : query + 1])[:, 0], alone[:, query])


@pytest.mark.parametrize("name", RELABELLING)
def test_one_learner_takes_two_to_five_classes(name):
    learner = tiny(name)
    for ways in (2, 3, 4, 5):
        batch = episodes(2, ways=ways)
        predictions = learner.adapt(batch.support).probabilities(batch.query.images)
        assert predictions.shape[-1] == ways
        close(predictions.sum(-1), torch.ones(predictions.shape[:-1], dtype=torch.float64))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_bits(name):
    def run() -> tuple[dict, torch.Tensor]:
        learner, batch = tiny(name, stir=False, doubles=False), episodes(2, doubles=False)
        return learner.state_dict(), learner.adapt(batch.support).probabilities(batch.query.images)

    (state, predictions), (other_state, other_predictions) = run(), run()
    assert torch.equal(predictions, other_predictions)
    assert all(torch.equal(value, other_state[key]) for key, value in state.items())


@pytest.mark.parametrize("name", [name for name in NAMES if list(tiny(name).parameters())])
def test_another_seed_gives_other_parameters_and_leaves_the_global_one_alone(name):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    states = [create(tiny(name).name, input_spec=SHAPE, seed=seed).state_dict() for seed in (1, 2)]
    assert torch.equal(torch.rand(3), expected)
    assert any(not torch.equal(value, states[1][key]) for key, value in states[0].items())


@pytest.mark.parametrize("shape", [PIXELS, VOXELS])
@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_predicts_the_same(name: str, shape: Shape, tmp_path: Path):
    task = textured(0, classes=3, patients=4, size=shape.size, depth=10 if shape.axes == 3 else None)
    images, labels = task.images.array, [task.classes[label] for label in task.labels]
    learner = tiny(name, shape=shape, doubles=False)
    model = FewShotClassifier(learner).fit(images, labels)
    expected = model.predict_proba(images)
    model.save(tmp_path / "model")
    learner.save(tmp_path / "run")
    assert np.array_equal(load(tmp_path / "model").predict_proba(images), expected)
    back = load_learner(tmp_path / "run")
    assert back.settings() == learner.settings()
    assert np.array_equal(FewShotClassifier(back).fit(images, labels).predict_proba(images), expected)
    again = FewShotClassifier(tmp_path / "run").fit(images, labels)
    assert np.array_equal(again.predict(images), load(tmp_path / "model").predict(images))
    assert list(again.classes_) == sorted(task.classes)


@pytest.mark.parametrize("name", NAMES)
def test_noise_labels_score_at_chance(name):
    noise = textured(0, patients=40, signal=0.0)
    protocol = Protocol(shots=(5,), episodes=20, queries=20, baseline=name)
    results, _ = evaluate({name: tiny(name, doubles=False)}, [noise], protocol, show=False)
    low, high = results.rows[0].balanced_accuracy.new_patients
    assert low <= 0.5 <= high
    assert high - low < 0.3, "the interval says nothing"


def test_unknown_names_and_settings_are_refused():
    with pytest.raises(InputError, match="There is no learner 'metall'; choose one of metal,"):
        create("metall")
    with pytest.raises(InputError, match="check the names"):
        create("metal", depth=7)
