"""The columns of a manifest: taken by their usual names, chosen, or said to be missing."""

from pathlib import Path

import pytest
from small_tasks import textured, write_images, write_manifest

from medshot.errors import InputError
from medshot.tasks import Task, load_tasks, read_images
from medshot.tasks.likeness import looks_like_patients

TASK = textured(1, patients=4)
PATIENTS = list("aabbccdd")


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    write_images(TASK, tmp_path)
    return tmp_path


def written(folder: Path, header: list[str], *columns: list[str]) -> Path:
    """Write a manifest of the images, their classes and more columns."""
    images = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    rows = zip(images, (image.partition("/")[0] for image in images), *columns, strict=True)
    return write_manifest(folder / "task.csv", [header, *rows])


def loaded(path: Path, **options: object) -> Task:
    (task,) = load_tasks(path, **options)
    return task


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        load_tasks(path, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "patient_id",
        "PatientID",
        "Patient",
        "PATIENT ID",
        "subject",
        "Subject-Id",
        "mrn",
        "MRN",
        "participant_id",
        "pid",
    ],
)
def test_a_column_of_patients_is_taken_under_its_usual_names(ward, name):
    task = loaded(written(ward, ["image", "label", name], PATIENTS))
    assert task.patients.tolist() == PATIENTS
    assert task.remarks == (f"Patients are taken from the column '{name}'.",)


def test_the_column_patient_comes_first_and_the_other_is_said(ward):
    task = loaded(written(ward, ["image", "label", "mrn", "Patient ID"], list("01234567"), PATIENTS))
    assert task.patients.tolist() == PATIENTS
    assert "from the column 'Patient ID', not from 'mrn'; --patient COLUMN chooses" in task.remarks[0]
    task = loaded(written(ward, ["image", "label", "mrn", "patient"], list("01234567"), PATIENTS))
    assert task.patients.tolist() == PATIENTS
    assert task.remarks == ()


def test_columns_can_be_chosen(ward):
    path = written(ward, ["file", "diagnosis", "who", "patient"], PATIENTS, list("01234567"))
    task = loaded(path, image="file", label="diagnosis", patient="who")
    assert task.patients.tolist() == PATIENTS
    assert task.remarks == ()
    assert len(read_images(path, image="file")[""]) == 8


def test_image_and_label_may_have_capitals(ward):
    assert len(loaded(written(ward, [" Image", "LABEL"]))) == 8
    assert len(loaded(written(ward, ["Image:T1", "Label"]))) == 8


def test_only_the_missing_column_is_named_and_those_there_are_listed(ward):
    path = written(ward, ["file", "diagnosis", "mrn"], PATIENTS)
    sentence = refusal(path, label="diagnosis")
    assert "has no column 'image' in its first line, which has file, diagnosis, mrn; choose with --image" in sentence
    assert "--table" in sentence
    assert "has no column 'label' in" in refusal(path, image="file")
    assert "has no columns 'image' and 'label' in" in refusal(path)
    sentence = refusal(path, image="file", label="diagnosis", patient="subject")
    assert (
        "has no column 'subject' in its first line, which has file, diagnosis, mrn; choose with --patient" in sentence
    )


def test_a_manifest_without_patients_says_that_every_image_is_a_patient(ward):
    (remark,) = loaded(written(ward, ["image", "label"])).remarks
    assert remark.startswith("task.csv has no column 'patient': every image counts as a patient of its own")


def test_a_column_that_looks_like_patients_is_said(ward):
    remarks = loaded(written(ward, ["image", "label", "Fallnummer"], [f"F-{name}1" for name in PATIENTS])).remarks
    assert "The column 'Fallnummer' looks like patients but is not used" in remarks[0]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("case_no", "1122334455", True),
        ("xyz", ["P01", "P02", "P03", "P04", "P05"] * 2, True),
        ("xyz", ["20019", "30571", "30999", "48812", "59001"] * 2, True),
        ("k", "1122334455", True),
        ("k", "1234512345", False),
        ("age", ["50", "51", "52", "53", "54"] * 2, False),
        ("case_status", "0101010101", False),
        ("site", ["H1", "H2", "H3", "H4", "H5"] * 2, False),
        ("id", "0123456789", False),
        ("lesion", ["nodule", "mass", "cyst", "scar", "clip"] * 2, False),
    ],
)
def test_what_looks_like_patients(name, values, expected):
    assert looks_like_patients(name, list(values), list("xyxyxyxyxy")) is expected


def test_no_column_of_a_real_manifest_that_names_its_patients_looks_like_more(shared_data):
    for path in sorted(shared_data.glob("*/task.csv")):
        if "label" in path.read_text(encoding="utf-8-sig").split("\n", 1)[0].split(","):
            assert not any("looks like patients" in remark for remark in loaded(path).remarks), path


@pytest.mark.parametrize("name", ["images\\a.png", ".\\images\\a.png", "images/a.png"])
def test_paths_of_windows_are_read(ward, name):
    (ward / "images").mkdir()
    for image, number in zip(sorted(ward.rglob("*.png")), "abcdefgh", strict=True):
        image.rename(ward / "images" / f"{number}.png")
    names = [name, *(f"images\\{number}.png" for number in "bcdefgh")]
    rows = [["image", "label"], *zip(names, "xyxyxyxy", strict=True)]
    path = write_manifest(ward / "study.csv", rows)
    assert [image.name for image in loaded(path).images.paths] == [f"{number}.png" for number in "abcdefgh"]
    twice = write_manifest(ward / "study.csv", [*rows, ["images/b.png", "x"]])
    assert "line 10 names images/b.png a second time (first on line 3)" in refusal(twice)
    drive = write_manifest(ward / "study.csv", [["image", "label"], ["C:\\data\\images\\a.png", "x"], ["b", "y"]])
    sentence = refusal(drive)
    assert "is a path of another computer's drive and does not exist here; images/a.png does" in sentence


def test_an_image_named_in_two_ways_is_named_twice(ward):
    name = next(ward.rglob("*.png"))
    for other in (str(name), f"./{name.relative_to(ward)}", f"../{ward.name}/{name.relative_to(ward)}"):
        rows = [["image", "label"], [str(name.relative_to(ward)), "x"], [other, "y"]]
        assert "a second time (first on line 2)" in refusal(write_manifest(ward / "study.csv", rows))


def test_a_file_with_a_backslash_in_its_name_is_that_file(ward):
    images = sorted(ward.rglob("*.png"))
    images[0].rename(ward / "a\\b.png")
    path = write_manifest(ward / "study.csv", [["image", "label"], ["a\\b.png", "x"], [str(images[1]), "y"]])
    assert loaded(path).images.paths[0].name == "a\\b.png"


@pytest.mark.parametrize(
    ("encoding", "remark"),
    [
        ("utf-16", "task.csv is UTF-16 text and was read as that."),
        ("latin-1", "task.csv is not UTF-8 and was read as Latin-1"),
        ("cp1252", "task.csv is not UTF-8 and was read as Latin-1"),
    ],
)
def test_tables_of_excel_are_read_in_their_encoding(ward, encoding, remark):
    text = (
        written(ward, ["image", "label"])
        .read_text()
        .replace(",direction 0", ",größe")
        .replace(",direction 1", ",à côté")
    )
    (ward / "task.csv").write_bytes(text.encode(encoding))
    task = loaded(ward)
    assert task.classes == ("größe", "à côté")
    assert task.remarks[0].startswith(remark)
