"""The command line on volumes."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from command_line import medshot
from small_tasks import textured, write_manifest, write_volumes

from medshot import FewShotClassifier, VolumeInput, load

SMALL = ("--dimensions", "3", "--size", "12")


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Return a manifest of 16 volumes of two classes, one file each."""
    task = textured(1, patients=8, size=12, depth=10)
    names = write_volumes(task, tmp_path / "scans")
    rows = [(name, str(label)) for name, label in zip(names, task.labels, strict=True)]
    return write_manifest(tmp_path / "scans" / "task.csv", [("image", "label"), *rows])


def test_from_meta_training_to_a_report(tmp_path, scans, capsys):
    run, model, evaluation = tmp_path / "run", tmp_path / "model", tmp_path / "evaluation"
    other = textured(2, patients=16, size=12, depth=10)
    np.savez_compressed(tmp_path / "other.npz", train_images=other.images.array, train_labels=other.labels)
    settings = ("--steps", 2, "--shots", "1,2", "--queries", 1, "--ways", 2, "--batch", 2, "--engine", "loop")
    trained = medshot("meta-train", tmp_path / "other.npz", "--learner", "protonet", *SMALL, *settings, "--out", run)
    assert trained == 0
    assert json.loads((run / "run.json").read_text())["learner"]["input"] == {
        "dimensions": 3,
        "channels": 1,
        "size": 12,
    }
    assert medshot("adapt", scans.parent, "--from", run, "--out", model) == 0
    capsys.readouterr()
    assert medshot("predict", model, scans.parent) == 0
    rows_printed = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [Path(row["image"]).name for row in rows_printed] == sorted(path.name for path in scans.parent.glob("*.npz"))
    paths = [row["image"] for row in rows_printed]
    predicted = FewShotClassifier.load(model).predict(paths)
    assert [row["predicted"] for row in rows_printed] == list(predicted)
    done = medshot(
        *("evaluate", scans, "--from", run, "--learners", "logistic", "--shots", 2, "--episodes", 2),
        *("--out", evaluation),
    )
    assert done == 0
    assert (evaluation / "report.html").read_text().count("data:image/png") > 4


def test_a_test_on_volumes_that_were_trained_on_is_refused(tmp_path, scans, capsys):
    settings = ("--steps", 1, "--shots", 1, "--queries", 1, "--ways", 2, "--batch", 1, "--engine", "loop")
    assert medshot("meta-train", scans, "--learner", "protonet", *SMALL, *settings, "--out", tmp_path / "run") == 0
    capsys.readouterr()
    # other bytes of the same volumes
    task = textured(1, patients=8, size=12, depth=10)
    np.savez(tmp_path / "copy.npz", train_images=task.images.array, train_labels=task.labels)
    assert medshot("evaluate", tmp_path / "copy.npz", "--from", tmp_path / "run", "--shots", 1) == 2
    assert "shares 16 of its 16 images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--encoder", "lite0"), "--dimensions 3"),
        (("--dimensions", 4), "--dimensions is 4, but must be 2 for pictures or 3 for volumes"),
        (("--dimensions", 3, "--channels", 3), "volumes have 1 channel, not 3"),
        (("--dimensions", 3, "--encoder", "lite0"), "--dimensions are for pixels"),
    ],
)
def test_what_does_not_suit_volumes_is_refused_in_one_sentence(tmp_path, scans, capsys, options, expected):
    assert medshot("adapt", scans, "--learner", "logistic", *options, "--out", tmp_path / "model") == 2
    printed = capsys.readouterr().err
    assert expected in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "model").exists()


def test_volumes_need_no_option(tmp_path, scans):
    assert medshot("adapt", scans, "--learner", "logistic", "--out", tmp_path / "model") == 0
    assert load(tmp_path / "model").learner_.input_spec == VolumeInput()
    task = textured(1, patients=4, size=12, depth=10)
    model = FewShotClassifier("logistic").fit(task.images.array, task.labels)
    assert model.predict_proba(task.images.array).shape == (8, 2)
    assert model.learner_.input_spec.dimensions == (1, 32, 32, 32)
