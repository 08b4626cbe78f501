"""The evaluation: the same episodes for all learners, refused if its scores would be too good."""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from small_learners import tiny
from small_tasks import SHAPE, textured

from medshot.errors import InputError, TooFewPatients
from medshot.evaluation import Protocol, evaluate, leave_out_training_images
from medshot.imaging import ArrayImages
from medshot.learners import Learner, load_learner
from medshot.simulated import simulate
from medshot.tasks import Task, training_images

PROTOCOL = Protocol(shots=(1, 2), episodes=3, queries=4, seed=7, baseline="nearest")


class Nearest(Learner):
    """A learner that recognises a class by its brightness."""

    name = "nearest"
    summary = "brightness"
    paper = "none"

    def adapt_one(self, support, randomness):
        brightness = support.images.mean((1, 2, 3))
        means = [brightness[support.labels == c].mean() for c in range(support.ways)]
        return {"means": torch.stack(means)}

    def predict_one(self, adapted, images):
        return -1000 * (images.mean((1, 2, 3))[:, None] - adapted["means"]).abs()


class Never(Nearest):
    def adapt_one(self, support, randomness):
        raise AssertionError("a learner ran before everything was checked")


def nearest(kind: type[Nearest] = Nearest) -> Nearest:
    learner = kind(SHAPE)
    learner.batchable = False
    return learner


def bright(classes: int = 3, patients: int = 6) -> Task:
    """Return a task whose classes differ in brightness."""
    labels = np.arange(classes * patients) % classes
    images = np.broadcast_to((40 + 60 * labels)[:, None, None], (len(labels), 20, 20)).astype(np.uint8)
    images[:, 0, 0] = np.arange(len(labels))  # identical images are those of one person
    names = tuple(f"brightness {c}" for c in range(classes))
    return Task("lamps", ArrayImages(images), labels, names, np.arange(len(labels)) + 100)


def run(learners, tasks, protocol=PROTOCOL, **options):
    return evaluate(learners, tasks, protocol, show=False, **options)


def test_columns_are_in_the_order_of_the_tasks_classes():
    task = bright()
    results, cells = run({"nearest": nearest()}, [task])
    assert {episode.classes for cell in cells for episode in cell.episodes} != {(0, 1, 2)}
    for cell in cells:
        for predicted in cell.predictions["nearest"]:
            assert np.array_equal(predicted.probabilities.argmax(1), predicted.labels)
            assert np.array_equal(predicted.labels, task.labels[predicted.images])
            assert np.array_equal(task.patient_codes[predicted.images], predicted.patients)
    assert [row.balanced_accuracy.value for row in results.rows] == [1.0, 1.0]


def test_all_learners_get_the_same_episodes_regardless_of_the_others():
    tasks = [textured(0), textured(1)]
    learners = {
        "nearest": nearest(),
        "metal": tiny("metal", doubles=False),
        "logistic": tiny("logistic", doubles=False),
    }
    _, together = run(learners, tasks)
    _, alone = run({"nearest": nearest()}, tasks)
    assert [(cell.task.name, cell.shots) for cell in together] == [
        (task.name, shots) for task in tasks for shots in (1, 2)
    ]
    for cell, other in zip(together, alone, strict=True):
        assert list(cell.predictions) == list(learners)
        for episode, same in zip(cell.episodes, other.episodes, strict=True):
            assert np.array_equal(episode.support, same.support)
            assert not set(episode.support) & set(episode.query)
        for predicted in cell.predictions.values():
            for each, reference in zip(predicted, other.predictions["nearest"], strict=True):
                assert np.array_equal(each.images, reference.images)
                assert np.array_equal(each.labels, reference.labels)


def test_another_seed_draws_other_episodes():
    drawn = [
        [
            episode.support.tolist()
            for cell in run({"nearest": nearest()}, [bright()], protocol)[1]
            for episode in cell.episodes
        ]
        for protocol in (PROTOCOL, Protocol(shots=(1, 2), episodes=3, seed=8, baseline="nearest"))
    ]
    assert drawn[0] != drawn[1]


def test_the_metadata_suffice_to_reproduce_the_results():
    results, _ = run({"nearest": nearest()}, [bright()], command="medshot evaluate lamps --seed 7")
    assert results.metadata.seed == 7
    assert results.metadata.command == "medshot evaluate lamps --seed 7"
    assert [(row.shots, row.episodes, row.ways) for row in results.rows] == [(1, 3, 3), (2, 3, 3)]
    assert all(row.adapt_seconds >= 0 for row in results.rows)
    again, _ = run({"nearest": nearest()}, [bright()])
    assert [row.balanced_accuracy for row in again.rows] == [row.balanced_accuracy for row in results.rows]


class OnOneDevice(Nearest):
    """A learner that refuses images on another device than its parameter; its predictions are constant."""

    def __init__(self, shape):
        super().__init__(shape)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def adapt_one(self, support, randomness):
        assert support.images.device == self.weight.device
        return {"means": torch.zeros(support.ways)}

    def predict_one(self, adapted, images):
        assert images.device == self.weight.device
        return torch.zeros(len(images), len(adapted["means"]))


def test_evaluate_moves_learners_to_the_device_and_otherwise_runs_them_where_they_are():
    learner = nearest(OnOneDevice)
    for device in (torch.device("meta"), None):
        results, _ = run({"nearest": learner}, [bright()], device=device)
        assert learner.weight.device.type == "meta"
        assert len(results.rows) == 2


def test_numbers_of_shots_without_patients_are_left_out_and_named():
    """A task gets the numbers that it has patients for, or else the largest one; other tasks keep all of theirs."""
    both = Protocol((1, 3), 2, baseline="nearest")
    results, cells = run({"nearest": nearest()}, [textured(0), bright(patients=3)], both)
    assert [(cell.task.name, cell.shots) for cell in cells] == [("textures 0", 1), ("textures 0", 3), ("lamps", 1)]
    assert results.metadata.notes == [
        "Task 'lamps' is not evaluated at 3 shots, because class 'brightness 0' has 3 patients for support and query."
    ]
    results, cells = run({"nearest": nearest()}, [bright(patients=3)], Protocol((5, 10), 2, baseline="nearest"))
    assert [cell.shots for cell in cells] == [2]
    assert "not evaluated at 5 and 10 shots" in results.metadata.notes[0]
    assert "it is evaluated at 2 instead, the most that there are" in results.metadata.notes[0]


def test_a_task_without_patients_for_any_episode_is_left_out_or_refused_if_it_is_the_only_one():
    results, cells = run({"nearest": nearest()}, [textured(0), bright(patients=1)])
    assert {cell.task.name for cell in cells} == {"textures 0"}
    assert "so it is left out" in results.metadata.notes[0]
    with pytest.raises(TooFewPatients, match=r"Class 'brightness \d' of task 'lamps' has 1 patient"):
        run({"nearest": nearest(Never)}, [bright(patients=1)])


@pytest.mark.parametrize(
    "wrong", [{"shots": ()}, {"shots": (0, 1)}, {"shots": (5, 5)}, {"episodes": 0}, {"queries": 0}, {"seed": -1}]
)
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=f"^{next(iter(wrong))} is "):
        Protocol(**wrong)


def test_a_missing_baseline_is_refused():
    with pytest.raises(InputError, match="baseline 'logistic' is not among nearest"):
        run({"nearest": nearest(Never)}, [bright()], Protocol())


def test_a_task_given_twice_is_refused_as_it_would_count_as_two():
    with pytest.raises(InputError, match="Two tasks are named 'lamps'"):
        run({"nearest": nearest(Never)}, [bright(), bright()])


def same(pixels: np.ndarray) -> np.ndarray:
    return pixels


def as_jpeg(pixels: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))


def resized(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA)


SIZE = 96
SEEN, UNSEEN = (simulate("chest", seed=seed, patients=4, size=SIZE) for seed in (1, 2))


def with_one_image_of_the_training(change) -> Task:
    images = list(UNSEEN.images.array)
    images[3] = SEEN.images.array[5]
    changed = [change(image) for image in images]
    return Task("test", ArrayImages(np.stack(changed)), UNSEEN.labels, UNSEEN.classes, UNSEEN.patients)


def trained() -> Nearest:
    learner = nearest(Never)
    learner.input_spec = type(SHAPE)(channels=1, size=64)
    learner.training_images = training_images([SEEN], learner.input_spec)
    return learner


@pytest.mark.parametrize(("change", "identical"), [(same, 1), (as_jpeg, 0), (resized, 0)])
def test_a_test_image_that_was_trained_on_is_refused_even_if_changed(change, identical):
    task = with_one_image_of_the_training(change)
    with pytest.raises(InputError, match=rf"'test' shares 1 of its 8 images .* \({identical} identical"):
        run({"nearest": trained()}, [task])


def test_patients_with_training_images_are_left_out_on_request():
    task = with_one_image_of_the_training(as_jpeg)
    patients = np.array(UNSEEN.patients)
    patients[2] = patients[3]
    (kept,), (sentence,) = leave_out_training_images([trained()], [replace(task, patients=patients)])
    assert len(kept) == len(task) - 2
    assert patients[3] not in kept.patients
    assert "'test': 2 of 8 images are left out: 'nearest' was meta-trained on 1 of them" in sentence
    assert leave_out_training_images([trained()], [UNSEEN]) == ([UNSEEN], [])


def test_a_task_that_loses_a_class_is_left_out_and_the_last_one_refused():
    kept, (sentence,) = leave_out_training_images([trained()], [SEEN, UNSEEN])
    assert kept == [UNSEEN]
    assert "the task is left out" in sentence
    with pytest.raises(InputError, match="No task is left"):
        leave_out_training_images([trained()], [SEEN])


def test_identical_images_are_refused_before_anything_is_computed_from_pixels(monkeypatch):
    monkeypatch.setattr("medshot.evaluation.overlap.near_duplicates", lambda *_: pytest.fail("pixels were compared"))
    with pytest.raises(InputError, match=r"shares 8 of its 8 images .* \(8 identical\)"):
        run({"untrained": nearest(Never), "nearest": trained()}, [SEEN])


def test_other_images_are_not_refused():
    with pytest.raises(AssertionError, match="a learner ran"):
        run({"nearest": trained()}, [UNSEEN])


def test_a_learner_loaded_from_its_run_folder_keeps_its_training_images(tmp_path):
    task = textured(0, patients=8)
    learner = tiny("metal", doubles=False)
    learner.training_images = training_images([task], SHAPE)
    learner.save(tmp_path / "run")
    back = load_learner(tmp_path / "run")
    with pytest.raises(InputError, match="16 identical"):
        run({"metal": back}, [task], Protocol((1,), 1, baseline="metal"))
