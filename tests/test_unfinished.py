"""Folders of unfinished training: every command names how to continue, also before the first checkpoint."""

import json
from pathlib import Path

import pytest
from command_line import PIXELS, TRAIN, medshot, write_ward
from small_tasks import textured

from medshot.errors import StorageError
from medshot.storage import read_arrays, read_metadata, write_arrays
from medshot.unfinished import CHECKPOINT, EVENTS, check_unfinished, is_unfinished, why_not


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    return write_ward(tmp_path / "tasks", textured(1, patients=12))


def train(ward: Path, out: Path, *options: object) -> int:
    return medshot("meta-train", ward, "--learner", "protonet", *PIXELS, *TRAIN, "--out", out, *options)


@pytest.fixture
def stopped(ward, tmp_path, monkeypatch) -> Path:
    """Return the folder of a run that was stopped after its first step."""
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(
            "medshot.training.outer.StopRequest.__enter__", lambda stop: setattr(stop, "requested", True) or stop
        )
        assert train(ward, out) == 130
    return out


def test_every_command_says_how_to_continue(stopped, ward, tmp_path, capsys):
    capsys.readouterr()
    for command in (
        ["info", stopped],
        ["adapt", ward, "--from", stopped, "--out", tmp_path / "model"],
        ["evaluate", ward, "--from", stopped],
        ["forecast", ward, "--from", stopped],
    ):
        assert medshot(*command) == 2
        assert "is an unfinished run, stopped after step 1 of 3; give the medshot meta-train" in capsys.readouterr().err
    assert train(ward, stopped) == 2
    assert "holds an unfinished run, stopped after step 1 of 3; give the same command with --resume" in (
        capsys.readouterr().err
    )
    assert train(ward, stopped, "--resume") == 0


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--steps", "5"], "steps (3 before, 5 now)"),
        (["--seed", "1"], "seed (0 before, 1 now)"),
        (["--queries", "2", "--batch", "3"], "batch (2 before, 3 now), queries (1 before, 2 now)"),
    ],
)
def test_other_settings_are_named(stopped, ward, capsys, options, expected):
    capsys.readouterr()
    assert train(ward, stopped, "--resume", *options) == 2
    assert f"made with other tasks or settings: {expected}; give the same" in capsys.readouterr().err


def test_other_tasks_are_named(stopped, ward, capsys):
    next(ward.glob("*/*.png")).unlink()
    assert train(ward, stopped, "--resume") == 2
    assert f"task {ward.name} (other images, labels or patients)" in capsys.readouterr().err


def test_a_checkpoint_of_an_earlier_version_is_refused_without_names(stopped, ward, capsys):
    path = stopped / CHECKPOINT
    progress = json.loads(read_metadata(path)["progress"])
    del progress["content"]
    write_arrays(path, read_arrays(path), {"progress": json.dumps(progress)})
    capsys.readouterr()
    assert train(ward, stopped, "--resume", "--seed", "1") == 2
    assert "with other tasks or settings; give the same ones" in capsys.readouterr().err
    assert train(ward, stopped, "--resume") == 0


@pytest.mark.parametrize("left", [[], [EVENTS], [EVENTS, f".{CHECKPOINT}.1.part"]])
def test_a_run_killed_before_its_first_checkpoint_starts_again(left, ward, tmp_path, capsys):
    out = tmp_path / "run"
    out.mkdir()
    for name in left:
        (out / name).write_text("")
    if left:
        assert train(ward, out) == 2
        assert "stopped before its first checkpoint; give the same command with --resume" in capsys.readouterr().err
        assert medshot("info", out) == 2
        assert "stopped before its first checkpoint" in capsys.readouterr().err
    assert train(ward, out, "--resume") == 0
    assert (out / "run.json").exists()


@pytest.mark.parametrize("kind", ["run", "encoder"])
def test_other_folders_are_neither_continued_nor_filled(kind, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert not is_unfinished(tmp_path)
    with pytest.raises(StorageError, match="exists already"):
        check_unfinished(tmp_path, f"{kind}.json", resume=False)
    with pytest.raises(StorageError, match=f"no unfinished {kind} to continue"):
        check_unfinished(tmp_path, f"{kind}.json", resume=True)
    assert why_not(tmp_path, "run").endswith("(it has no run.json); check the path.")


def test_a_folder_of_another_kind_is_named(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    assert "is a run, not a model; adapt it first" in why_not(tmp_path, "model")
    (tmp_path / "run.json").rename(tmp_path / "model.json")
    assert "is not a run but a model" in why_not(tmp_path, "run")
