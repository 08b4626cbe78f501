"""The weight of tasks in a batch, and augmentation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_tasks import SHAPE, VOLUME, textured

from medshot.errors import TooFewPatients
from medshot.imaging import Augmentation
from medshot.tasks import draw_episode
from medshot.training import BatchSettings
from medshot.training.batches import draw_batch, task_shares, to_tensors


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_tasks_count_alike_with_any_number_of_folds(seed, tasks):
    pool = [textured(0, patients=3), textured(1, patients=9)]
    settings = BatchSettings(tasks=tasks, shots=(1, 2))
    episodes = draw_batch(pool, settings, np.random.default_rng(seed), cross_validated=True)
    shares = task_shares(episodes)
    assert float(shares.sum()) == pytest.approx(1)
    of_task: dict[int, float] = {}
    for episode, share in zip(episodes, shares.tolist(), strict=True):
        of_task[id(episode.task)] = of_task.get(id(episode.task), 0) + share
    assert list(of_task.values()) == pytest.approx([1 / tasks] * tasks)


@pytest.mark.parametrize("shape", [SHAPE, VOLUME])
def test_the_seed_decides_the_augmentation_of_pixels_and_voxels(shape):
    depth = 10 if shape.axes == 3 else None
    episodes = [draw_episode(textured(0, size=12, depth=depth), shots=2, queries=2, rng=np.random.default_rng(0))]
    plain, changed, again, other = (
        to_tensors(episodes, shape, torch.device("cpu"), augmentation, seed).images
        for augmentation, seed in ((None, 0), (Augmentation(), 0), (Augmentation(), 0), (Augmentation(), 1))
    )
    assert changed.shape == plain.shape == (len(plain), *shape.dimensions)
    assert torch.equal(changed, again)
    assert not torch.allclose(changed, plain)
    assert not torch.allclose(changed, other)


@pytest.mark.parametrize(
    ("ways", "shots", "remedies"),
    [
        (3, (1,), "give --ways 2, add patients of that class or add tasks."),
        (2, (1, 7), "ask for fewer shots (now 1,7), add patients of that class or add tasks."),
        (2, (1,), "; add patients of that class or add tasks."),
    ],
)
def test_a_batch_that_cannot_be_drawn_names_the_class_and_the_remedies_that_are_left(ways, shots, remedies):
    tasks = [textured(0, patients=1), textured(1, classes=ways, patients=1)]
    settings = BatchSettings(tasks=2, ways=ways, shots=shots, queries=1)
    seed = next(seed for seed in range(99) if np.random.default_rng(seed).integers(2, ways + 1) == ways)
    with pytest.raises(
        TooFewPatients, match=r"of 2 tasks, . have as many classes, and class .* has 1 patient"
    ) as caught:
        draw_batch(tasks, settings, np.random.default_rng(seed), cross_validated=False)
    assert str(caught.value).endswith(remedies)
