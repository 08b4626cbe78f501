"""`medshot next`: output and refusals."""

import csv
import io
import json

import pytest
from command_line import PIXELS, medshot, write_ward
from small_tasks import textured, write_manifest

from medshot.selection.active_learning import DEFAULT

HEADER = ["rank", "image", "score", "reason"]


@pytest.fixture
def model(tmp_path, capsys):
    """Return a model folder of the baseline, fitted on other images than those of the ward."""
    fitted = write_ward(tmp_path / "fitted", textured(5, patients=4))
    assert medshot("adapt", fitted, "--learner", "logistic", *PIXELS, "--out", tmp_path / "model") == 0
    capsys.readouterr()
    return tmp_path / "model"


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def manifest(ward, patients: list[str]):
    files = sorted(str(path.relative_to(ward)) for path in ward.glob("*/*.png"))
    header = ["image", "patient"]
    return write_manifest(ward / "pool.csv", [header, *map(list, zip(files, patients, strict=True))])


def test_a_folder_becomes_a_ranking_on_stdout(model, ward, capsys):
    assert medshot("next", model, ward, "--count", 3) == 0
    rows = rows_of(capsys.readouterr().out)
    assert list(rows[0]) == HEADER
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert {row["image"] for row in rows} <= {str(path) for path in ward.glob("*/*.png")}


def test_the_default_strategy_is_that_of_the_library(model, ward, capsys):
    assert medshot("next", model, ward, "--json") == 0
    assert json.loads(capsys.readouterr().out)["strategy"] == DEFAULT


def test_more_than_there_are_lists_all_with_a_note(model, ward, capsys):
    assert medshot("next", model, ward, "--count", 50) == 0
    printed = capsys.readouterr()
    assert len(rows_of(printed.out)) == len(list(ward.glob("*/*.png")))
    assert "holds images of 8 patients, fewer than 50; one of each is listed." in printed.err


def test_out_and_json_hold_the_same(model, ward, tmp_path, capsys):
    out = tmp_path / "to_label.csv"
    assert medshot("next", model, ward, "--count", 4, "--out", out, "--json", "--strategy", "coverage") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["strategy"] == "coverage"
    assert [row["image"] for row in printed["images"]] == [row["image"] for row in rows_of(out.read_text())]


def test_a_manifest_keeps_patients_apart(model, ward, capsys):
    path = manifest(ward, ["a", "a", "a", "b", "b", "b", "c", "c"])
    assert medshot("next", model, path, "--strategy", "margin") == 0
    images = [row["image"] for row in rows_of(capsys.readouterr().out)]
    patient = {str(ward / row["image"]): row["patient"] for row in rows_of(path.read_text())}
    assert sorted(patient[image] for image in images) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--strategy", "best"], "strategy is 'best', but must be one of"),
        (["--count", "0"], "--count"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_a_wrong_option_exits_with_2(model, ward, arguments, sentence, capsys):
    assert medshot("next", model, ward, *arguments) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert printed.out == ""


def test_what_is_not_there_or_is_there_already_exits_with_2(model, ward, tmp_path, capsys):
    assert medshot("next", model, tmp_path / "nowhere") == 2
    assert medshot("next", tmp_path / "nowhere", ward) == 2
    taken = tmp_path / "taken.csv"
    taken.write_text("mine")
    assert medshot("next", model, ward, "--out", taken) == 2
    assert taken.read_text() == "mine"
    assert "exists already" in capsys.readouterr().err


def test_a_row_without_its_patient_is_named(model, ward, capsys):
    path = manifest(ward, ["a", "a", "", "b", "b", "b", "c", "c"])
    assert medshot("next", model, path) == 2
    assert "line 4 names no patient" in capsys.readouterr().err
