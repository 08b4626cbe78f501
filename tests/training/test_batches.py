"""What a batch of episodes counts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import textured

from medshot.training import BatchSettings
from medshot.training.batches import draw_batch, task_shares


@given(st.integers(0, 10**6), st.integers(1, 5))
def test_tasks_count_alike_whatever_their_number_of_folds(seed, tasks):
    pool = [textured(0, patients=3), textured(1, patients=9)]
    settings = BatchSettings(tasks=tasks, shots=(1, 2))
    episodes = draw_batch(pool, settings, np.random.default_rng(seed), cross_validated=True)
    shares = task_shares(episodes)
    assert float(shares.sum()) == pytest.approx(1)
    of_task: dict[int, float] = {}
    for episode, share in zip(episodes, shares.tolist(), strict=True):
        of_task[id(episode.task)] = of_task.get(id(episode.task), 0) + share
    assert list(of_task.values()) == pytest.approx([1 / tasks] * tasks)
