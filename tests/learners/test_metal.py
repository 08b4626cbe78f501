"""METAL's own promises, against an inner loop written out by hand from the equations."""

import numpy as np
import pytest
import torch
from small_learners import episodes, one_task, tiny
from small_tasks import labelled, textured
from torch import Tensor
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from medshot.errors import InputError, TooFewPatients
from medshot.evaluation.overlap import refuse_overlap
from medshot.learners import create
from medshot.learners.features import BIAS, WEIGHT
from medshot.tasks import Support
from medshot.training import BatchSettings, Engine, OuterSettings

STEPS = 3


def logits(learner, parameters: dict[str, Tensor], images: Tensor, centre: Tensor) -> Tensor:
    base = {name: value for name, value in parameters.items() if name not in (WEIGHT, BIAS)}
    features = functional_call(learner.network, base, (images,))
    return (features - centre) @ parameters[WEIGHT].T + parameters[BIAS]


def centre_of(learner, parameters: dict[str, Tensor], images: Tensor) -> Tensor:
    base = {name: value for name, value in parameters.items() if name not in (WEIGHT, BIAS)}
    return functional_call(learner.network, base, (images,)).mean(0)


def inner_loop(learner, support: Support, constants: list[dict[str, Tensor]] | None = None):
    """Return θ after steps θ ← θ − η (g + β r m(g / r)), and each g; if `constants` are given, they are the g."""
    images, labels = support.images[0], support.labels[0]
    head = {
        WEIGHT: torch.zeros(support.ways, learner.network.features, dtype=torch.float64, requires_grad=True),
        BIAS: torch.zeros(support.ways, dtype=torch.float64, requires_grad=True),
    }
    parameters, used = dict(learner.network.named_parameters()) | head, []
    for step in range(STEPS):
        if constants is None:
            centre = centre_of(learner, parameters, images)
            loss = cross_entropy(logits(learner, parameters, images, centre), labels)
            found = torch.autograd.grad(loss, list(parameters.values()), create_graph=True)
            used.append({name: g.detach() for name, g in zip(parameters, found, strict=True)})
        gradients = used[step] if constants is None else constants[step]
        for name, g in gradients.items():
            r = (g.square().mean() + 1e-16).sqrt()  # g is zero where the head's equal rows cancel
            rate = learner.log_rates[name.replace(".", "/")].exp()
            proposal = learner.meta_network(g / r)
            parameters[name] = parameters[name] - rate * (g + learner.beta * r * proposal)
    return parameters, used


def query_loss(learner, support: Support, query: Support, constants) -> Tensor:
    parameters, _ = inner_loop(learner, support, constants)
    centre = centre_of(learner, parameters, support.images[0])
    return cross_entropy(logits(learner, parameters, query.images[0], centre), query.labels[0])


def test_the_first_order_meta_gradient_is_that_of_an_inner_loop_with_constant_gradients():
    learner, batch = tiny("metal", order=1, steps=STEPS).train(), episodes(1)
    assert learner.gradient == "first-order"
    _, constants = inner_loop(learner, batch.support)
    by_hand = query_loss(learner, batch.support, batch.query, constants)
    loss = learner.scores(batch)[0].mean()
    torch.testing.assert_close(loss, by_hand, atol=1e-9, rtol=0)
    loss.backward()
    generator, step = torch.Generator().manual_seed(1), 1e-6
    for label, value in learner.named_parameters():
        direction = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        losses = []
        for sign in (1, -2, 1):
            value.data += sign * step * direction
            losses.append(query_loss(learner, batch.support, batch.query, constants).detach())
        expected = (losses[0] - losses[1]) / (2 * step)
        found = (value.grad * direction).sum()
        torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-4, msg=lambda text, n=label: f"{n}: {text}")


def test_first_and_second_order_adapt_alike_and_learn_differently():
    batch = episodes(2)
    gradients = []
    for order in (1, 2):
        learner = tiny("metal", order=order).train()
        learner.scores(batch)[0].mean().backward()
        gradients.append(learner.network.blocks[0][0].weight.grad)
    predictions = [tiny("metal", order=order).adapt(batch.support)(batch.query.images) for order in (1, 2)]
    torch.testing.assert_close(predictions[0], predictions[1])
    assert (gradients[0] - gradients[1]).abs().max() > 1e-6


@pytest.mark.parametrize("adapted", ["all", "head"])
def test_before_meta_training_an_inner_step_is_plain_gradient_descent(adapted):
    learner = tiny("metal", stir=False, steps=1, adapt_parameters=adapted).train()
    support = episodes(1).support
    result = learner.adapt(support).adapted
    start = dict(learner.network.named_parameters()) | {
        WEIGHT: torch.zeros(2, 8, dtype=torch.float64, requires_grad=True),
        BIAS: torch.zeros(2, dtype=torch.float64, requires_grad=True),
    }
    centre = centre_of(learner, start, support.images[0])
    loss = cross_entropy(logits(learner, start, support.images[0], centre), support.labels[0])
    names = [name for name in start if name in result]
    assert (len(names) > 2) == (adapted == "all")
    for name, g in zip(names, torch.autograd.grad(loss, [start[name] for name in names]), strict=True):
        rate = learner.log_rates[name.replace(".", "/")].exp()
        torch.testing.assert_close(result[name][0], start[name] - rate * g, atol=1e-12, rtol=0)


def test_the_head_starts_with_equal_rows_for_any_number_of_classes():
    learner = tiny("metal")
    for ways in (2, 3, 5):
        start = learner.start(one_task(episodes(1, ways=ways).support, 0).of_task(0))
        assert start[WEIGHT].shape == (ways, 8)
        assert torch.equal(start[WEIGHT], start[WEIGHT][:1].expand(ways, -1))
        assert torch.equal(start[BIAS], start[BIAS][:1].expand(ways))


def test_adapting_stops_for_each_task_by_itself():
    support = episodes(2).support
    flat = Support(
        torch.stack([torch.full_like(support.images[0], 0.5), support.images[1]]),
        support.labels,
        support.weights,
        2,
        support.patients,
    )
    for engine in (Engine("loop"), Engine("vmap")):
        few, many = (tiny("metal", stir=False, steps=1, max_steps=steps) for steps in (2, 12))
        few.engine = many.engine = engine
        short, long = few.adapt(flat).adapted[WEIGHT], many.adapt(flat).adapted[WEIGHT]
        assert torch.equal(short[0], long[0]), "a task with nothing to learn went on"
        assert not torch.equal(short[1], long[1]), "a task with much to learn stopped"


def test_a_loss_that_hardly_falls_stops_adapting_after_steps_and_not_before():
    support, slow = episodes(2).support, {"learning_rate": 1e-8}  # no step lowers the loss by a thousandth
    stopped = tiny("metal", steps=3, max_steps=12, **slow).adapt(support).adapted[WEIGHT]
    two, three, four = (
        tiny("metal", steps=steps, max_steps=12, **slow).train().adapt(support).adapted[WEIGHT] for steps in (2, 3, 4)
    )
    assert torch.equal(stopped, three)
    assert not torch.equal(three, two)
    assert not torch.equal(three, four)


def test_update_learns_from_a_new_task_and_is_repeatable():
    task = textured(3, patients=6)
    learners = [tiny("metal", doubles=False, stir=False) for _ in range(2)]
    before = {name: value.clone() for name, value in learners[0].state_dict().items()}
    for learner in learners:
        learner.update(task, shots=2, steps=2)
        assert not learner.training
    after, again = (learner.state_dict() for learner in learners)
    assert all(torch.equal(after[name], again[name]) for name in after)
    assert not torch.equal(after["beta"], before["beta"]) or not torch.equal(
        after["meta_network.output.weight"], before["meta_network.output.weight"]
    )
    assert any(not torch.equal(after[name], before[name]) for name in after if name.startswith("network"))


def test_what_an_update_learned_from_is_refused_as_a_test():
    task = textured(3, patients=6)
    learner = tiny("metal", doubles=False, stir=False)
    learner.update(task, shots=2, steps=1)
    with pytest.raises(InputError, match="shares 12 of its 12 images"):
        refuse_overlap(learner, [task])


def test_update_with_one_patient_in_a_class_is_refused_and_changes_nothing():
    task = labelled([0, 0, 0, 1], [0, 1, 2, 3])
    learner = tiny("metal", doubles=False)
    before = {name: value.clone() for name, value in learner.state_dict().items()}
    with pytest.raises(TooFewPatients, match="Class 'class 1'"):
        learner.update(task)
    assert all(torch.equal(value, before[name]) for name, value in learner.state_dict().items())
    assert not learner.training
    support = Support(torch.rand(1, 4, 1, 20, 20), torch.tensor([[0, 0, 0, 1]]), torch.ones(1, 4), 2)
    assert np.isfinite(learner.adapt(support).probabilities(torch.rand(1, 2, 1, 20, 20)).numpy()).all()


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"steps": 0}, "steps is 0; give 1 or more"),
        ({"steps": 5, "max_steps": 3}, "steps is 5 and max_steps 3; give at least as many"),
        ({"order": 3}, "'order': 3|order is 3 "),  # where types are checked, as in these tests, they refuse it first
        ({"adapt_parameters": "body"}, "adapt_parameters'?:? 'body'"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; give a finite number above 0"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        create("metal", **wrong)


def test_a_second_meta_training_keeps_the_training_images_of_the_first():
    first, second = ([textured(seed, patients=8) for seed in seeds] for seeds in ((1, 2), (3, 4)))
    learner = tiny("metal", doubles=False, stir=False)
    few = OuterSettings(steps=1, validate_every=1, batch=BatchSettings(tasks=1, shots=(1,), queries=1, augment=False))
    for tasks in (first, second):
        learner.meta_fit(tasks, settings=few, engine="loop", report=lambda event: None)
    for task in (first[0], second[0]):
        with pytest.raises(InputError, match="shares"):
            refuse_overlap(learner, [task])
