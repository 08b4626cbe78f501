"""Each objective of an encoder equals a formula written out by hand, in double precision."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from small_tasks import labelled

from medshot.tasks import Episode, draw_episode
from medshot.training.pretraining import OBJECTIVES
from medshot.training.pretraining.objectives import TEMPERATURE, Episodic, SelfSupervised, Supervised

TASKS = [labelled(np.repeat(np.arange(classes), 6), range(6 * classes), f"of {classes}") for classes in (2, 4, 3)]
FEATURES = 5


def draw_episodes(seed: int) -> list[Episode]:
    """Draw an episode of each task, the last task first; three classes of the largest task's four."""
    rng = np.random.default_rng(seed)
    return [draw_episode(task, shots=2, queries=3, ways=min(3, len(task.classes)), rng=rng) for task in TASKS[::-1]]


def features_of(episodes: list[Episode], views: int, seed: int) -> torch.Tensor:
    images = sum(len(episode.support) + len(episode.query) for episode in episodes)
    return torch.randn(views, images, FEATURES, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def made(kind: type, seed: int) -> torch.nn.Module:
    """Make the objective with random parameters."""
    objective = kind(FEATURES, TASKS).double()
    generator = torch.Generator().manual_seed(seed + 1)
    for parameter in objective.parameters():
        parameter.data = torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
    return objective


def parts(features: torch.Tensor, episodes: list[Episode]) -> list[np.ndarray]:
    ends = np.cumsum([len(episode.support) + len(episode.query) for episode in episodes])
    return np.split(features[0].numpy(), ends[:-1])


def surprise(logits: np.ndarray, label: int) -> float:
    """Return minus the logarithm of the probability of a class."""
    return float(np.log(np.exp(logits).sum()) - logits[label])


@given(some.integers(0, 10**6))
def test_supervised_is_the_mean_of_cross_entropies_as_shares_of_that_of_guessing(seed):
    episodes, objective = draw_episodes(seed), made(Supervised, seed)
    features = features_of(episodes, 1, seed)
    expected = []
    for of_task, episode in zip(parts(features, episodes), episodes, strict=True):
        head = objective.heads[_place(episode)]
        logits = of_task @ head.weight.detach().numpy().T + head.bias.detach().numpy()
        truth = episode.task.labels[np.concatenate([episode.support, episode.query])]
        of_images = [surprise(row, label) for row, label in zip(logits, truth, strict=True)]
        expected.append(np.mean(of_images) / np.log(len(episode.task.classes)))
    assert objective(features, episodes).item() == pytest.approx(np.mean(expected), rel=1e-12)


def _place(episode: Episode) -> int:
    return [task is episode.task for task in TASKS].index(True)


def test_tasks_of_one_name_have_heads_of_their_own():
    alike = [replace(task, name="ward") for task in TASKS]
    objective = Supervised(FEATURES, alike).double()
    rng = np.random.default_rng(0)
    episodes = [draw_episode(task, shots=1, queries=1, rng=rng) for task in alike]
    objective(features_of(episodes, 1, 0), episodes).backward()
    assert [head.weight.grad.abs().sum() > 0 for head in objective.heads] == [True] * 3


@given(some.integers(0, 10**6))
def test_episodic_compares_distances_to_the_means_of_the_support(seed):
    episodes, objective = draw_episodes(seed), made(Episodic, seed)
    features, scale = features_of(episodes, 1, seed), objective.log_scale.exp().item()
    expected = []
    for of_task, episode in zip(parts(features, episodes), episodes, strict=True):
        unit = of_task / np.linalg.norm(of_task, axis=1, keepdims=True)
        support, query = unit[: len(episode.support)], unit[len(episode.support) :]
        prototypes = np.stack([support[episode.support_labels == c].mean(0) for c in range(episode.ways)])
        of_images = [
            surprise(-scale / 2 * ((image - prototypes) ** 2).sum(1), label)
            for image, label in zip(query, episode.query_labels, strict=True)
        ]
        expected.append(np.mean(of_images) / np.log(episode.ways))
    assert objective(features, episodes).item() == pytest.approx(np.mean(expected), rel=1e-9)


@given(some.integers(0, 10**6))
def test_self_supervised_finds_the_other_view_among_all_images(seed):
    episodes, objective = draw_episodes(seed)[:1], made(SelfSupervised, seed)
    features = features_of(episodes, 2, seed)
    images = features.shape[1]
    with torch.no_grad():
        projected = objective.projection(features.flatten(0, 1)).numpy()
    cosine = projected @ projected.T / np.outer(*[np.linalg.norm(projected, axis=1)] * 2)
    expected = []
    for one in range(2 * images):
        other = (one + images) % (2 * images)
        rest = [cosine[one, third] / TEMPERATURE for third in range(2 * images) if third != one]
        expected.append(np.log(np.exp(rest).sum()) - cosine[one, other] / TEMPERATURE)
    assert objective(features, episodes).item() == pytest.approx(np.mean(expected), rel=1e-9)


@given(seed=some.integers(0, 10**6), name=some.sampled_from(list(OBJECTIVES)))
def test_the_order_in_which_classes_are_numbered_changes_no_loss(seed, name):
    episodes, objective = draw_episodes(seed), made(OBJECTIVES[name], seed)
    features = features_of(episodes, objective.views, seed)
    rng = np.random.default_rng(seed)
    renamed = []
    for episode in episodes:
        order = rng.permutation(episode.ways)
        places = np.argsort(order)
        renamed.append(
            replace(
                episode,
                classes=tuple(episode.classes[c] for c in order),
                support_labels=places[episode.support_labels],
                query_labels=places[episode.query_labels],
            )
        )
    assert objective(features, renamed).item() == pytest.approx(objective(features, episodes).item(), rel=1e-12)


@given(some.integers(0, 10**6))
def test_what_is_certain_and_right_costs_nothing_and_equal_features_cost_as_much_as_guessing(seed):
    episodes = draw_episodes(seed)
    features = torch.cat([torch.eye(FEATURES, dtype=torch.float64)[_labels(episode)] for episode in episodes])[None]
    objective = made(Episodic, seed)
    objective.log_scale.data.fill_(6.0)
    assert objective(features, episodes).item() < 1e-6
    assert objective(torch.ones_like(features), episodes).item() == pytest.approx(1)


def _labels(episode: Episode) -> np.ndarray:
    return np.concatenate([episode.support_labels, episode.query_labels])
