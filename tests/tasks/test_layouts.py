"""Folders of classes, of patients, and of both: which is which, and what is left out."""

from pathlib import Path

import pytest
from PIL import Image
from small_tasks import textured, write_images, write_manifest

from medshot.errors import InputError
from medshot.tasks import load_tasks
from medshot.tasks.layouts import are_patients, named_like_patients

PIXELS = textured(1, patients=40).images.array


def write(*paths: Path) -> None:
    """Write a different image to each path."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS[write.count % len(PIXELS)]).save(path)
        write.count += 1


write.count = 0


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        load_tasks(path, **options)
    return str(caught.value)


@pytest.mark.parametrize("inner", ["", "study 1/", "a/b/"])
def test_folders_within_class_folders_are_patients(tmp_path, inner):
    for name, patients in (("benign", range(0, 6, 2)), ("malignant", range(1, 6, 2))):
        write(*(tmp_path / name / f"p{patient:02}" / f"{inner}{k}.png" for patient in patients for k in range(2)))
    (task,) = load_tasks(tmp_path)
    assert task.classes == ("benign", "malignant")
    assert len(task) == 12
    assert sorted(set(task.patients)) == [f"p{number:02}" for number in range(6)]
    assert task.remarks == ("The 6 folders below the class folders are its patients.",)


def test_folders_of_patients_may_hold_the_class_folders(tmp_path):
    write(
        *(tmp_path / f"P{n}" / name / f"{k}.png" for n in range(4) for name in ("ill", "well")[n % 2 :] for k in (0, 1))
    )
    (task,) = load_tasks(tmp_path)
    assert task.classes == ("ill", "well")
    assert [len(members) for members in task.members] == [2, 4]
    assert all(image.parts[-3] == patient for image, patient in zip(task.images.paths, task.patients, strict=True))
    assert task.remarks == ("The 4 folders above the class folders are its patients.",)


def test_a_patient_with_images_of_two_classes_is_one(tmp_path):
    write(*(tmp_path / name / f"patient {n}" / "0.png" for name in ("before", "after") for n in range(3)))
    (task,) = load_tasks(tmp_path)
    assert len(set(task.patients)) == 3


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"benign": ["p00", "p02"], "malignant": ["p01"]}, True),
        ({"benign": ["0012", "0013"], "malignant": ["0991"]}, True),
        ({"benign": ["TCGA_CS_1"], "malignant": ["TCGA_DU_2"]}, True),
        ({"before": ["P1", "P2"], "after": ["P1", "P2"]}, True),
        ({"knee": ["0", "1", "2"], "hip": ["0", "1", "2"]}, False),
        ({"knee": ["grade1", "grade2"], "hip": ["grade3", "grade4"]}, False),
        ({"brain": ["glioma", "none"], "lung": ["cancer", "normal"]}, False),
        ({"first": ["direction 0", "direction 1"], "second": ["direction 0", "direction 1"]}, False),
        ({"benign": ["p00", "p02"]}, False),
    ],
)
def test_patients_are_told_from_classes_by_their_names(names, expected):
    assert are_patients(names) is expected


def test_data_sets_side_by_side_are_tasks_and_say_so(tmp_path):
    for name in ("knee", "hip"):
        write(*(tmp_path / name / label / f"{k}.png" for label in ("ill", "well") for k in range(2)))
    tasks = load_tasks(tmp_path)
    assert [task.name for task in tasks] == ["hip", "knee"]
    assert "a task of its own, and its 2 folders ('ill', 'well') classes" in tasks[0].remarks[0]
    assert "task of its own" not in " ".join(load_tasks(tmp_path / "hip")[0].remarks)


def test_what_is_left_out_of_class_folders_is_counted(tmp_path):
    for name in ("ill", "well"):
        write(*(tmp_path / name / f"{k}.png" for k in range(2)), tmp_path / name / "more" / "0.png")
        (tmp_path / name / "scan.xyz").write_bytes(b"no image")
    write(tmp_path / "overview.png")
    (tmp_path / "ill" / "Thumbs.db").write_bytes(b"")
    (task,) = load_tasks(tmp_path)
    assert len(task) == 4
    counts = ".xyz: 2, images in 'more': 2, images outside the classes: 1"
    assert task.remarks[0] == f"5 files are left out, because they are no image of a class ({counts})."


def test_one_level_beside_two_is_refused(tmp_path):
    write(
        *(tmp_path / "benign" / f"p{k}" / "0.png" for k in range(3)), *(tmp_path / "ill" / f"{k}.png" for k in range(3))
    )
    assert "or, if the folders in it are patients, sort the images of all classes" in refusal(tmp_path)


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    """Write a folder of patients, two images each, and a table of their diagnoses beside them."""
    folder = tmp_path / "hospital"
    write(*(folder / f"P{number:03}" / f"{k}.png" for number in range(6) for k in range(2)))
    rows = [[f"P{number:03}", "ill" if number % 2 else "well", str(50 + number)] for number in range(6)]
    write_manifest(folder / "labels.csv", [["PatientID", "diagnosis", "age"], *rows])
    return folder


def test_folders_of_patients_are_no_classes_if_a_table_lists_them(hospital):
    sentence = refusal(hospital)
    assert "6 folders that labels.csv lists in its column 'PatientID', so they are patients, not classes" in sentence
    assert f"give --table {hospital / 'labels.csv'} --label COLUMN (one of diagnosis, age)" in sentence


def test_a_table_beside_the_folder_is_found_too(hospital):
    text = (hospital / "labels.csv").read_text().replace(",", ";")
    (hospital / "labels.csv").unlink()
    table = hospital.parent / "clinic.csv"
    table.write_text(text)
    sentence = refusal(hospital)
    assert f"give --table {table} --label COLUMN (one of diagnosis, age)" in sentence
    (task,) = load_tasks(hospital, table=table, label="diagnosis")
    assert len(set(task.patients)) == 6


def test_patients_with_a_folder_for_each_study_are_no_tasks_if_a_table_lists_them(hospital):
    for number in range(6):
        write(*(hospital / f"P{number:03}" / f"study {k}" / "1.png" for k in range(2)))
        for image in (hospital / f"P{number:03}").glob("*.png"):
            image.unlink()
    assert "6 folders that labels.csv lists in its column 'PatientID'" in refusal(hospital)
    assert len(load_tasks(hospital, table="labels.csv", label="diagnosis")[0]) == 12


@pytest.mark.parametrize("table", ["labels.csv", "whole path"])
def test_a_table_of_patients_is_joined_with_their_folders(hospital, table):
    path = hospital / "labels.csv" if table == "whole path" else table
    (task,) = load_tasks(hospital, table=path, label="diagnosis")
    assert task.name == "hospital"
    assert task.classes == ("ill", "well")
    assert sorted(set(task.patients)) == [f"P{number:03}" for number in range(6)]
    assert all(image.parent.name == patient for image, patient in zip(task.images.paths, task.patients, strict=True))
    assert [task.classes[label] for label in task.labels[:4]] == ["well", "well", "ill", "ill"]
    assert task.remarks[0] == "12 images were joined with labels.csv by 'PatientID'."


def test_the_column_of_a_table_that_lists_the_folders_is_found_or_chosen(hospital):
    text = (hospital / "labels.csv").read_text()
    (hospital / "labels.csv").write_text(text.replace("PatientID", "Kennung"))
    (task,) = load_tasks(hospital, table="labels.csv", label="diagnosis")
    assert len(set(task.patients)) == 6
    assert "names none of the 12 images" in refusal(hospital, table="labels.csv", label="diagnosis", patient="age")


def test_what_a_table_and_its_folder_do_not_share_is_counted(hospital):
    text = (hospital / "labels.csv").read_text()
    (hospital / "labels.csv").write_text(text.replace("P003", "P999"))
    (task,) = load_tasks(hospital, table="labels.csv", label="diagnosis")
    assert len(task) == 10
    assert "2 images have no row in labels.csv and were left out: 'P003/0.png', 'P003/1.png'." in task.remarks
    assert "1 patients of labels.csv have no image: 'P999'." in task.remarks
    with (hospital / "labels.csv").open("a") as file:
        file.write("P001,well,51\n")
    assert "line 8 gives the patient another label than line 3" in refusal(
        hospital, table="labels.csv", label="diagnosis"
    )


def test_a_table_that_is_not_there_or_beside_no_folder_is_refused(hospital):
    assert "does not exist; check --table" in refusal(hospital, table="other.csv", label="diagnosis")
    assert "--table is for a folder" in refusal(hospital / "labels.csv", table="labels.csv")


def test_a_table_about_classes_leaves_class_folders_alone(tmp_path):
    write_images(textured(2, patients=3), tmp_path)
    write_manifest(tmp_path / "classes.csv", [["class", "count"], ["direction 0", "3"], ["direction 1", "3"]])
    assert len(load_tasks(tmp_path)[0]) == 6


def test_folders_named_like_patients_are_said_without_a_table(tmp_path):
    write(*(tmp_path / f"P{number:03}" / "0.png" for number in range(3)))
    assert "The 3 classes are named like patients ('P000', 'P001')." in load_tasks(tmp_path)[0].remarks
    assert named_like_patients(["1001", "1002"])
    assert not named_like_patients(["grade 1", "grade 2"])
    assert not named_like_patients(["0", "1", "2"])
