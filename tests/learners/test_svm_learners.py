"""Support vector machines: their scikit-learn twins, and their meta-gradients through the optimum."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.svm import LinearSVC
from small_learners import episodes, tiny
from small_tasks import textured

from medshot.imaging import FeatureInput
from medshot.learners import FewShotClassifier, Learner, create
from medshot.learners.seeding import canonical_labels
from medshot.tasks import Support

NAMES = ["meta-svm", "svm-prior", "svm"]
VECTORS = FeatureInput((6, 4))


def vectors(seed: int, shots: list[int], signal: float = 1.0) -> Support:
    """Return one task of feature vectors of norm 4."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(shots)), torch.tensor(shots))
    means = signal * torch.randn(len(shots), 10, generator=generator)
    drawn = means[labels] + torch.randn(len(labels), 10, generator=generator)
    drawn = 4 * drawn / drawn.norm(dim=1, keepdim=True)
    return Support(drawn.double()[None], labels[None], torch.ones(1, len(labels)).double(), len(shots))


def standardised(support: Support) -> np.ndarray:
    """Centre the vectors, scale them to a root mean square norm of 1, and append a constant, by NumPy."""
    deviations = support.images[0].numpy() - support.images[0].numpy().mean(0)
    deviations /= np.sqrt((deviations**2).sum(1).mean())
    return np.column_stack([deviations, np.ones(len(deviations))])


@pytest.mark.parametrize("seed", range(3))
def test_before_meta_training_meta_svm_is_scikit_learn_on_the_same_features(seed):
    support = vectors(seed, [6, 3, 8])
    learner = create("meta-svm", input_spec=VECTORS).double()
    learner.log_scale.data.zero_()
    twin = LinearSVC(multi_class="crammer_singer", fit_intercept=False, tol=1e-9, max_iter=1_000_000)
    twin.fit(standardised(support), support.labels[0].numpy())
    expected = twin.decision_function(standardised(support))
    found = learner.adapt(support)(support.images)[0].detach().numpy()
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert np.ptp(expected) > 1


def soft(name: str) -> Learner:
    """Make a small learner with a C so low that samples lie within the margin, and that C has an effect."""
    learner = tiny(name).train()
    with torch.no_grad():
        (learner.log_strength if name == "meta-svm" else learner.prior.bias[0]).fill_(-2)
    return learner


@pytest.mark.parametrize("name", ["meta-svm", "svm-prior"])
def test_meta_gradients_equal_finite_differences(name):
    learner, batch, step = soft(name), episodes(2, signal=0.3), 1e-5
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
        torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-3, msg=lambda text, n=label: f"{n}: {text}")
        assert value.grad.abs().max() > 0, f"{label} has no gradient"


def test_every_setting_of_the_prior_is_learned():
    learner = soft("svm-prior")
    learner.scores(episodes(3, signal=0.3))[0].mean().backward()
    assert (learner.prior.bias.grad.abs() > 1e-6).all()
    assert (learner.prior.weight.grad.abs().amax(1) > 1e-6).all()


def test_the_settings_of_a_task_are_there_to_read():
    task = textured(0, classes=3, patients=4)
    labels = [task.classes[label] for label in task.labels]
    model = FewShotClassifier(tiny("svm-prior", doubles=False, stir=False)).fit(task.images.array, labels)
    settings = {name: float(model.adapted_[name]) for name in ("C", "gamma", "mix", "scale")}
    assert settings == pytest.approx({"C": 3, "gamma": 1, "mix": 0.7, "scale": 4}, rel=0.2)


@pytest.mark.parametrize("strength", [0.1, 1.0])
@pytest.mark.parametrize("ways", [2, 3])
def test_the_baseline_is_scikit_learn_on_the_same_features(strength, ways):
    support = vectors(0, [6, 3, 8][:ways])
    points, labels = support.images[0].numpy(), support.labels[0].numpy()
    expected = LinearSVC(C=strength, tol=1e-8, max_iter=1_000_000).fit(points, labels).decision_function(points)
    found = create("svm", input_spec=VECTORS, regularisation=strength).adapt(support)(support.images)[0].numpy()
    expected = expected if ways > 2 else np.column_stack([-expected, expected])
    np.testing.assert_allclose(found, expected, atol=1e-2)
    assert np.ptp(expected) > 1


@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_separated_before_meta_training(name):
    support = vectors(1, [6, 3, 8], signal=2.0)
    learner = create(name, input_spec=VECTORS).double()
    found = learner.adapt(support).probabilities(support.images)[0]
    assert (found.argmax(1) == support.labels[0]).double().mean() > 0.9
    new = torch.tensor([2, 0, 1])
    relabelled = Support(support.images, new[support.labels], support.weights, 3)
    after = learner.adapt(relabelled).probabilities(support.images)[0]
    torch.testing.assert_close(after[:, new], found, atol=1e-8, rtol=0)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.permutations(range(5)))
def test_canonical_labels_do_not_depend_on_the_numbers_of_the_classes(labels, numbers):
    given, other = torch.tensor(labels), torch.tensor(numbers)[torch.tensor(labels)]
    for side in (given, other):
        renamed, old = canonical_labels(side)
        assert torch.equal(old[renamed], side)
    assert torch.equal(canonical_labels(given)[0], canonical_labels(other)[0])
