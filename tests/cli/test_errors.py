"""Any wrong input: exit code 2, one sentence on stderr, and nothing written."""

import json
from pathlib import Path

import pytest
import torch
from command_line import PIXELS, TRAIN, medshot, write_ward
from small_tasks import textured, write_manifest

from medshot.errors import StorageError
from medshot.learners import create
from medshot.storage import write_arrays

GREY = {"channels": 1, "size": 64}

without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


@pytest.fixture
def refused(tmp_path, capsys):
    """Return a function that runs a command that must be refused, and returns the error."""

    def run(*arguments: object) -> str:
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        assert medshot(*arguments) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        errors = [line for line in printed.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, printed.err
        assert printed.err.endswith(errors[0] + "\n")
        assert "Traceback" not in printed.err
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
        return errors[0]

    return run


def write_run(folder: Path) -> Path:
    create("logistic").save(folder)
    return folder


def in_all_ways(data: object, out: Path) -> list[list[object]]:
    """Return every command that reads labelled data, on this data."""
    return [
        ["adapt", data, "--learner", "logistic", *PIXELS, "--out", out],
        ["meta-train", data, *TRAIN, "--out", out],
        ["evaluate", data, "--learners", "logistic", *PIXELS, "--shots", "1", "--episodes", "2", "--out", out],
    ]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (["unheard-of"], "No such command 'unheard-of'; see medshot --help."),
        (["adapt"], "see medshot adapt --help."),
        (["adapt", "x", "--out", "y", "--speed", "9"], "--speed"),
        (["evaluate", "x", "--seed", "-1"], "'--seed'"),
        (["evaluate", "x", "--episodes", "many"], "'--episodes'"),
        (["--import"], "--import"),
        (["info", "x", "y"], "(y)"),
    ],
)
def test_a_wrong_command_line(refused, wrong, expected):
    assert expected in refused(*wrong)


def test_shots_of_zero(refused, ward, tmp_path):
    out = tmp_path / "out"
    assert "shots is 0" in refused("adapt", ward, "--learner", "logistic", "--shots", "0", "--out", out)
    assert "--shots is '0'" in refused("evaluate", ward, "--shots", "0", "--out", out)
    assert "--shots is '1,x'" in refused("meta-train", ward, "--shots", "1,x", "--out", out)


@without_cuda
def test_a_device_that_is_not_there(refused, ward, tmp_path):
    for command in in_all_ways(ward, tmp_path / "out")[1:]:
        assert "device is 'cuda'" in refused(*command, "--device", "cuda")


def test_output_that_exists(refused, ward, model, tmp_path):
    (tmp_path / "table.csv").write_text("mine")
    for command in in_all_ways(ward, model):
        assert f"{model} exists already" in refused(*command)
    assert "exists already" in refused("predict", model, ward, "--out", tmp_path / "table.csv")


def test_output_below_a_file(refused, model, ward, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "could not be created" in refused("predict", model, ward, "--out", tmp_path / "file" / "table.csv")
    assert "could not be created" in refused("adapt", ward, "--learner", "logistic", "--out", tmp_path / "file" / "out")


@pytest.mark.parametrize("below", ["file/out", "n" * 300])
def test_a_place_that_can_never_be_is_refused_before_any_work(refused, model, ward, tmp_path, monkeypatch, below):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setattr("medshot.evaluation.protocol.run_episodes", lambda *_: pytest.fail("a learner ran"))
    monkeypatch.setattr("medshot.learners.FewShotClassifier.load", lambda *_: pytest.fail("a model ran"))
    monkeypatch.setattr("medshot.evaluation.evaluate", lambda *_, **__: pytest.fail("a learner ran"))
    for command in [*in_all_ways(ward, tmp_path / below), ["predict", model, ward, "--out", tmp_path / below]]:
        assert "could not be created" in refused(*command)


def test_names_too_long_for_any_file(refused, ward, tmp_path):
    long = "n" * 300
    manifest = write_manifest(tmp_path / "long.csv", [["image", "label"], [long + ".png", "x"]])
    assert "which does not exist" in refused("adapt", manifest, "--learner", "logistic", "--out", tmp_path / "out")
    assert "could not be used" in refused("adapt", long, "--learner", "logistic", "--out", tmp_path / "out")


def test_the_same_thing_named_twice(refused, ward, model, tmp_path):
    twice = ["--prevalence", "direction 0=0.5", "--prevalence", "direction 0=0.5"]
    assert "name each once" in refused("predict", model, ward, *twice)
    create("scratch").save(tmp_path / "run")
    runs = [word for _ in range(3) for word in ("--from", tmp_path / "run")]
    assert "is given twice" in refused("evaluate", ward, *runs, "--shots", "1")


def test_empty_folders_single_classes_and_missing_paths(refused, ward, tmp_path):
    (tmp_path / "empty").mkdir()
    for path in ward.glob("direction 1/*"):
        path.unlink()
    manifest = write_manifest(tmp_path / "bad.csv", [["image", "label"], ["not there.png", "x"]])
    for data, expected in [
        (tmp_path / "empty", "holds no task"),
        (ward, "only in the class folder"),
        (tmp_path / "nowhere", "does not exist"),
        (manifest, "not there.png, which does not exist"),
    ]:
        for command in in_all_ways(data, tmp_path / "out"):
            assert expected in refused(*command)


def test_a_task_with_one_patient_in_a_class_cannot_be_evaluated(refused, tmp_path):
    ward = write_ward(tmp_path, textured(1, patients=1))
    assert "has 1 patient" in refused("evaluate", ward, "--learners", "logistic", *PIXELS, "--out", tmp_path / "out")


@pytest.mark.parametrize("damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"a text", lambda whole: b""])
def test_damaged_images(refused, ward, model, tmp_path, damage):
    path = sorted(ward.glob("direction 1/*.png"))[1]
    path.write_bytes(damage(path.read_bytes()))
    for command in [
        *in_all_ways(ward, tmp_path / "out"),
        ["predict", model, ward, "--strict", "--out", tmp_path / "t.csv"],
    ]:
        assert path.name in refused(*command)


def test_learners_and_numbers_that_do_not_exist(refused, ward, tmp_path):
    out = tmp_path / "out"
    assert "There is no learner 'metall'" in refused("meta-train", ward, "--learner", "metall", "--out", out)
    assert "nothing to meta-train" in refused("meta-train", ward, "--learner", "logistic", "--out", out)
    assert "must be meta-trained first" in refused("adapt", ward, "--learner", "metal", "--out", out)
    both = ["--from", write_run(tmp_path / "run"), "--learner", "logistic"]
    assert "--from and --learner exclude each other" in refused("adapt", ward, *both, "--out", out)
    assert "engine is 'warp'" in refused(*in_all_ways(ward, out)[1][:-4], "--engine", "warp", "--out", out)
    for option, value in (
        ("--steps", 0),
        ("--learning-rate", -1),
        ("--queries", 0),
        ("--size", 4),
        ("--channels", 2),
    ):
        assert str(value) in refused("meta-train", ward, option, value, "--out", out)
    assert "--keep is 'stage'" in refused("adapt", ward, "--learner", "logistic", "--keep", "stage", "--out", out)


def test_training_an_encoder_on_what_cannot_be_used(refused, ward, model, tmp_path):
    out = tmp_path / "out"
    command = ["train-encoder", ward, "--steps", 1, "--out"]
    assert "objective is 'guessing', but must be one of supervised" in refused(*command, out, "--objective", "guessing")
    assert "steps is 0" in refused("train-encoder", ward, "--steps", 0, "--out", out)
    assert "exists already" in refused(*command, model)
    assert "could not be created" in refused(*command, tmp_path / ("n" * 300))
    assert "no unfinished encoder" in refused(*command, out, "--resume")
    assert "does not exist" in refused("train-encoder", tmp_path / "nowhere", "--out", out)
    assert "device is 'warp'" in refused(*command, out, "--device", "warp")
    assert "--keep is 'stage'" in refused(*command, out, "--keep", "stage")
    few = write_ward(tmp_path / "few", textured(3, patients=3))
    assert "add patients" in refused("train-encoder", few, "--out", out)


def swapped(folder: Path, name: str) -> None:
    write_arrays(folder / name, {"other": torch.zeros(3).numpy()})


def truncated(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])


def removed(folder: Path, name: str) -> None:
    (folder / name).unlink()


@pytest.mark.parametrize("damage", [swapped, truncated, removed])
def test_damaged_arrays(refused, ward, model, tmp_path, damage):
    run = tmp_path / "run"
    create("logistic").save(run)
    for name in ("learner.safetensors", "training_images.safetensors"):
        with_damage = tmp_path / name
        create("logistic").save(with_damage)
        damage(with_damage, name)
        assert name in refused("adapt", ward, "--from", with_damage, "--out", tmp_path / "out")
        assert name in refused("evaluate", ward, "--from", with_damage, "--shots", "1", "--out", tmp_path / "out")
    for name in ("learner.safetensors", "adapted.safetensors"):
        damage(model, name)
        assert ".safetensors" in refused("predict", model, ward)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"format": 99}, "format 99"),
        ({"format": None}, "format None"),
        ({"learner": None}, "does not describe a"),
        ({"arrays": "none"}, "does not describe a"),
        ({"surprise": 1}, "does not describe a"),
        (
            {"learner": {"name": "metall", "settings": {}, "input": GREY}},
            "'metall' learner, which is not registered here",
        ),
        ({"learner": {"name": "metal", "settings": {}, "input": GREY}}, "parameters do not fit"),
        ({"learner": {"name": "logistic", "settings": {}, "input": GREY | {"channels": 2}}}, "1 or 3 channels, not 2"),
        ({"learner": {"name": "logistic", "settings": {}, "input": {"encoder": "x"}}}, "does not describe a"),
    ],
)
def test_records_of_another_version_or_changed_by_hand(refused, ward, model, tmp_path, changes, expected):
    run = tmp_path / "run"
    create("logistic").save(run)
    for path in (run / "run.json", model / "model.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    assert expected in refused("adapt", ward, "--from", run, "--out", tmp_path / "out")
    assert expected in refused("predict", model, ward)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"learner": 3}', '{"format": 1, "learner": {"name": "x"}}'])
def test_mangled_records(refused, ward, model, tmp_path, content):
    (model / "model.json").write_text(content)
    assert "model.json" in refused("predict", model, ward)
    assert "model.json" in refused("info", model)
    assert "neither a finished run nor a model" in refused("info", tmp_path)


def test_a_model_whose_own_part_was_changed(refused, ward, model):
    path = model / "model.json"
    record = json.loads(path.read_text())
    for part in (None, {}, record["model"] | {"classes": ["one"]}, record["model"] | {"intensity": {}}):
        path.write_text(json.dumps(record | {"model": part}))
        assert "model.json" in refused("predict", model, ward)


def test_evaluating_nothing(refused, ward):
    assert "nothing to evaluate; give --learners, --from RUN" in refused("evaluate", ward, "--learners", "")


def test_encoders_that_do_not_exist_or_are_given_a_size(refused, ward, tmp_path):
    for command in (
        ["adapt", ward, "--learner", "logistic", "--out", tmp_path / "out"],
        ["meta-train", ward, "--out", tmp_path / "out"],
        ["evaluate", ward, "--out", tmp_path / "out"],
    ):
        assert "--encoder is 'lite9', but must be one of lite0" in refused(*command, "--encoder", "lite9")
        for option in ("--size", "--channels"):
            assert "are for pixels" in refused(*command, "--encoder", "lite0", option, "3")
        assert "0 pixels per side are too small" in refused(*command, "--size", "0")


def test_resuming_with_a_damaged_history(refused, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    command = ["meta-train", write_ward(tmp_path / "big", textured(2, patients=10)), *TRAIN, "--out", out]
    with monkeypatch.context() as patch:
        patch.setattr("medshot.learners.run.write_run", raise_full_disk)
        assert medshot(*command) == 2
    capsys.readouterr()
    history = out / "events.jsonl"
    history.write_bytes(b"\xff\n" + history.read_bytes())
    assert "events.jsonl is damaged at line 1" in refused(*command, "--resume")


def raise_full_disk(*_: object) -> None:
    raise StorageError("No space is left; free some.")


def test_resuming_what_is_not_there_or_done(refused, ward, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["meta-train", write_ward(tmp_path / "big", textured(2, patients=10)), *TRAIN, "--out", out]
    assert "no unfinished run" in refused(*command, "--resume")
    assert medshot(*command) == 0
    capsys.readouterr()
    assert "finished run" in refused(*command, "--resume")
