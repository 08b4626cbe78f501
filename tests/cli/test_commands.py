"""The command line from meta-training to a report, and its help."""

import csv
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import typer
from command_line import PIXELS, TRAIN, medshot, write_ward
from PIL import Image
from small_tasks import write_images

from medshot.cli import app
from medshot.cli.options import DATA, OUTPUT
from medshot.encoders import EncodedInput
from medshot.imaging import FeatureInput, ImageInput, VolumeInput
from medshot.learners import create
from medshot.simulated import simulate

COMMANDS = typer.main.get_group(app).commands


def example(name: str) -> str:
    """Return the example in the help of a command."""
    (found,) = re.findall(rf"Example: (medshot {name} .+)$", str(COMMANDS[name].help), re.MULTILINE)
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_shows_an_example_that_parses(name, capsys):
    assert medshot(name, "--help") == 0
    assert example(name) in " ".join(capsys.readouterr().out.split())
    assert COMMANDS[name].make_context(name, shlex.split(example(name))[2:]).params


SHORTER = {
    "meta-train": TRAIN,
    "train-encoder": ("--steps", "1"),
    "evaluate": ("--episodes", "2", "--learners", "logistic"),
}


@pytest.mark.slow
def test_the_examples_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("tasks/first", "tasks/second", "held_out", "new_task", "scans")):
        write_images(simulate("brain", seed=number, patients=16, size=32), tmp_path / name)
    for name in COMMANDS:
        code = medshot(*shlex.split(example(name))[1:], *SHORTER.get(name, ()))
        assert code == 0 or (name, code) == ("check", 1), capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_module_of_its_name(name):
    assert inspect.unwrap(COMMANDS[name].callback).__module__ == f"medshot.cli.{name.replace('-', '_')}"


def test_options_are_in_groups_and_the_same_option_is_in_the_same_group_everywhere():
    groups: dict[str, set[str]] = {}
    for command in COMMANDS.values():
        for option in command.params:
            if option.param_type_name == "option" and option.name != "help":
                groups.setdefault(option.opts[0], set()).add(option.rich_help_panel)
    # a table of labels to read, and in `evaluate` the form of the table to write
    assert groups.pop("--table") == {DATA, OUTPUT}
    assert {name: found for name, found in groups.items() if len(found) > 1 or None in found} == {}


def test_the_help_names_every_command(capsys):
    assert medshot("--help") == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in COMMANDS)


def test_without_arguments_it_shows_its_help(capsys):
    assert medshot() == 0
    assert "quickstart" in capsys.readouterr().out


def test_from_meta_training_to_a_report(tmp_path, capsys):
    for seed in range(2):
        write_ward(tmp_path / "tasks", simulate("chest", seed=seed, patients=16, size=32))
    run, model, evaluation = tmp_path / "run", tmp_path / "model", tmp_path / "evaluation"
    assert medshot("meta-train", tmp_path / "tasks", *TRAIN, "--out", run, "--json") == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["name"] == "metal"
    assert trained["training"]["steps"] == 3
    assert [task["patients"] for task in trained["training"]["tasks"]] == [32, 32]
    assert not (run / "checkpoint.safetensors").exists()
    assert (run / "events.jsonl").read_text().count('"kind": "step"') == 3

    ward = write_ward(tmp_path / "new", simulate("brain", seed=5, patients=16, size=32))
    assert medshot("adapt", ward, "--from", run, "--shots", "5", "--out", model, "--json") == 0
    made = json.loads(capsys.readouterr().out)
    classes = made["model"]["classes"]
    assert made["model"]["images_per_class"] == [5] * len(classes)

    table = tmp_path / "predictions.csv"
    assert medshot("predict", model, ward, "--out", table) == 0
    capsys.readouterr()
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == ["image", "predicted", *(f"p_{name}" for name in classes), "warning", "assumed", "error"]
    assert len(rows) == 16 * len(classes)
    for row in rows:
        shares = [float(row[f"p_{name}"]) for name in classes]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert row["predicted"] == classes[shares.index(max(shares))]
    assert medshot("predict", model, ward, "--json") == 0
    printed = json.loads(capsys.readouterr().out)["predictions"]
    assert [row["predicted"] for row in printed] == [row["predicted"] for row in rows]

    options = ["--learners", "logistic", "--shots", "1", "--episodes", "2", "--queries", "3", "--seed", "4"]
    command = ["evaluate", ward, "--from", run, *options, "--out", evaluation, "--json"]
    assert medshot(*command) == 0
    results = json.loads(capsys.readouterr().out)
    assert {row["learner"] for row in results["rows"]} == {"metal", "logistic"}
    assert results["metadata"]["seed"] == 4
    assert results["metadata"]["command"].startswith("medshot evaluate ")
    assert {path.name for path in evaluation.iterdir()} >= {"results.json", "results.md", "report.html"}
    assert json.loads((evaluation / "results.json").read_text()) == results

    for folder, kind in ((run, "run"), (model, "model")):
        assert medshot("info", folder, "--json") == 0
        assert json.loads(capsys.readouterr().out)["kind"] == kind
        assert medshot("info", folder) == 0
        assert "learner: metal, images 1×20×20" in capsys.readouterr().out

    seen = tmp_path / "tasks" / "chest 0"
    assert medshot("evaluate", seen, "--from", run, *options) == 2
    assert "32 identical" in capsys.readouterr().err


@pytest.mark.slow
def test_an_encoder_that_was_trained_can_be_used_as_printed(tmp_path, capsys):
    ward = write_ward(tmp_path / "tasks", simulate("brain", seed=1, patients=6, size=32))
    out = tmp_path / "encoder"
    assert medshot("train-encoder", ward, "--steps", "1", "--objective", "episodic", "--out", out) == 0
    assert f"--encoder {out} " in capsys.readouterr().out
    assert medshot("train-encoder", ward, "--steps", "1", "--out", tmp_path / "other", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    written = json.loads((tmp_path / "other" / "encoder.json").read_text())
    assert record == {"schema": 1, **written, "out": str(tmp_path / "other")}
    assert record["training"]["settings"]["steps"] == 1


def test_prevalence_moves_the_probabilities(model, ward, capsys):
    shares = []
    for pair in (("0.5", "0.5"), ("0.02", "0.98")):
        options = [f"--prevalence=direction {c}={share}" for c, share in enumerate(pair)]
        assert medshot("predict", model, ward, "--json", *options) == 0
        rows = json.loads(capsys.readouterr().out)["predictions"]
        shares.append([row["p_direction 0"] for row in rows])
    assert all(after < before for before, after in zip(*shares, strict=True))
    assert medshot("predict", model, ward, "--prevalence", "direction 0=0.5") == 2


def test_images_of_another_kind_carry_a_warning(model, tmp_path, capsys):
    Image.new("RGB", (20, 20), (255, 255, 255)).save(tmp_path / "white.png")
    assert medshot("predict", model, tmp_path / "white.png") == 0
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert "brightness" in row["warning"]


def test_names_that_a_spreadsheet_would_run_become_text(model, ward, monkeypatch, capsys):
    monkeypatch.chdir(ward)
    names = ["=1+1.png", "@sum.png", "+x.png"]
    for name in names:
        (ward / name).write_bytes(next(ward.glob("*/*.png")).read_bytes())
    assert medshot("predict", model, *names) == 0
    rows = csv.DictReader(capsys.readouterr().out.splitlines())
    assert [row["image"] for row in rows] == [f"'{name}" for name in names]


def test_paths_with_spaces_quotes_and_letters_of_any_language(tmp_path, ward, capsys):
    place = tmp_path / 'Jürgen\'s "new" 肺 ward'
    ward.rename(place)
    model, table = tmp_path / "mödel 1", tmp_path / "täble 1.csv"
    assert medshot("adapt", place, "--learner", "logistic", *PIXELS, "--out", model) == 0
    assert medshot("predict", model, place, "--out", table) == 0
    capsys.readouterr()
    assert str(place) in table.read_text(encoding="utf-8").replace('""', '"')


def test_names_that_are_no_utf8(tmp_path, ward, model, capsys):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    shutil.copytree(ward, folder / "task")
    (folder / "task" / "direction 1").rename(folder / "task" / os.fsdecode(b"class \xe9"))
    out = folder / "out"
    assert medshot("adapt", folder / "task", "--learner", "logistic", *PIXELS, "--out", out) == 0
    assert medshot("predict", model, folder / "task") == 0
    assert "caf\\xe9" in capsys.readouterr().out
    assert medshot("predict", out, folder / "task", "--out", folder / "table.csv") == 0
    assert "p_class \\xe9" in (folder / "table.csv").read_text(encoding="utf-8")
    run = ["--learners", "logistic", *PIXELS, "--shots", "1", "--episodes", "2", "--out", folder / "evaluation"]
    assert medshot("evaluate", folder / "task", *run) == 0
    assert "caf\\xe9" in json.loads((folder / "evaluation" / "results.json").read_text())["metadata"]["command"]


def test_predictions_go_to_a_file_and_to_stdout_and_hidden_files_are_passed_over(tmp_path, ward, model, capsys):
    (ward / "direction 0" / "._000.png").write_bytes(b"what macOS leaves")
    assert medshot("predict", model, ward, "--json", "--out", tmp_path / "table.csv") == 0
    rows = json.loads(capsys.readouterr().out)["predictions"]
    assert len(rows) == 8
    assert (tmp_path / "table.csv").read_text().count("\n") == 9


def test_help_and_info_answer_without_torch(model):
    code = (
        "import sys; from medshot.cli import main; sys.argv[0] = 'medshot'\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    for words, expected in (
        (["info", str(model)], "learner: logistic, images 1×64×64"),
        (["evaluate", "--help"], "--from"),
    ):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        assert expected in done.stdout
        assert done.stderr.split() == ["False"]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (ImageInput(channels=3, size=32), "images 3×32×32"),
        (VolumeInput(size=16), "volumes 1×16×16×16"),
        (FeatureInput((6, 4)), "vectors of 10 features"),
        (EncodedInput("lite0"), f"features of encoder lite0 ({EncodedInput('lite0').sha256[:12]})"),
    ],
)
def test_info_describes_the_input_of_a_learner(tmp_path, capsys, shape, expected):
    create("logistic", input_spec=shape).save(tmp_path / "run")
    assert medshot("info", tmp_path / "run") == 0
    assert f"learner: logistic, {expected}" in capsys.readouterr().out
