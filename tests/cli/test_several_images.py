"""The command line on samples of several images; any of them may be missing."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import medshot
from small_tasks import write_manifest

import medshot as library

TRAIN = ("--steps", 2, "--shots", "1,2", "--queries", 1, "--ways", 2, "--batch", 2, "--engine", "loop")


def study(folder: Path, seed: int, samples: int = 16) -> Path:
    """Write a manifest of samples with two images that differ between classes; every fourth lacks one of them."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(samples):
        row = []
        for name, missing in (("flair", number % 8 == 3), ("post", number % 8 == 7)):
            picture = rng.integers(0, 120, (24, 24), dtype=np.uint8) + np.uint8(120 * (number % 2))
            path = folder / f"{name} {number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
            row.append("" if missing else path.name)
        rows.append((*row, ("dark", "bright")[number % 2], f"patient {number}"))
    return write_manifest(folder / "task.csv", [("image:flair", "image:post", "label", "patient"), *rows])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that was trained on samples of two images."""
    folder = tmp_path_factory.mktemp("training")
    source = study(folder / "first", 1, samples=32)
    assert medshot("meta-train", source, "--learner", "protonet", "--images", 2, *TRAIN, "--out", folder / "run") == 0
    return folder / "run"


def test_from_meta_training_to_predictions_of_samples_that_lack_an_image(tmp_path, run, capsys):
    target, model = study(tmp_path / "second", 2), tmp_path / "model"
    assert medshot("adapt", target, "--from", run, "--shots", 4, "--out", model) == 0
    capsys.readouterr()
    assert medshot("info", model) == 0
    assert "up to 2 images a sample" in capsys.readouterr().out
    assert json.loads((model / "model.json").read_text())["learner"]["input"]["images"] == 2
    new = study(tmp_path / "third", 3)
    whole = predicted(model, new, capsys)
    assert [row["image"] for row in whole[2:4]] == [str(new.parent / "flair 2.png"), str(new.parent / "post 3.png")]
    assert accuracy(whole) == 1
    for column, other in (("image:flair", "image:post"), ("image:post", "image:flair")):
        rows = list(csv.DictReader(new.read_text().splitlines()))
        kept = [row for row in rows if row[other]]
        lacking = [(row[other], "") for row in kept]
        rows_printed = predicted(model, write_manifest(new.parent / "new.csv", [(other, column), *lacking]), capsys)
        assert len(rows_printed) == len(kept)
        assert accuracy(rows_printed) == 1


def predicted(model: Path, manifest: Path, capsys: pytest.CaptureFixture) -> list[dict[str, str]]:
    assert medshot("predict", model, manifest) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert all(0 <= float(row["p_dark"]) <= 1 for row in rows)
    return rows


def accuracy(rows: list[dict[str, str]]) -> float:
    """Return the share of predictions that match the number in the name of the file."""
    truth = [("dark", "bright")[int(Path(row["image"]).stem.split()[-1]) % 2] for row in rows]
    return float(np.mean([row["predicted"] == true for row, true in zip(rows, truth, strict=True)]))


def test_one_of_its_images_was_seen_in_training_and_a_test_on_it_is_refused(tmp_path, run, capsys):
    fresh = study(tmp_path / "fresh", 4)
    seen = next((run.parent / "first").glob("post *.png"))
    rows = [line.split(",") for line in fresh.read_text().splitlines()]
    (fresh.parent / "copy.png").write_bytes(seen.read_bytes())
    rows[1][1] = "copy.png"
    write_manifest(fresh, rows)
    assert medshot("evaluate", fresh, "--from", run, "--learners", "logistic", "--shots", 2, "--episodes", 2) == 2
    assert "shares 1 of its 16 images" in capsys.readouterr().err


def test_samples_of_several_images_are_scored_and_reported(tmp_path, run, capsys):
    target, out = study(tmp_path / "second", 5), tmp_path / "evaluation"
    asked = ("--learners", "logistic", "--shots", 2, "--episodes", 2, "--out", out)
    assert medshot("evaluate", target, "--from", run, *asked) == 0
    assert (out / "report.html").stat().st_size > 0


def test_more_images_than_the_run_takes_are_refused(tmp_path, run, capsys):
    source = study(tmp_path / "second", 2)
    lines = source.read_text().splitlines()
    rows = [
        [f"image:{name}" if number == 0 else f"{name}.png", *line.split(",")]
        for name, (number, line) in zip(["t1", *map(str, range(16))], enumerate(lines), strict=True)
    ]
    for number in range(16):
        (source.parent / f"{number}.png").write_bytes((source.parent / f"flair {number}.png").read_bytes())
    assert medshot("adapt", write_manifest(source, rows), "--from", run, "--out", tmp_path / "model") == 2
    assert "--images 3" in capsys.readouterr().err


def test_a_learner_of_single_images_refuses_several(tmp_path, capsys):
    source = study(tmp_path / "second", 2)
    options = ("--encoder", "lite0", "--out", tmp_path / "model")
    assert medshot("adapt", source, "--learner", "logistic", *options) == 2
    assert "--images 2" in capsys.readouterr().err


@pytest.mark.parametrize("images", [0, -1])
def test_no_images_are_refused(tmp_path, images, capsys):
    source = study(tmp_path / "second", 2)
    assert medshot("adapt", source, "--learner", "logistic", "--images", images, "--out", tmp_path / "model") == 2
    assert "images" in capsys.readouterr().err


def test_a_named_learner_takes_the_images_that_there_are(tmp_path):
    source = study(tmp_path / "second", 2)
    (task,) = library.load_tasks(source)
    names = [task.classes[label] for label in task.labels]
    classifier = library.FewShotClassifier("logistic").fit(task.images, names)
    assert classifier.learner_.input_spec.images == 2
    assert (classifier.predict(task.images) == names).all()
    assert medshot("adapt", source, "--learner", "logistic", "--out", tmp_path / "model") == 0
    assert library.load(tmp_path / "model").learner_.input_spec == classifier.learner_.input_spec
