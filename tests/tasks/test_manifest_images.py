"""Manifests whose samples have several images, `image:NAME`; any of them may be missing."""

from pathlib import Path

import numpy as np
import pytest
from small_tasks import textured, write_images, write_manifest

from medshot.errors import InputError
from medshot.imaging import MISSING, FileImages, SeveralImages
from medshot.tasks import load_tasks, read_images, sample_images

HEADER = ("image:flair", "image:post", "label")


@pytest.fixture
def names(tmp_path: Path) -> list[str]:
    """Write sixteen pictures; return their paths in `tmp_path`."""
    return write_images(textured(1, patients=8), tmp_path)


def manifest(tmp_path: Path, *rows: tuple[str, ...], header: tuple[str, ...] = HEADER) -> Path:
    return write_manifest(tmp_path / "task.csv", [header, *rows])


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_tasks(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_empty_cell_is_a_missing_image(tmp_path, names):
    a, b, c, d = names[:4]
    (task,) = load_tasks(manifest(tmp_path, (a, b, "x"), ("", c, "x"), (d, " ", "y")))
    assert isinstance(task.images, SeveralImages)
    assert task.images.names == ("flair", "post")
    assert task.images.rows.tolist() == [[0, 0], [MISSING, 1], [1, MISSING]]
    assert [path.relative_to(tmp_path) for path in task.images.sources["flair"].paths] == [Path(a), Path(d)]
    assert [path.relative_to(tmp_path) for path in task.images.sources["post"].paths] == [Path(b), Path(c)]
    assert len(task) == len(set(task.hashes())) == len(set(task.patients)) == 3


def test_other_columns_keep_their_meaning(tmp_path, names):
    rows = [(names[0], names[1], "x", "p", "7"), (names[2], "", "y", "q", "7"), (names[3], "", "y", "r", "3")]
    path = manifest(tmp_path, *rows, header=(*HEADER, "patient", "site"))
    (task,) = load_tasks(path, keep={"site": ["7"]})
    assert task.patients.tolist() == ["p", "q"]


def test_a_column_without_any_image_is_no_image_of_the_task(tmp_path, names):
    (task,) = load_tasks(manifest(tmp_path, (names[0], "", "x"), (names[1], "", "y")))
    assert task.images.names == ("flair",)
    assert len(task.images) == 2


def test_one_named_column_that_is_full_is_a_task_of_single_images(tmp_path, names):
    header = ("image:flair", "label")
    (task,) = load_tasks(manifest(tmp_path, (names[0], "x"), (names[1], "y"), header=header))
    assert isinstance(task.images, FileImages)


def test_samples_that_share_an_image_are_of_one_patient_where_nothing_names_the_patients(tmp_path, names):
    a, b, c, d = names[:4]
    (tmp_path / "copy.png").write_bytes((tmp_path / b).read_bytes())
    (task,) = load_tasks(manifest(tmp_path, (a, b, "x"), ("copy.png", c, "y"), (d, "", "y")))
    first, second, third = task.patients
    assert first == second != third


def test_a_row_without_any_image_is_refused(tmp_path, names):
    assert "line 3 names no image" in refusal(manifest(tmp_path, (names[0], "", "x"), ("", " ", "y")))


def test_an_image_that_is_twice_in_a_column_is_refused(tmp_path, names):
    sentence = refusal(manifest(tmp_path, (names[0], names[1], "x"), (names[2], names[1], "y")))
    assert f"line 3 names {names[1]} a second time (first on line 2)" in sentence


def test_missing_files_are_counted_among_the_images_that_are_named(tmp_path, names):
    sentence = refusal(manifest(tmp_path, (names[0], "", "x"), ("gone.png", names[1], "y")))
    assert "gone.png" in sentence
    assert "1 of 3 images are missing" in sentence


def test_named_and_unnamed_images_side_by_side_are_refused(tmp_path, names):
    path = manifest(tmp_path, (names[0], names[1], "x"), header=("image", "image:post", "label"))
    assert "'image' beside columns 'image:NAME'" in refusal(path)


def test_images_are_read_without_labels_too(tmp_path, names):
    path = manifest(tmp_path, (names[0], ""), (names[1], names[2]), header=("image:flair", "image:post"))
    images = read_images(path)
    assert images == {"flair": [tmp_path / names[0], tmp_path / names[1]], "post": [None, tmp_path / names[2]]}
    np.testing.assert_array_equal(sample_images(images).rows, [[0, MISSING], [1, 0]])


@pytest.mark.parametrize("delimiter", ";\t|")
def test_images_without_labels_may_be_delimited_by_any_character(tmp_path, names, delimiter):
    rows = [("image:flair", "label"), (names[0], "x"), (names[1], "")]
    path = write_manifest(tmp_path / "task.csv", rows, delimiter)
    assert read_images(path) == {"flair": [tmp_path / names[0], tmp_path / names[1]]}
