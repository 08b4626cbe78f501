"""The dual of the support vector machine: scikit-learn's optimum, and the gradient that the optimum has."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.svm import SVC, LinearSVC

from medshot.learners.svm.dual import crammer_singer, dual_objective
from medshot.learners.svm.meta_svm import mixed_kernel

PRECISIONS = [torch.float64, torch.float32]
STEPS = 400


def task(seed: int, shots: list[int], features: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Return overlapping classes of vectors of norm 4."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(shots)), torch.tensor(shots))
    means = torch.randn(len(shots), features, generator=generator, dtype=torch.float64)
    noise = torch.randn(len(labels), features, generator=generator, dtype=torch.float64)
    vectors = 0.5 * means[labels] + noise
    return 4 * vectors / vectors.norm(dim=1, keepdim=True), labels


def solved(gram: torch.Tensor, labels: torch.Tensor, strength: float, **settings) -> torch.Tensor:
    return crammer_singer(gram, labels, torch.full_like(gram[0], strength), int(labels.max()) + 1, **settings)


def primal(vectors: torch.Tensor, labels: torch.Tensor, rows: torch.Tensor, strength: float) -> float:
    margins = vectors @ rows.T
    rivals = margins + (labels[:, None] != torch.arange(len(rows)))
    slack = rivals.amax(1) - margins.gather(1, labels[:, None])[:, 0]
    return float(rows.square().sum() / 2 + strength * slack.sum())


@pytest.mark.parametrize("precision", PRECISIONS)
@given(
    seed=st.integers(0, 1000),
    shots=st.lists(st.integers(1, 10), min_size=3, max_size=5),
    strength=st.sampled_from([0.01, 0.03, 0.1, 1.0, 10.0, 100.0]),
)
@settings(max_examples=20)
def test_the_optimum_is_that_of_scikit_learn(precision, seed, shots, strength):
    vectors, labels = task(seed, shots)
    model = LinearSVC(multi_class="crammer_singer", fit_intercept=False, C=strength, tol=1e-8, max_iter=1_000_000)
    twin = model.fit(vectors.numpy(), labels.numpy())
    best = primal(vectors, labels, torch.from_numpy(twin.coef_), strength)
    given = vectors.to(precision)
    with torch.no_grad():
        coefficients = solved(given @ given.T, labels, strength)
    assert dual_objective(given @ given.T, labels, coefficients) == pytest.approx(best, rel=1e-3)
    if precision == torch.float64:  # what single precision leaves of slack, C magnifies
        assert primal(vectors, labels, coefficients.T @ vectors, strength) == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("strength", [0.01, 0.1, 1.0, 100.0])
@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_of_two_classes_it_is_the_binary_machine_of_twice_the_strength(precision, strength, kernel):
    half, of_half = task(3, [8, 8])
    vectors, labels = torch.cat([half, -half]), torch.cat([of_half, 1 - of_half])  # so that the intercept is zero
    products = vectors @ vectors.T
    distances = products.diagonal()[:, None] + products.diagonal() - 2 * products
    gram = products if kernel == "linear" else torch.exp(-0.05 * distances)
    twin = SVC(kernel="precomputed", C=2 * strength, tol=1e-9).fit(gram.numpy(), labels.numpy())
    assert twin.intercept_ == pytest.approx(0, abs=1e-6)
    duals = np.zeros(len(labels))
    duals[twin.support_] = twin.dual_coef_[0]
    binary = np.abs(duals).sum() - duals @ gram.numpy() @ duals / 2
    with torch.no_grad():
        coefficients = solved(gram.to(precision), labels, strength)
    assert 2 * dual_objective(gram.to(precision), labels, coefficients) == pytest.approx(binary, rel=1e-3)
    margins = gram @ coefficients.double()
    np.testing.assert_allclose(margins[:, 1] - margins[:, 0], twin.decision_function(gram.numpy()), atol=0.02)


def slopes(gram: torch.Tensor, labels: torch.Tensor, strengths: torch.Tensor, asked: torch.Tensor):
    """Return the coefficients, and the gradients of the `asked` margins' sum in Gram matrix and strengths."""
    gram, strengths = gram.clone().requires_grad_(), strengths.clone().requires_grad_()
    coefficients = crammer_singer(gram, labels, strengths, asked.shape[1], STEPS)
    value = (asked * (gram.detach() @ coefficients)).sum()
    return coefficients.detach(), *torch.autograd.grad(value, (gram, strengths))


def directions(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seed=st.integers(0, 1000), shots=st.lists(st.integers(1, 6), min_size=3, max_size=3), soft=st.booleans())
@settings(max_examples=10)
def test_gradients_equal_finite_differences_where_the_active_set_stays(seed, shots, soft):
    vectors, labels = task(seed, shots)
    count = len(labels)
    gram, strengths = vectors @ vectors.T + 1, torch.full((count,), 0.03 if soft else 1.0, dtype=torch.float64)
    asked, change = directions(seed, count, 3), 1e-5 * directions(seed + 1, *vectors.shape)
    grams = [(vectors + sign * change) @ (vectors + sign * change).T + 1 for sign in (1, -1)]
    stronger = [strengths * (1 + sign * 1e-5 * directions(seed + 2, count)) for sign in (1, -1)]
    here, by_gram, by_strength = slopes(gram, labels, strengths, asked)
    own = torch.nn.functional.one_hot(labels, 3)
    for found, step, pairs in (
        (by_gram, grams[0] - grams[1], [(side, strengths) for side in grams]),
        (by_strength, stronger[0] - stronger[1], [(gram, side) for side in stronger]),
    ):
        with torch.no_grad():
            there = [crammer_singer(of_gram, labels, by, 3, STEPS) for of_gram, by in pairs]
        for coefficients, (_, by) in zip(there, pairs, strict=True):
            assume(torch.equal(own * by[:, None] > coefficients, own * strengths[:, None] > here))
        expected = (asked * (gram @ (there[0] - there[1]))).sum()
        torch.testing.assert_close((found * step).sum(), expected, atol=1e-9, rtol=1e-3)
    if soft:
        assert by_strength.abs().max() > 1e-3


@pytest.mark.parametrize("strength", [0.03, 1.0])
def test_gradients_in_single_precision_are_those_in_double(strength):
    vectors, labels = task(5, [4, 2, 6], features=200)
    gram, strengths, asked = vectors @ vectors.T + 1, torch.full((12,), strength).double(), directions(0, 12, 3)
    exact = slopes(gram, labels, strengths, asked)
    single = slopes(gram.float(), labels, strengths.float(), asked.float())
    for one, other in zip(single, exact, strict=True):
        assert (one - other).norm() < 0.01 * max(other.norm(), 0.1)


def test_gradients_of_repeated_samples_are_finite():
    vectors, labels = task(5, [3, 3])
    gram = torch.cat([vectors, vectors]) @ torch.cat([vectors, vectors]).T
    for of_copies in (labels, 1 - labels):
        found = slopes(gram.float(), torch.cat([labels, of_copies]), torch.ones(12), torch.ones(12, 2))
        assert all(of_one.isfinite().all() for of_one in found)


def test_a_gradient_that_is_not_asked_for_changes_no_coefficient():
    vectors, labels = task(7, [5, 3, 2])
    gram = (vectors @ vectors.T).requires_grad_()
    with torch.no_grad():
        expected = solved(gram, labels, 1.0)
    found = solved(gram, labels, 1.0)
    assert found.requires_grad
    assert torch.equal(found, expected)


def test_coefficients_stay_within_their_bounds():
    vectors, labels = task(2, [5, 3, 2])
    coefficients = solved(vectors @ vectors.T, labels, 0.05)
    torch.testing.assert_close(coefficients.sum(1), torch.zeros(10, dtype=torch.float64), atol=1e-12, rtol=0)
    assert (coefficients <= 0.05 * torch.nn.functional.one_hot(labels)).all()
    assert coefficients.abs().max() > 0.04


def test_samples_without_weight_have_no_effect_with_any_kernel():
    vectors, labels = task(4, [3, 4, 2])
    gram = torch.full((11, 11), 1e3, dtype=torch.float64)
    gram[:9, :9] = vectors @ vectors.T
    weights = (torch.arange(11) < 9).double()
    found = crammer_singer(gram, torch.cat([labels, torch.tensor([0, 2])]), weights, 3)
    assert (found[9:] == 0).all()
    torch.testing.assert_close(found[:9], solved(gram[:9, :9], labels, 1.0), atol=1e-12, rtol=0)


@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0.01, 10))
def test_a_mix_of_kernels_is_a_kernel(seed, mix, gamma):
    vectors, _ = task(seed, [4, 4], features=3)
    gram = mixed_kernel(vectors, vectors, *torch.tensor([gamma, mix], dtype=torch.float64))
    torch.testing.assert_close(gram, gram.T)
    assert torch.linalg.eigvalsh(gram).amin() > -1e-8
    torch.testing.assert_close(gram.diagonal(), (1 - mix) * vectors.square().sum(1) + mix + 1)
