"""The traps in real sets, as the README of ../shared/data lists them, are found."""

import csv
import shutil
from pathlib import Path

import pytest
from audit_data import found, harms
from small_tasks import write_manifest

from medshot.audit import audit

pytestmark = pytest.mark.slow


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "task.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def split_by_folder(source: Path, target: Path, **patients: bool) -> Path:
    """Write the published form of a set: its split is the first part of each path."""
    rows = [["image", "label", "patient", "split"]]
    for row in rows_of(source):
        rows.append([str(source / row["image"]), row["label"], row["patient"], Path(row["image"]).parts[0]])
    return write_manifest(target, rows)


def test_patients_of_nih_across_its_split(shared_data, tmp_path):
    finding = found(split_by_folder(shared_data / "cxr_nih1000", tmp_path / "nih.csv"))["patients-across-splits"]
    assert finding.harm == "harmful"
    assert {name: finding.numbers[name] for name in ("test and train", "train and valid", "test and valid")} == {
        "test and train": 8,
        "train and valid": 15,
        "test and valid": 9,
    }


def test_near_duplicates_of_brain_slices_across_its_split(shared_data, tmp_path):
    findings = found(split_by_folder(shared_data / "brain_mri_4class", tmp_path / "brain.csv"))
    assert {"near-copies-across-splits", "patients-across-splits"} <= harms(findings)
    assert findings["near-copies-across-splits"].numbers["images"] > 100


def test_copies_of_ecg_pages(shared_data, tmp_path):
    source = shared_data / "ecg_12lead_images"
    rows = rows_of(source)
    for number, row in enumerate(rows):
        target = tmp_path / "ecg" / row["label"]
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / row["image"], target / f"{number}.jpg")
        if number < 437:  # as published: 928 files
            shutil.copyfile(source / row["image"], target / f"{number} copy.jpg")
    finding = found(tmp_path / "ecg")["exact-copies"]
    assert (finding.harm, finding.numbers["copies"], finding.numbers["byte_identical"]) == ("harmful", 437, 437)
    assert finding.numbers["images"] == 928


def test_colour_and_ages_of_spine_films(shared_data):
    findings = found(shared_data / "spine_xray_scoliosis")
    assert "shortcut-colour" in harms(findings)
    assert findings["coloured-marks"].numbers["images"] >= 4
    assert "'normal' 0 %" in findings["mixed-colour"].sentence
    assert findings["age-and-sex-in-file-names"].harm == "doubtful"


def test_kermany_and_pneumoniamnist_are_the_same_films(shared_data):
    places = [shared_data / "cxr_pneumonia_kermany", shared_data / "pneumoniamnist"]
    findings = audit(places).verdict.findings
    (shared,) = [finding for finding in findings if finding.name == "shared-by-tasks"]
    assert shared.harm == "harmful"
    assert shared.numbers["here"] > 950  # of 1,050
    of_kermany = [f for f in findings if f.name == "patients-in-several-classes" and "kermany" in f.task]
    assert of_kermany[0].numbers["patients"] == 71
    assert "'bacteria' and 'virus'" in of_kermany[0].sentence


def test_mednist_and_nih_share_films(shared_data):
    findings = audit([shared_data / "medical_mnist_6class", shared_data / "cxr_nih1000"]).verdict.findings
    (shared,) = [finding for finding in findings if finding.name == "shared-by-tasks"]
    assert shared.numbers["pictures"] >= 5
    assert shared.harm == "harmful"
    assert all("CXR" in example.image or "nih" in example.image for example in shared.examples)


def test_ages_and_sexes_of_jsrt(shared_data):
    findings = found(shared_data / "cxr_jsrt_nodule_lungmask")
    assert {"column-of-ages", "column-of-sexes", "shortcut-column-age"} <= set(findings)
