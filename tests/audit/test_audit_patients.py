"""What the check finds on whose images they are, and on labels that differ only in how they are written."""

import pytest
from audit_data import found, harms, named, smooth, two, write_data
from PIL import Image

from medshot.audit import audit
from medshot.errors import InputError
from medshot.tasks import load_tasks

PATIENTS = [f"p{number // 4}" for number in range(40)]


@pytest.mark.parametrize("name", ["patient_id", "PatientID", "mrn", "Subject"])
def test_patients_under_their_usual_names_are_taken(tmp_path, name):
    data = write_data(tmp_path / "set", smooth(1, 40), two(40), **{name: PATIENTS})
    verdict = audit(data).verdict
    assert verdict.tasks[0].patients == 10 == len(set(load_tasks(data)[0].patients))
    assert verdict.remarks == [f"set: Patients are taken from the column '{name}'."]
    assert "patients-unnamed" not in {finding.name for finding in verdict.findings}


def test_a_column_that_looks_like_patients_and_is_not_used_is_harmful(tmp_path):
    data = write_data(tmp_path / "set", smooth(2, 40), two(40), case_no=PATIENTS, site=["a", "b", "c", "d"] * 10)
    findings = found(data)
    assert "patient-column-unused" in harms(findings)
    assert "'case_no' looks like patients (10 values for 40 images)" in findings["patient-column-unused"].sentence
    assert "every image counts as a patient of its own" in findings["patients-unnamed"].sentence
    assert "patient-column-unused" not in found(data, patient="case_no")
    assert found(data, patient="case_no")["patients-in-several-classes"].numbers["of"] == 10


def test_a_used_column_that_parts_the_patients_of_another_is_harmful(tmp_path):
    data = write_data(tmp_path / "set", smooth(3, 40), two(40), patient=named(40), mrn=PATIENTS)
    assert "patient-column-unused" in harms(found(data))
    assert "patient-column-unused" not in found(data, patient="mrn")


@pytest.mark.parametrize("labels", [["Normal", "normal", "ill", "ill"], ["1", "1.0", "0", "0"], ["a", "b", "nan", "a"]])
def test_labels_written_differently_are_doubtful(tmp_path, labels):
    data = write_data(tmp_path / "set", smooth(4, 40), labels * 10, patient=named(40))
    (finding,) = [finding for finding in found(data).values() if finding.name.startswith("labels-")]
    assert finding.harm == "doubtful"
    assert "--join-labels" in finding.advice
    assert not any(name.startswith("labels-") for name in found(data, join_labels=True))
    (counts,) = audit(data, join_labels=True).verdict.tasks
    assert len(counts.classes) == 2 == len(load_tasks(data, join_labels=True)[0].classes)


def test_patients_written_differently_are_doubtful(tmp_path):
    data = write_data(tmp_path / "set", smooth(5, 40), two(40), patient=["P1", "p1", *named(40)[2:]])
    assert found(data)["patients-written-differently"].harm == "doubtful"


def test_classes_that_are_patients_are_harmful_and_left_out_files_are_counted(tmp_path):
    for number, image in enumerate(smooth(6, 12)):
        folder = tmp_path / "set" / f"P{number // 3:03}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")
        (folder / f"{number}.avif").write_bytes(b"an image of another format")
    findings = found(tmp_path / "set")
    assert "classes-are-patients" in harms(findings)
    assert findings["left-out-files"].harm == "doubtful"
    assert findings["left-out-files"].numbers == {".avif": 12}


def test_a_path_on_a_drive_of_windows_is_explained(tmp_path):
    data = write_data(tmp_path / "set", smooth(7, 40), two(40), patient=named(40))
    text = (data / "task.csv").read_text()
    (data / "task.csv").write_text(text.replace("0003.png", "C:\\set\\0003.png").replace("0004.png", ".\\0004.png"))
    (example,) = found(data)["unreadable"].examples
    assert example.caption == (
        "is a path of another computer's drive and does not exist here; 0003.png does, so remove what is before it"
    )


def test_a_split_is_found_in_any_capitals(tmp_path):
    splits = {"Split": ["train", "test"] * 20}
    data = write_data(tmp_path / "set", smooth(8, 40), two(40), Patient=PATIENTS, **splits)
    assert "patients-across-splits" in harms(found(data))


def test_one_table_is_for_one_folder(tmp_path):
    with pytest.raises(InputError, match="--table labels the patients of one folder"):
        audit([tmp_path, tmp_path], table="labels.csv")
