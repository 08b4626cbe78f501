"""Laws of all commands: names are checked first; errors, Ctrl-C, --quiet, --verbose, --version, --json."""

import csv
import io
import json
import os
import re
import subprocess
import sys

import pytest
from command_line import PIXELS, TRAIN, medshot, write_ward
from small_tasks import textured

import medshot as package
from medshot.cli import checking as names
from medshot.encoders import ENCODERS
from medshot.encoders.libraries import ADAPTERS
from medshot.errors import InputError, closest
from medshot.imaging import CUTS
from medshot.learners import LEARNERS, create_for
from medshot.selection.active_learning import STRATEGIES
from medshot.training.pretraining import OBJECTIVES, PARAMETERS

LOGISTIC = ("--learner", "logistic", *PIXELS)


def must_be_meta_trained(name: str) -> bool:
    try:
        create_for(None, name)
    except InputError:
        return True
    return False


def test_the_names_that_are_checked_first_are_those_of_the_registries():
    built_in = {name for name, learner in LEARNERS.items() if learner.__module__.startswith("medshot.")}
    assert set(names.LEARNERS) == built_in
    assert set(names.MUST_BE_META_TRAINED) == {name for name in built_in if must_be_meta_trained(name)}
    assert tuple(ENCODERS) == names.ENCODERS
    assert tuple(ADAPTERS) == names.ADAPTERS
    assert set(names.CUTS) == {"whole", *CUTS}
    assert tuple(STRATEGIES) == names.STRATEGIES
    assert tuple(OBJECTIVES) == names.OBJECTIVES
    assert tuple(PARAMETERS) == names.PARAMETERS


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("adapt nowhere --out x", "nowhere does not exist"),
        ("adapt . --learner Logistic --out x", "Did you mean 'logistic'?"),
        ("adapt . --learner metal --out x", "must be meta-trained first"),
        ("adapt . --encoder lite1 --out x", "Did you mean 'lite0'?"),
        ("adapt . --encoder lite0 --size 9 --out x", "are for pixels"),
        ("adapt . --shots 0 --out x", "shots is 0"),
        ("adapt . --from . --out x", "is not a finished run folder"),
        ("adapt . --out /proc/x", "could not be created"),
        ("predict . nowhere", "is not a finished model folder"),
        ("evaluate . --learners logistc", "Did you mean 'logistic'?"),
        ("evaluate . --shots 1,x", "--shots is '1,x'"),
        ("forecast nowhere", "nowhere does not exist"),
        ("next . . --strategy margins", "Did you mean 'margin'?"),
        ("meta-train nowhere --out x", "nowhere does not exist"),
        ("meta-train . --out .", "exists already"),
        ("train-encoder . --objective supervized --out x", "Did you mean 'supervised'?"),
        ("evaluate . --device warp", "device is 'warp', but must be auto"),
        ("check nowhere", "nowhere does not exist"),
        ("quickstart --out .", "exists already"),
    ],
)
def test_a_wrong_command_line_is_refused_before_torch_is_loaded(tmp_path, words, sentence):
    code = (
        "import sys; from medshot.cli import main; sys.argv[0] = 'medshot'\n"
        "try: main()\nexcept SystemExit as stop: print(stop.code, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words.split()], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split() == ["2", "False"]
    assert sentence in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "expected"), [("logistc", " Did you mean 'logistic'?"), ("METAL", " Did you mean 'metal'?"), ("zzz", "")]
)
def test_the_closest_name_is_suggested_if_there_is_one(name, expected):
    assert closest(name, LEARNERS) == expected


@pytest.mark.parametrize("start", [["-m", "medshot"], ["-c", "from medshot.cli import main; main()"]])
def test_the_version(start):
    done = subprocess.run([sys.executable, *start, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"medshot {package.__version__}\n"


def test_completion_in_a_shell():
    words = {"_MEDSHOT_COMPLETE": "complete_bash", "COMP_WORDS": "medshot ad", "COMP_CWORD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "medshot"], env=os.environ | words, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["adapt"]


def test_help_names_the_exit_codes(capsys):
    assert medshot("adapt", "--help") == 0
    assert "130 stopped by" in capsys.readouterr().out


def test_quiet_prints_results_only_and_verbose_the_time_of_each_line(ward, tmp_path, capsys):
    assert medshot("adapt", ward, *LOGISTIC, "--shots", "9", "--quiet", "--out", tmp_path / "quiet") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "The model is in" in printed.out
    assert medshot("adapt", ward, *LOGISTIC, "--shots", "9", "--verbose", "--out", tmp_path / "verbose") == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 2
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d \S", line) for line in lines)
    assert medshot("adapt", ward, "--quiet", "--verbose", "--out", tmp_path / "both") == 2
    assert "exclude each other" in capsys.readouterr().err


STOPPED = {
    "adapt": ("medshot.learners.FewShotClassifier.fit", [*LOGISTIC]),
    "evaluate": ("medshot.evaluation.evaluate", ["--learners", "logistic", *PIXELS]),
    "forecast": ("medshot.selection.task_features.task_features", [*PIXELS]),
    "check": ("medshot.audit.audit", ["--encoder", "none"]),
    "meta-train": ("medshot.learners.run.split_tasks", [*TRAIN]),
    "train-encoder": ("medshot.training.pretraining.train_encoder_into", []),
}


@pytest.mark.parametrize("command", STOPPED)
def test_ctrl_c_is_one_sentence_and_exit_code_130(command, ward, tmp_path, monkeypatch, capsys):
    def press(*_, **__):
        raise KeyboardInterrupt

    place, options = STOPPED[command]
    monkeypatch.setattr(place, press)
    assert medshot(command, ward, *options, "--out", tmp_path / "out", "--quiet") == 130
    assert capsys.readouterr().err == "error: Stopped by Ctrl-C; nothing was written.\n"
    assert not (tmp_path / "out").exists()


def test_ctrl_c_while_a_file_is_imported(tmp_path, capsys):
    path = tmp_path / "slow.py"
    path.write_text("raise KeyboardInterrupt")
    assert medshot("--import", path, "learners") == 130
    assert capsys.readouterr().err == "error: Stopped by Ctrl-C; nothing was written.\n"


def test_an_error_with_json_is_an_object_on_stdout_and_a_sentence_on_stderr(tmp_path, capsys):
    for words, kind in ((["adapt", tmp_path / "nowhere"], "InputError"), (["adapt", "--speed", "9"], "UsageError")):
        assert medshot(*words, "--out", tmp_path / "out", "--json") == 2
        printed = capsys.readouterr()
        error = json.loads(printed.out)["error"]
        assert (error["kind"], error["exit_code"]) == (kind, 2)
        assert printed.err == f"error: {error['message']}\n"


def test_json_of_every_command_has_a_version_and_names_the_folder(ward, model, tmp_path, capsys):
    pool = write_ward(tmp_path / "pool", textured(2, patients=3))
    for words in (
        ["adapt", ward, *LOGISTIC, "--out", tmp_path / "again"],
        ["predict", model, ward],
        ["next", model, pool],
        ["forecast", ward, *PIXELS],
        ["check", ward, "--encoder", "none"],
    ):
        medshot(*words, "--json")
        printed = json.loads(capsys.readouterr().out)
        assert printed["schema"] == 1
        assert printed.get("out") == (str(words[-1]) if words[0] == "adapt" else None)


def test_adapt_takes_auto_if_no_learner_is_named(ward, tmp_path, capsys):
    assert medshot("adapt", ward, "--out", tmp_path / "model", "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["learner"]["name"] == "auto"
    assert "auto chooses one" in printed.err


@pytest.mark.parametrize("shots", [2, 4, 9])
def test_adapt_needs_no_query_patient_and_takes_all_of_a_class_with_fewer(shots, tmp_path, capsys):
    """Classes of four and two patients."""
    ward = write_ward(tmp_path, textured(1, patients=4))
    for path in sorted(ward.glob("direction 1/*"))[2:]:
        path.unlink()
    assert medshot("adapt", ward, *LOGISTIC, "--shots", shots, "--out", tmp_path / "model", "--json") == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["model"]["images_per_class"] == [min(shots, 4), 2]
    said = [f"'direction {c}' has {size} patients, fewer than {shots}; all" for c, size in ((0, 4), (1, 2))]
    assert [sentence in printed.err for sentence in said] == [shots > 4, shots > 2]


def test_evaluate_adds_the_baseline_and_leaves_out_shots_without_patients(ward, capsys):
    words = ["evaluate", ward, "--learners", "svm", *PIXELS, "--episodes", "2", "--json"]
    assert medshot(*words) == 0
    printed = capsys.readouterr()
    rows = json.loads(printed.out)["rows"]
    assert [(row["learner"], row["shots"]) for row in rows] == [("svm", 1), ("logistic", 1)]
    assert "logistic is evaluated too, because it is the baseline" in printed.err
    assert "is not evaluated at 5 and 10 shots, because class 'direction 0' has 4 patients" in printed.err
    assert medshot(*words, "--baseline", "logistik") == 2
    assert "Did you mean 'logistic'?" in capsys.readouterr().err


def test_evaluate_leaves_out_what_a_learner_was_trained_on(tmp_path, capsys):
    seen, unseen = (write_ward(tmp_path, textured(seed, patients=12)) for seed in (1, 2))
    assert medshot("meta-train", seen, "--learner", "protonet", *PIXELS, *TRAIN, "--out", tmp_path / "run") == 0
    words = ["evaluate", seen, unseen, "--from", tmp_path / "run", "--learners", "logistic", "--shots", "1"]
    words += ["--episodes", "2", "--json"]
    assert medshot(*words) == 2
    assert "--without-seen" in capsys.readouterr().err
    assert medshot(*words, "--without-seen") == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert {row["task"] for row in found["rows"]} == {unseen.name}
    assert f"Task '{seen.name}': 24 of 24 images are left out" in printed.err
    assert any("24 of 24 images are left out" in sentence for sentence in found["metadata"]["notes"])


def test_a_forecast_says_for_which_learner_and_whether_the_data_set_is_among_the_curves(ward, capsys):
    assert medshot("forecast", ward, "--json", *PIXELS) == 0
    printed = capsys.readouterr()
    notes = json.loads(printed.out)["notes"]
    assert notes[0].startswith("The forecast is for logistic on ")
    assert notes[1] == "This data set is not among the 7 of the past curves."
    assert all(sentence in printed.err for sentence in notes)


def test_a_forecast_that_falls_says_so(ward, capsys, monkeypatch):
    from medshot.selection.forecasting import Expected

    values = [0.6, 0.7, 0.8, 0.9]
    for accuracies, falls in ((values, False), (values[::-1], True)):
        expected = [Expected(5 * k, 4 + 5 * k, accuracy, 0.0, 1.0) for k, accuracy in enumerate(accuracies)]
        monkeypatch.setattr("medshot.selection.forecasting.Forecaster.__call__", lambda *_, rows=expected: rows)
        assert medshot("forecast", ward, *PIXELS) == 0
        assert ("falls with more labels" in capsys.readouterr().err) == falls


def test_next_leaves_out_what_is_labelled_and_its_reasons_differ(ward, model, tmp_path, capsys):
    pool = write_ward(tmp_path / "pool", textured(2, patients=6))
    labelled = sorted(pool.glob("direction 0/*"))[:3]
    for path in sorted(ward.glob("direction 0/*")):
        path.rename(pool / f"known {path.name}")
    assert medshot("next", model, pool, "--labelled", labelled[0], "--labelled", labelled[1], "--count", "20") == 0
    printed = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    listed = {row["image"] for row in rows}
    assert listed == {str(path) for path in pool.rglob("*.png") if "known" not in path.name} - {*map(str, labelled[:2])}
    assert "6 of 16 images are labelled already" in printed.err
    assert len({row["reason"] for row in rows}) > 1
    assert medshot("next", model, ward) == 2
    assert "labelled" in capsys.readouterr().err
