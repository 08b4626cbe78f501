"""The data sets of a folder: none is taken for a class of another, and mixtures are refused."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from small_tasks import textured, write_images, write_manifest, write_volumes

from medshot.errors import InputError
from medshot.tasks import load_tasks
from medshot.tasks.columns import DataOptions
from medshot.tasks.searching import TaskLocation, found_tasks

TASK = textured(1, patients=3)


def medmnist(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8)
    np.savez(path, train_images=images, train_labels=np.array([[0], [1], [0], [1]]))


def manifest(folder: Path, name: str = "task.csv") -> Path:
    """Write a manifest of the images in the class folders of `folder`."""
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*.png"))
    return write_manifest(folder / name, [("image", "label"), *((str(path), path.parts[0]) for path in paths)])


def found(path: Path) -> list[str]:
    return [location.name for location in found_tasks(path)]


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_tasks(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_each_archive_is_a_task_of_its_own(tmp_path):
    for name in ("breast", "pneumonia"):
        medmnist(tmp_path / name / f"{name}.npz")
    assert [(task.name, task.classes) for task in load_tasks(tmp_path)] == [
        ("breast", ("0", "1")),
        ("pneumonia", ("0", "1")),
    ]


def test_volumes_in_archives_are_images_of_their_class_folder(tmp_path):
    volumes = textured(1, patients=2, size=12, depth=10)
    for name in ("ill", "well"):
        write_volumes(volumes, tmp_path / name)
    (task,) = load_tasks(tmp_path)
    assert task.classes == ("ill", "well")
    assert task.images.axes == 3


@pytest.mark.parametrize("name", ["task.csv", "study.csv"])
def test_a_folder_with_a_manifest_is_no_class(tmp_path, name):
    for folder in ("first", "second"):
        for place in write_images(TASK, tmp_path / folder):
            path = tmp_path / folder / place
            path.rename(tmp_path / folder / f"{path.parent.name} {path.name}")
        images = sorted(path.name for path in (tmp_path / folder).glob("*.png"))
        rows = [(image, image.rpartition(" ")[0]) for image in images]
        write_manifest(tmp_path / folder / name, [("image", "label"), *rows])
    assert found(tmp_path) == (["first", "second"] if name == "task.csv" else ["study", "study"])
    assert all(len(task) == 6 for task in load_tasks(tmp_path))


@pytest.mark.parametrize("other", ["archive", "manifest", "class folders"])
def test_class_folders_beside_a_data_set_are_refused(tmp_path, other):
    write_images(TASK, tmp_path)
    if other == "archive":
        medmnist(tmp_path / "breast" / "breast.npz")
    else:
        write_images(textured(2, patients=3), tmp_path / "more")
    if other == "manifest":
        manifest(tmp_path / "more")
    sentence = refusal(tmp_path)
    assert "class folders of images ('direction 0', 'direction 1') beside the data set" in sentence
    assert ("breast/breast.npz" if other == "archive" else "more") in sentence


def test_a_manifest_beside_class_folders_is_given_by_itself_or_renamed(tmp_path):
    write_images(TASK, tmp_path / "ward")
    path = manifest(tmp_path / "ward", "study.csv")
    assert "give study.csv by itself, or rename it to task.csv" in refusal(tmp_path / "ward")
    assert found(path) == ["study"]
    path.rename(path.with_name("task.csv"))
    assert found(tmp_path / "ward") == ["ward"]


def test_the_one_folder_of_images_beside_a_manifest_is_the_manifest_s(tmp_path):
    (tmp_path / "images").mkdir()
    for number, place in enumerate(write_images(TASK, tmp_path)):
        (tmp_path / place).rename(tmp_path / "images" / f"{number}.png")
    rows = [(f"images/{number}.png", "ill" if number % 2 else "well") for number in range(6)]
    write_manifest(tmp_path / "labels.csv", [("image", "label"), *rows])
    for folder in ("direction 0", "direction 1"):
        (tmp_path / folder).rmdir()
    assert found(tmp_path) == ["labels"]


def test_masks_within_a_class_folder_are_no_data_set(tmp_path):
    write_images(TASK, tmp_path)
    for name in ("direction 0", "direction 1"):
        (tmp_path / name / "masks").mkdir()
        (tmp_path / name / "masks" / "0.png").write_bytes(next((tmp_path / name).glob("*.png")).read_bytes())
    assert len(load_tasks(tmp_path)[0]) == 6


def test_images_beside_class_folders_within_a_class_folder_are_refused(tmp_path):
    write_images(TASK, tmp_path / "a")
    write_images(TASK, tmp_path)
    (tmp_path / "a" / "overview.png").write_bytes(next(tmp_path.rglob("*.png")).read_bytes())
    assert "beside the data set" in refusal(tmp_path)
    assert found(tmp_path / "a") == ["a"]


def test_a_manifest_without_the_label_is_no_data_set(tmp_path):
    write_images(TASK, tmp_path / "ward")
    write_manifest(tmp_path / "ward" / "list.csv", [("image", "grade")])
    (location,) = found_tasks(tmp_path / "ward")
    assert isinstance(location, TaskLocation)
    assert list(location.class_folders) == ["direction 0", "direction 1"]
    assert "'list.csv'" not in refusal(tmp_path / "ward" / "list.csv")
    with pytest.raises(InputError, match=r"beside the data set list\.csv"):
        found_tasks(tmp_path / "ward", DataOptions(label="grade"))


def test_of_real_data_sets_side_by_side_none_becomes_a_class(shared_data):
    for folder in sorted(path for path in shared_data.iterdir() if path.is_dir()):
        with suppress(InputError):  # some are single images, and some hold none
            locations = found_tasks(folder)
            assert all(location.class_folders is None or location.path == folder for location in locations)
    assert "beside the" in refusal(shared_data)
