"""What reading had to assume reaches the user of every command, and films of one series are an image each."""

import csv
from pathlib import Path

import numpy as np
import pytest
from audit_data import found
from command_line import medshot
from dicom_files import film, magnetic, write
from small_tasks import write_manifest

from medshot.imaging.folders import all_image_paths, is_series

RANDOM = np.random.default_rng(0)
GAP = "A gap"
VOXELS = ("--learner", "logistic", "--dimensions", "3", "--size", "16")


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Return a manifest of eight series, of which the fourth lacks slices in the middle."""
    rows = [["image", "label", "patient"]]
    for number in range(8):
        for place, height in enumerate([0, 3, 6, 24, 27, 30] if number == 3 else [0, 3, 6, 9, 12, 15]):
            pixels = (RANDOM.integers(0, 200, (16, 16)) + 100 + 300 * (number % 2)).astype(np.uint16)
            uid = f"1.2.{number}"
            made = magnetic([0, 0, float(height)], pixels, SeriesInstanceUID=uid, PatientID=f"P{number}")
            (tmp_path / f"s{number}").mkdir(exist_ok=True)
            write(tmp_path / f"s{number}" / f"{place}.dcm", made)
        rows.append([f"s{number}", "ab"[number % 2], f"P{number}"])
    return write_manifest(tmp_path / "task.csv", rows)


def test_a_gap_is_in_the_column_of_predict(series, tmp_path, capsys):
    assert medshot("adapt", series, *VOXELS, "--out", tmp_path / "model") == 0
    capsys.readouterr()
    assert medshot("predict", tmp_path / "model", series) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [GAP in row["assumed"] for row in rows] == [number == 3 for number in range(8)]


def test_a_gap_is_a_finding_of_check_that_names_the_image(series):
    finding = found(series)["assumed-in-reading"]
    assert "1 × “A gap: 5 of the slices" in finding.sentence
    assert finding.harm == "doubtful"
    first = next(example for example in finding.examples if GAP in example.caption)
    assert first.image.endswith("s3")


def test_what_was_found_once_is_found_again_from_the_cache(series):
    assert found(series)["assumed-in-reading"] == found(series)["assumed-in-reading"]


def test_a_gap_is_a_line_of_adapt(series, tmp_path, capsys):
    assert medshot("adapt", series, *VOXELS, "--out", tmp_path / "model") == 0
    assert "1 × “A gap: 5 of the slices" in capsys.readouterr().err


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Return class folders of two films of each of ten patients, both in one series."""
    for number in range(10):
        folder = tmp_path / "films" / ("normal", "nodule")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        for view in ("PA", "LAT"):
            pixels = RANDOM.integers(0, 600, (32, 32)).astype(np.uint16)
            pixels[8:24, 8:24] += np.uint16(1500 * (number % 2))
            uid = f"1.3.{number}"
            made = film(pixels, SeriesInstanceUID=uid, StudyInstanceUID=f"1.{number}", PatientID=f"P{number}")
            made.ViewPosition = view
            write(folder / f"{number:02d}{view}.dcm", made)
    return tmp_path / "films"


def test_films_of_many_patients_are_many_images(films, tmp_path, capsys):
    pixels = ("--learner", "logistic", "--encoder", "none", "--size", "32")
    assert medshot("adapt", films, *pixels, "--out", tmp_path / "model") == 0
    capsys.readouterr()
    assert medshot("predict", tmp_path / "model", films / "nodule") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 10
    assert medshot("predict", tmp_path / "model", films) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 20
    for by in ("patient", "study"):
        assert medshot("predict", tmp_path / "model", films, "--by", by) == 0
        rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
        assert len({row[by] for row in rows}) == len(rows) == 10
        assert {row["images"] for row in rows} == {"2"}


def test_two_films_of_one_patient_are_two_images_and_slices_are_one(films, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in (films / "nodule").glob("01*.dcm"):
        path.rename(alone / path.name)
    assert not is_series(alone)
    assert len(all_image_paths(alone)) == 2
    for height in range(3):
        write(tmp_path / f"{height}.dcm", magnetic([0, 0, 2.0 * height], np.ones((8, 8), np.uint16)))
    slices = tmp_path / "slices"
    slices.mkdir()
    for path in tmp_path.glob("*.dcm"):
        path.rename(slices / path.name)
    assert is_series(slices)
    assert all_image_paths(slices) == [slices]
