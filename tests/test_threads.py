"""Small work uses one thread, by its size, and the record of a run has the number that was used."""

import numpy as np
import pytest
import torch
from small_tasks import textured

from medshot.imaging import FeatureInput, ImageInput
from medshot.learners import create
from medshot.networks import base_network
from medshot.tasks import collate, draw_episode
from medshot.threads import LARGE, threads_for, work_of
from medshot.training import BatchSettings, OuterSettings

BATCH = BatchSettings(tasks=2, ways=2, shots=(1,), queries=1)


@pytest.fixture
def _two_threads():
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.mark.usefixtures("_two_threads")
def test_small_work_uses_one_thread_and_large_work_as_many_as_before():
    with threads_for(LARGE - 1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with threads_for(LARGE):
        assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("_two_threads")
def test_the_number_is_put_back_after_an_error():
    with pytest.raises(ZeroDivisionError), threads_for(0):
        raise ZeroDivisionError
    assert torch.get_num_threads() == 2


def test_work_grows_with_samples_pixels_and_parameters():
    network = torch.nn.Linear(9, 1, bias=False)
    assert work_of(network, FeatureInput((5,)), 10) == 90
    assert work_of(network, ImageInput(channels=3, size=8), 10) == 90 * 64
    reference = base_network(ImageInput(channels=3, size=224), width=32)
    assert work_of(reference, ImageInput(channels=3, size=224), 1000) > LARGE


@pytest.mark.usefixtures("_two_threads")
def test_a_run_records_the_threads_that_it_used():
    tasks = [textured(seed, patients=12) for seed in range(3)]
    learner = create("protonet", input_spec=ImageInput(channels=1, size=20))
    used: list[int] = []
    settings = OuterSettings(steps=1, batch=BATCH)
    learner.meta_fit(tasks, settings=settings, report=lambda _: used.append(torch.get_num_threads()))
    assert set(used) == {1}
    assert learner.training_record is not None
    assert learner.training_record.threads == 1
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("_two_threads")
def test_adapting_to_small_work_uses_one_thread(monkeypatch):
    task = textured(1, patients=6)
    learner = create("protonet", input_spec=ImageInput(channels=1, size=20))
    used: list[int] = []
    adapt_one = learner.adapt_one
    monkeypatch.setattr(
        learner, "adapt_one", lambda *support: used.append(torch.get_num_threads()) or adapt_one(*support)
    )
    learner.adapt(collate([draw_episode(task, shots=2, rng=np.random.default_rng(0))], learner.input_spec).support)
    assert used == [1]
