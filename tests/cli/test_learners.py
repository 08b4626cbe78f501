"""Learners on the command line: the list, the input of each, and learners in the user's own files."""

import json
import os

import pytest
from command_line import PIXELS, medshot, write_ward
from small_tasks import textured

from medshot.learners import LEARNERS, FeatureInput, ImageInput, create_for

MINE = """
from dataclasses import dataclass
from pathlib import Path

from medshot import register
from medshot.learners.baselines.linear import Logistic

HERE = Path(__file__).parent

@dataclass
class Setting:
    value: "int" = 1

@register
class {name}(Logistic):
    name, summary, paper = "{name}".lower(), "a [small] one", "Nobody, 2030"
    family = "another"
"""


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    """Remove what a test registered."""
    monkeypatch.setattr(LEARNERS, "_known", dict(LEARNERS))


@pytest.fixture
def mine(tmp_path):
    """Return a file that registers the learner 'mine'."""
    (tmp_path / "my learner.py").write_text(MINE.format(name="Mine"))
    return tmp_path / "my learner.py"


def test_the_list_names_every_learner_with_its_own_facts(capsys):
    assert medshot("learners", "--json") == 0
    listed = {learner["name"]: learner for learner in json.loads(capsys.readouterr().out)}
    assert listed.keys() == LEARNERS.keys()
    for name, learner in listed.items():
        assert learner["summary"] == LEARNERS[name].summary
        assert learner["meta_trained"] == (learner["gradient"] is not None)
    assert listed["metal"]["gradient"] == "first-order"
    assert medshot("learners") == 0
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed for name in LEARNERS)


def test_a_learner_in_a_file_of_ones_own_works_in_every_command(tmp_path, ward, mine, capsys):
    model, run = tmp_path / "model", ["--learners", "mine,logistic", "--shots", "1", "--episodes", "2"]
    assert medshot("--import", mine, "adapt", ward, "--learner", "mine", *PIXELS, "--out", model) == 0
    assert medshot("--import", mine, "predict", model, ward) == 0
    capsys.readouterr()
    assert medshot("--import", mine, "evaluate", ward, *PIXELS, *run, "--json") == 0
    results = json.loads(capsys.readouterr().out)
    assert {row["learner"] for row in results["rows"]} == {"mine", "logistic"}
    assert f"medshot --import '{mine}' evaluate" in results["metadata"]["command"]
    assert medshot("--import", mine, "learners") == 0
    assert "a [small] one" in capsys.readouterr().out


def test_files_to_import_are_also_taken_from_the_environment(tmp_path, mine, monkeypatch, capsys):
    other = tmp_path / "other.py"
    other.write_text(MINE.format(name="Other"))
    monkeypatch.setenv("MEDSHOT_IMPORT", f"{mine}{os.pathsep}{other}")
    assert medshot("learners", "--json") == 0
    assert {"mine", "other"} <= {learner["name"] for learner in json.loads(capsys.readouterr().out)}
    monkeypatch.setenv("MEDSHOT_IMPORT", "nowhere.py")
    assert medshot("--import", mine, "learners") == 0


def test_a_model_of_a_learner_that_was_not_imported_explains_how(tmp_path, ward, mine, monkeypatch, capsys):
    model = tmp_path / "model"
    with monkeypatch.context() as patch:
        patch.setattr(LEARNERS, "_known", dict(LEARNERS))
        assert medshot("--import", mine, "adapt", ward, "--learner", "mine", *PIXELS, "--out", model) == 0
    capsys.readouterr()
    assert medshot("predict", model, ward) == 2
    printed = capsys.readouterr().err
    assert (
        "'mine' learner, which is not registered here; import the file that registers it (medshot --import FILE"
        in printed
    )
    assert medshot("info", model) == 0
    assert "learner: mine, images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        (MINE.format(name="Metal"), "InputError: There is a learner 'metal' already"),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused_in_one_sentence(tmp_path, capsys, text, expected):
    path = tmp_path / "mine.py"
    path.write_text(text)
    assert medshot("--import", path, "learners") == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith(f"error: {path} could not be imported ({expected}")


def test_a_file_that_is_not_there_is_refused(tmp_path, capsys):
    for path in (tmp_path / "nowhere.py", tmp_path):
        assert medshot("--import", path, "learners") == 2
        assert f"error: {path} could not be imported (" in capsys.readouterr().err


def test_the_reference_program_takes_its_own_images_beside_any_others(tmp_path, capsys):
    asked = FeatureInput((3,))
    for name, preset in (("metal-reference", None), ("metal", "reference")):
        made = create_for(None, name, preset=preset, input_spec=asked)
        assert made.input_spec == ImageInput(channels=3, size=224)
    ward = write_ward(tmp_path / "tasks", textured(1, patients=6))
    assert medshot("meta-train", ward, "--learner", "metal-reference", "--out", tmp_path / "run") == 2
    assert "nothing to meta-train" in capsys.readouterr().err


def test_pixels_are_taken_if_a_size_or_channels_are_given(tmp_path, capsys):
    ward = write_ward(tmp_path / "tasks", textured(1, patients=6))
    for number, (options, shape) in enumerate(
        [(["--size", "20"], (1, 20)), (["--channels", "3", "--size", "16"], (3, 16)), ([*PIXELS], (1, 64))]
    ):
        out = tmp_path / f"model {number}"
        assert medshot("adapt", ward, "--learner", "logistic", *options, "--out", out, "--json") == 0
        taken = json.loads(capsys.readouterr().out)["learner"]["input"]
        assert (taken["channels"], taken["size"]) == shape


def test_features_of_the_encoder_are_the_default(tmp_path, capsys):
    ward, run = write_ward(tmp_path / "tasks", textured(1, patients=6)), tmp_path / "run"
    small = ["--learner", "protonet", "--steps", "1", "--shots", "1", "--queries", "1", "--batch", "2", "--ways", "2"]
    assert medshot("meta-train", ward, *small, "--engine", "loop", "--out", run, "--json") == 0
    assert json.loads(capsys.readouterr().out)["input"]["encoder"] == "lite0"
    new = write_ward(tmp_path / "new", textured(2, patients=4))
    evaluation = ["--from", run, "--learners", "logistic", "--shots", "2", "--episodes", "2", "--json"]
    assert medshot("evaluate", new, *evaluation) == 0
    scores = {row["learner"]: row["balanced_accuracy"]["value"] for row in json.loads(capsys.readouterr().out)["rows"]}
    assert min(scores.values()) > 0.9, "gratings are plain to see in these features"
    model = tmp_path / "model"
    assert medshot("adapt", new, "--learner", "logistic", "--out", model) == 0
    assert medshot("predict", model, new, "--json") == 0
