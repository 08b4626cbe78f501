"""The options about data: the same in every command that loads tasks, and what each says on whose images they are."""

import inspect
from pathlib import Path

import pytest
from command_line import PIXELS, TRAIN, medshot
from small_tasks import textured, write_images, write_manifest

from medshot.cli.main import COMMANDS
from medshot.tasks import load_tasks

OPTIONS = ("label", "keep", "image", "patient", "join_labels", "table")
LOADING = {
    "adapt": ("--learner", "logistic", *PIXELS, "--out", "OUT"),
    "check": PIXELS,
    "evaluate": ("--learners", "logistic", *PIXELS, "--shots", "1", "--episodes", "1", "--size", "20"),
    "forecast": (*PIXELS, "--size", "20"),
    "meta-train": ("--learner", "protonet", *PIXELS, *TRAIN, "--out", "OUT"),
}


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """Write images of eight patients, one of each in each of two classes, and a manifest under other names."""
    images = write_images(textured(1, patients=8), tmp_path / "ward")
    rows = [[image, image.partition("/")[0], f"p{k % 8}"] for k, image in enumerate(images)]
    write_manifest(tmp_path / "ward" / "task.csv", [["Image", "LABEL", "Patient ID"], *rows])
    return tmp_path / "ward"


def said(capsys: pytest.CaptureFixture) -> str:
    """Return what was printed, on one line."""
    printed = capsys.readouterr()
    return " ".join((printed.err + printed.out).replace("│", " ").split())


@pytest.mark.parametrize("name", [*LOADING, "train-encoder"])
def test_every_command_that_loads_tasks_has_the_options_of_load_tasks(name):
    parameters = inspect.signature(COMMANDS[name]).parameters
    assert {*OPTIONS, "table"} <= {"table" if parameter == "label_table" else parameter for parameter in parameters}
    assert ("label_table" in parameters) == (name == "evaluate"), "its --table is a form of the results"
    assert set(OPTIONS) <= set(inspect.signature(load_tasks).parameters)


@pytest.mark.parametrize("name", LOADING)
def test_every_command_says_where_patients_are_from(ward, tmp_path, capsys, name):
    options = [tmp_path / "out" if option == "OUT" else option for option in LOADING[name]]
    medshot(name, ward, *options)
    assert "Patients are taken from the column 'Patient ID'." in said(capsys)


@pytest.mark.parametrize("name", LOADING)
def test_every_command_says_if_every_image_is_a_patient(ward, tmp_path, capsys, name):
    table = ward / "task.csv"
    table.write_text("\n".join(line.rpartition(",")[0] for line in table.read_text().splitlines()))
    options = [tmp_path / "out" if option == "OUT" else option for option in LOADING[name]]
    medshot(name, ward, *options)
    assert "every image counts as a patient of its own" in said(capsys)


def test_a_table_and_columns_of_any_name(ward, tmp_path, capsys):
    findings = [*("ill", "well") * 7, "ill", "nan"]
    rows = [[f"{number:03}", finding] for number, finding in enumerate(findings)]
    table = write_manifest(tmp_path / "labels.csv", [["film", "finding"], *rows])
    (ward / "task.csv").unlink()
    learner = ("--learner", "logistic", *PIXELS, "--label", "finding")
    assert medshot("adapt", ward, *learner, "--table", table, "--patient", "film", "--out", tmp_path / "model") == 0
    printed = said(capsys)
    assert "16 images were joined with labels.csv by 'film'." in printed
    assert "'nan' is how programs write a missing value" in printed
    joined = ("--table", table, "--patient", "film", "--join-labels")
    assert medshot("adapt", ward, *learner, *joined, "--out", tmp_path / "other") == 0
    assert "1 rows without a label were left out" in said(capsys)
    assert medshot("evaluate", ward, ward, "--label-table", table, *PIXELS) == 2
    assert "--table labels the patients of one folder, but 2 are given" in said(capsys)
