"""Labels that differ only in how they are written: found and said, joined only if that is asked for."""

from pathlib import Path

import pytest
from small_tasks import textured, write_images, write_manifest

from medshot.tasks import load_tasks
from medshot.tasks.spelling import alike, joined, label_remarks

ALIKE = [
    ("Normal", "normal"),
    ("lung cancer", "lung  cancer"),
    ("lung cancer", "lung\u00a0cancer"),
    ("größe", "gro\u0308ße"),
    ("straße", "STRASSE"),
    ("ill", "ill\u200b"),
    ("ill", "\ufeffill"),
    ("1", "1.0"),
    ("12", "12.00"),
    ("ﬁbrosis", "fibrosis"),
]
DIFFERENT = [("1", "01"), ("1", "10"), ("1.5", "1"), ("ill", "well"), ("a-b", "ab"), ("grade 1", "grade 1.5")]


@pytest.mark.parametrize("names", ALIKE)
def test_names_that_differ_only_in_how_they_are_written(names):
    assert alike(names) == [sorted(names)]
    (remark,) = label_remarks(names)
    assert "\u200b" not in remark
    assert joined([names[0], names[1], names[1]]) == [names[1]] * 3


@pytest.mark.parametrize("names", DIFFERENT)
def test_names_that_differ(names):
    assert alike(names) == []
    assert label_remarks(names) == []


@pytest.mark.parametrize("word", ["nan", "NA", "None", "N/A", "NULL"])
def test_words_for_a_missing_value_are_found(word):
    (remark,) = label_remarks(["ill", word])
    assert f"'{word}' is how programs write a missing value" in remark
    assert label_remarks(["ill", "none"]) == []


def test_labels_are_joined_only_if_that_is_asked_for(tmp_path):
    images = write_images(textured(1, patients=4), tmp_path)
    labels = ["Normal", "normal", "normal", "nan", "1", "1.0", "1", "1"]
    path = write_manifest(tmp_path / "task.csv", [["image", "label"], *zip(images, labels, strict=True)])
    (task,) = load_tasks(path)
    assert task.classes == ("1", "1.0", "Normal", "nan", "normal")
    assert "'1' and '1.0'; 'Normal' and 'normal'" in task.remarks[0]
    assert "'nan' is how programs write a missing value" in task.remarks[1]
    (task,) = load_tasks(path, join_labels=True)
    assert task.classes == ("1", "normal")
    assert [len(members) for members in task.members] == [4, 3]
    assert task.dropped == 1
    assert "2 labels were joined" in task.remarks[0]


def test_class_folders_that_differ_by_capitals(tmp_path):
    for name in ("Normal", "normal", "ill"):
        write_images(textured(len(name), patients=1), tmp_path / name)
        for path in sorted((tmp_path / name).rglob("*.png")):
            path.rename(tmp_path / name / f"{path.parent.name}.png")
        for folder in filter(Path.is_dir, (tmp_path / name).iterdir()):
            folder.rmdir()
    (task,) = load_tasks(tmp_path)
    assert len(task.classes) == 3
    assert "'Normal' and 'normal'" in task.remarks[0]
    (task,) = load_tasks(tmp_path, join_labels=True)
    assert len(task.classes) == 2


def test_patients_that_differ_only_in_how_they_are_written_are_said(tmp_path):
    images = write_images(textured(1, patients=1), tmp_path)
    rows = [["image", "label", "patient"], [images[0], "x", "P1"], [images[1], "y", "p1"]]
    (task,) = load_tasks(write_manifest(tmp_path / "task.csv", rows))
    assert "count as several: 'P1' and 'p1'" in task.remarks[0]
