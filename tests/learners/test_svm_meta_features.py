"""Meta-features depend on what matters of a support, and on nothing else."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medshot.learners.meta_features import META_FEATURES
from medshot.learners.meta_features import meta_features as of_support
from medshot.tasks import Support


def task(seed: int, shots: list[int], signal: float = 1.0, features: int = 12, doubles: bool = True):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.repeat_interleave(torch.arange(len(shots)), torch.tensor(shots))
    means = signal * torch.randn(len(shots), features, generator=generator)
    vectors = means[labels] + torch.randn(len(labels), features, generator=generator)
    vectors = vectors.double() if doubles else vectors
    return vectors, labels, torch.ones(len(labels)).to(vectors), len(shots)


def meta_features(*arguments) -> torch.Tensor:
    return of_support(Support(*arguments))


def named(*arguments) -> dict[str, float]:
    return dict(zip(META_FEATURES, meta_features(*arguments).tolist(), strict=True))


SHOTS = st.lists(st.integers(1, 8), min_size=2, max_size=5)


@given(st.integers(0, 1000), SHOTS)
def test_order_names_padding_scale_and_rotation_change_nothing(seed, shots):
    vectors, labels, weights, ways = task(seed, shots)
    expected = meta_features(vectors, labels, weights, ways)
    assert len(expected) == len(META_FEATURES)
    generator = torch.Generator().manual_seed(seed)
    order, names = (torch.randperm(count, generator=generator) for count in (len(labels), ways))
    rotation = torch.linalg.qr(torch.randn(12, 12, generator=generator, dtype=torch.float64))[0]
    changed = (37 * vectors @ rotation)[order]
    padded = torch.cat([changed, torch.full((3, 12), 5.0).double()])
    found = meta_features(
        padded,
        torch.cat([names[labels][order], torch.zeros(3, dtype=torch.long)]),
        torch.cat([weights, torch.zeros(3).double()]),
        ways,
    )
    torch.testing.assert_close(found, expected, atol=1e-8, rtol=0)


@given(st.integers(0, 1000), SHOTS, st.booleans())
def test_numbers_and_gradients_are_finite_and_of_moderate_size(seed, shots, doubles):
    vectors, labels, weights, ways = task(seed, shots, doubles=doubles)
    vectors.requires_grad_()
    found = meta_features(vectors, labels, weights, ways + 1)  # one class has no samples
    (slope,) = torch.autograd.grad(found.sum(), vectors)
    assert found.isfinite().all()
    assert slope.isfinite().all()
    assert found.abs().max() < 5


@pytest.mark.parametrize("vectors", [torch.zeros(4, 3), torch.ones(4, 3)])
@pytest.mark.parametrize("shots", [[2, 2], [1, 1, 1, 1], [4, 0]])
def test_equal_vectors_are_described_as_chance(vectors, shots):
    labels = torch.repeat_interleave(torch.arange(len(shots)), torch.tensor(shots))
    vectors = vectors.clone().requires_grad_()
    found = meta_features(vectors, labels, torch.ones(4), len(shots))
    assert found.abs().max() < 5
    assert torch.autograd.grad(found.sum(), vectors)[0].isfinite().all()
    assert abs(found[META_FEATURES.index("separation")]) < 1e-4


def test_it_runs_under_vmap():
    tasks = [task(seed, [2, 3, 4]) for seed in range(3)]
    vectors, labels, weights = (torch.stack(part) for part in list(zip(*tasks, strict=True))[:3])
    together = torch.func.vmap(lambda *one: meta_features(*one, 3))(vectors, labels, weights)
    for of_task, arguments in zip(together, tasks, strict=True):
        torch.testing.assert_close(of_task, meta_features(*arguments), atol=1e-10, rtol=0)


def test_classes_far_apart_differ_from_noise():
    noise, apart = named(*task(0, [20, 20], 0.0)), named(*task(0, [20, 20], 5.0))
    for name in ("separation", "nearest_mean_accuracy", "nearest_neighbour_accuracy", "alignment"):
        assert abs(noise[name]) < 0.4, name
        assert apart[name] > 0.9, name
    assert apart["within_spread"] < noise["within_spread"]
    assert apart["between_spread"] > noise["between_spread"]


def test_accuracies_equal_those_counted_one_by_one():
    vectors, labels, weights, ways = task(3, [4, 6, 2], 0.7)
    right = {"nearest_mean_accuracy": torch.zeros(12), "nearest_neighbour_accuracy": torch.zeros(12)}
    for one in range(12):
        rest = torch.arange(12) != one
        means = torch.stack([vectors[rest & (labels == c)].mean(0) for c in range(ways)])
        nearest = (vectors[rest] - vectors[one]).norm(dim=1).argmin()
        right["nearest_mean_accuracy"][one] = (means - vectors[one]).norm(dim=1).argmin() == labels[one]
        right["nearest_neighbour_accuracy"][one] = labels[rest][nearest] == labels[one]
    found = named(vectors, labels, weights, ways)
    for name, hits in right.items():
        balanced = torch.stack([hits[labels == c].mean() for c in range(ways)]).mean()
        assert found[name] == pytest.approx(float((balanced - 1 / 3) * 1.5), abs=0.1)
        assert 0.2 < balanced < 0.95


def test_one_shot_gives_no_separation():
    found = named(*task(0, [1, 1, 1]))
    assert found["separation"] == pytest.approx(0)
    assert found["nearest_mean_accuracy"] == found["nearest_neighbour_accuracy"] == found["alignment"] == 0


def test_dimension_is_that_of_the_directions_that_vary():
    line = torch.linspace(-1, 1, 20).double()[:, None] * torch.ones(1, 5).double()
    cube = torch.cat([torch.eye(5), -torch.eye(5)]).double()
    for vectors, directions in ((line, 1), (cube, 5)):
        labels = torch.arange(len(vectors)) % 2
        found = named(vectors, labels, torch.ones(len(labels)).double(), 2)
        assert found["effective_dimension"] == pytest.approx(float(torch.tensor(directions).log()) - 2, abs=1e-4)
