"""`medshot evaluate` with a prevalence, an operating point and tables for a paper."""

import csv
import io
import json

import pytest
from command_line import PIXELS, medshot, write_ward

from medshot.simulated import simulate

QUICK = (*PIXELS, "--size", "16", "--learners", "logistic", "--episodes", "3", "--queries", "4")


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    return write_ward(tmp_path_factory.mktemp("ward"), simulate("brain", seed=1, patients=12, size=24))


@pytest.fixture(scope="module")
def classes(ward):
    return sorted(path.name for path in ward.iterdir())


def test_every_question_is_answered_in_the_results_and_the_folder(ward, classes, tmp_path, capsys):
    out = tmp_path / "evaluation"
    asked = ["--prevalence", f"{classes[1]}=0.02", "--sensitivity", "0.9", "--shots", "1,3"]
    assert medshot("evaluate", ward, *QUICK, *asked, "--out", out, "--json") == 0
    results = json.loads(capsys.readouterr().out)
    one, three = results["rows"]
    assert "operating_points" not in one
    for score in (one, three):
        assert [each["name"] for each in score["classes"]] == classes
        assert score["classes"][1]["prevalence"] == 0.02
        assert sum(map(sum, score["confusion"])) == score["queries"]
    assert [point["wanted"] for point in three["operating_points"]] == [0.9] * len(classes)
    assert results["metadata"]["study"]["tasks"][0]["images"] == len([*ward.rglob("*.png")])
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert files >= {"results.json", "results.md", "results.csv", "results.tex", "report.html"}
    assert {name.split(".")[-1] for name in files if name.startswith("figures/")} == {"svg", "png"}
    assert {name.split("/")[1].split("_")[0] for name in files if name.startswith("figures/")} == {"roc", "learning"}
    assert "Few-shot classifiers were evaluated" in (out / "results.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "begins"), [("csv", "task,shots,"), ("latex", r"% \usepackage"), ("markdown", "Scores")]
)
def test_only_the_table_is_printed(ward, classes, capsys, kind, begins):
    assert medshot("evaluate", ward, *QUICK, "--shots", "2", "--table", kind) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(begins)
    if kind == "csv":
        rows = list(csv.DictReader(io.StringIO(printed)))
        assert {row["class"] for row in rows} == {"", *classes}


def test_the_terminal_shows_the_scores_by_class(ward, classes, capsys):
    assert medshot("evaluate", ward, *QUICK, "--shots", "2") == 0
    printed = capsys.readouterr().out
    assert "Scores by class with 2 shots" in printed
    assert "Sensitivity" in printed
    assert "PPV" not in printed


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--table", "word"], "'word' is not one of 'csv', 'latex', 'markdown'"),
        (["--table", "csv", "--json"], "take one of them"),
        (["--sensitivity", "95"], "must be between 0 and 1"),
        (["--prevalence", "elsewhere=0.1"], "The prevalence is of 'elsewhere', but the classes are"),
        (["--prevalence", "elsewhere"], "NAME=VALUE"),
    ],
)
def test_mistakes_are_refused_in_one_sentence(ward, capsys, options, sentence):
    assert medshot("evaluate", ward, *QUICK, "--shots", "2", *options) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert "--json" in options or captured.out == ""
