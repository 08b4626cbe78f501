"""`medshot predict`: one row per input whatever its files hold, and tables that can be continued."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from command_line import PIXELS, TRAIN, medshot, write_ward
from PIL import Image
from small_tasks import textured

import medshot as library
from medshot.cli import demonstration
from medshot.imaging import decoding
from medshot.learners.batch import IN_SUPPORT

RANDOM = np.random.default_rng(0)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Return a folder of six new images."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(6):
        write_picture(folder / f"{number}.png")
    return folder


@pytest.fixture
def mixed(scans: Path) -> Path:
    """Return the folder with broken images, pictures of other formats and files that are no images beside them."""
    (scans / "broken.png").write_bytes((scans / "0.png").read_bytes()[:60])
    (scans / "empty.jpg").write_bytes(b"")
    (scans / "text.tif").write_text("no image")
    (scans / "damaged.dcm").write_bytes(bytes(400))
    Image.open(scans / "0.png").save(scans / "same.bmp")
    (scans / "below").mkdir()
    (scans / "below" / "Thumbs.db").write_bytes(b"junk")
    (scans / "report.pdf").write_bytes(b"%PDF-1.4")
    (scans / ".DS_Store").write_bytes(b"junk")
    return scans


def write_picture(path: Path) -> None:
    Image.fromarray(RANDOM.integers(0, 256, (20, 20), dtype=np.uint8)).save(path)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def by_name(rows: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    return {Path(row["image"]).name: row for row in rows}


def test_every_file_is_read_through_once_for_its_prediction_and_its_warning(model, ward, monkeypatch, capsys):
    read, opened = decoding.read_content, []
    monkeypatch.setattr(decoding, "read_content", lambda path: opened.append(path) or read(path))
    assert medshot("predict", model, ward) == 0
    assert sorted(opened) == sorted(ward.glob("*/*.png"))
    assert len(capsys.readouterr().out.splitlines()) == len(opened) + 1


def test_unreadable_files_have_a_row_with_the_reason(model, mixed, tmp_path, capsys):
    out = tmp_path / "predictions.csv"
    assert medshot("predict", model, mixed, "--out", out) == 1
    rows = by_name(table(out))
    assert set(rows) == {
        *(f"{number}.png" for number in range(6)),
        *("broken.png", "empty.jpg", "text.tif", "damaged.dcm", "same.bmp"),
    }
    for name in ("broken.png", "empty.jpg", "text.tif", "damaged.dcm"):
        assert name in rows[name]["error"]
        assert rows[name]["predicted"] == rows[name]["p_direction 0"] == rows[name]["warning"] == ""
    assert rows["same.bmp"]["p_direction 0"] == rows["0.png"]["p_direction 0"] != ""
    assert "4 of 11 rows have an error (1 .dcm, 1 .jpg, 1 .png, 1 .tif)" in capsys.readouterr().err


def test_files_that_are_not_images_are_counted(model, mixed, capsys):
    medshot("predict", model, mixed)
    error = capsys.readouterr().err
    assert "Left out 3 files that are not images: 1 .DS_Store, 1 .pdf, 1 Thumbs.db." in error


def test_the_columns_keep_their_order_and_new_ones_follow(model, scans, capsys):
    assert medshot("predict", model, scans) == 0
    header = capsys.readouterr().out.splitlines()[0].split(",")
    assert header == ["image", "predicted", "p_direction 0", "p_direction 1", "warning", "assumed", "error"]


def test_readable_images_are_predicted_as_without_the_others(model, mixed, capsys):
    medshot("predict", model, mixed)
    together = by_name(list(csv.DictReader(capsys.readouterr().out.splitlines())))
    for number in range(6):
        assert medshot("predict", model, mixed / f"{number}.png") == 0
        alone = next(csv.DictReader(capsys.readouterr().out.splitlines()))
        assert alone == together[f"{number}.png"]


def test_strict_stops_at_the_first(model, mixed, tmp_path, capsys):
    assert medshot("predict", model, mixed, "--strict", "--out", tmp_path / "out.csv") == 2
    assert "broken.png" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_json_has_a_row_for_every_input(model, mixed, capsys):
    assert medshot("predict", model, mixed, "--json") == 1
    rows = json.loads(capsys.readouterr().out)["predictions"]
    assert len(rows) == 11
    assert {row["p_direction 0"] for row in rows if row["error"]} == {None}


def test_an_input_given_twice_has_one_row(model, scans, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert medshot("predict", model, scans, "scans", scans / "../scans/0.png") == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 7
    assert "7 inputs were given more than once; each has one row." in captured.err


def test_a_manifest_with_a_missing_and_a_repeated_image_has_a_row_for_each(model, scans, capsys):
    manifest = scans / "some.csv"
    manifest.write_text("image\n0.png\ngone.png\n0.png\n1.png\n")
    assert medshot("predict", model, manifest) == 1
    captured = capsys.readouterr()
    rows = by_name(list(csv.DictReader(captured.out.splitlines())))
    assert [*rows] == ["0.png", "gone.png", "1.png"]
    assert "does not exist" in rows["gone.png"]["error"]
    assert "given more than once" in captured.err


def test_a_missing_path_has_a_row_beside_others_and_is_refused_alone(model, scans, tmp_path, capsys):
    assert medshot("predict", model, scans / "0.png", tmp_path / "gone.png") == 1
    assert "does not exist" in capsys.readouterr().out
    assert medshot("predict", model, tmp_path / "gone.png") == 2


@pytest.mark.parametrize("lost", [0, 5], ids=["whole rows", "a row that was cut"])
def test_a_stopped_table_is_continued_to_the_same_table(model, scans, tmp_path, monkeypatch, capsys, lost):
    whole, out = tmp_path / "whole.csv", tmp_path / "out.csv"
    assert medshot("predict", model, scans, "--out", whole) == 0
    monkeypatch.setattr("medshot.learners.batch.BATCH", 2)
    predict_some = library.FewShotClassifier.predict_proba
    calls = []

    def fails_at_the_third(self, X, prevalence=None):
        calls.append(X)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return predict_some(self, X, prevalence)

    monkeypatch.setattr(library.FewShotClassifier, "predict_proba", fails_at_the_third)
    capsys.readouterr()
    assert medshot("predict", model, scans, "--out", out) == 130
    part = out.with_name("out.csv.part")
    assert f"{part} holds the rows so far; add --resume" in capsys.readouterr().err
    assert not out.exists()
    content = part.read_bytes()
    part.write_bytes(content[: len(content) - lost])
    capsys.readouterr()
    assert medshot("predict", model, scans, "--out", out) == 2
    assert "add --resume" in capsys.readouterr().err
    calls.clear()
    calls += [None] * 3
    assert medshot("predict", model, scans, "--out", out, "--resume") == 0
    assert f"{4 - (lost > 0)} of 6 rows were there already" in capsys.readouterr().err
    assert out.read_bytes() == whole.read_bytes()
    assert not part.exists()


def test_a_cut_table_is_continued_and_failed_rows_are_tried_again(model, mixed, tmp_path):
    out = tmp_path / "out.csv"
    assert medshot("predict", model, mixed, "--out", out) == 1
    shutil.copy(mixed / "0.png", mixed / "broken.png")
    for name in ("empty.jpg", "text.tif", "damaged.dcm"):
        (mixed / name).unlink()
    out.write_bytes(out.read_bytes()[:-10])
    assert medshot("predict", model, mixed, "--out", out, "--resume") == 0
    rows = by_name(table(out))
    assert len(rows) == 8
    assert rows["broken.png"]["p_direction 0"] == rows["0.png"]["p_direction 0"]


def test_a_table_of_another_model_is_not_continued(model, ward, scans, tmp_path, capsys):
    out, other = tmp_path / "out.csv", tmp_path / "other"
    assert medshot("adapt", ward, "--learner", "svm", *PIXELS, "--out", other) == 0
    assert medshot("predict", model, scans, "--out", out) == 0
    capsys.readouterr()
    assert medshot("predict", other, scans, "--out", out, "--resume") == 2
    assert "another model" in capsys.readouterr().err


def test_images_of_a_patient_are_put_together(model, scans, capsys):
    manifest = scans / "some.csv"
    (scans / "3.png").write_bytes(b"broken")
    manifest.write_text("image,patient\n0.png,A\n1.png,B\n2.png,A\n3.png,B\n")
    assert medshot("predict", model, manifest) == 1
    single = by_name(list(csv.DictReader(capsys.readouterr().out.splitlines())))
    assert medshot("predict", model, manifest, "--by", "patient") == 1
    first, second = csv.DictReader(capsys.readouterr().out.splitlines())
    shares = np.array([[float(single[name][f"p_direction {k}"]) for k in (0, 1)] for name in ("0.png", "2.png")])
    expected = np.exp(np.log(shares).mean(0))
    expected /= expected.sum()
    np.testing.assert_allclose([float(first[f"p_direction {k}"]) for k in (0, 1)], expected, atol=2e-6)
    assert (first["patient"], first["images"], first["error"]) == ("A", "2", "")
    assert (second["patient"], second["images"]) == ("B", "1")
    assert second["p_direction 0"] == single["1.png"]["p_direction 0"]
    assert "1 of 2 images could not be used" in second["error"]


def test_images_of_unknown_patients_stay_apart(model, scans, capsys):
    assert medshot("predict", model, scans, "--by", "patient") == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 7
    assert "The patient of 6 of 6 images is unknown" in captured.err


def test_images_of_the_support_are_named(model, ward, scans, capsys):
    first = next(ward.glob("*/*.png"))
    assert medshot("predict", model, first, scans) == 0
    captured = capsys.readouterr()
    rows = list(csv.DictReader(captured.out.splitlines()))
    assert [IN_SUPPORT in row["warning"] for row in rows] == [True] + [False] * 6
    assert "1 of 7 images are among those that the model was fitted on" in captured.err


def test_python_gives_the_rows_of_the_command(model, mixed, capsys):
    medshot("predict", model, mixed, "--json")
    rows = json.loads(capsys.readouterr().out)["predictions"]
    predictions = library.predict_files(model, [mixed])
    assert [row["image"] for row in predictions.rows] == [row["image"] for row in rows]
    for one, other in zip(predictions.rows, rows, strict=True):
        assert one["error"] == other["error"]
        if not one["error"]:
            assert one["p_direction 0"] == pytest.approx(other["p_direction 0"], abs=1e-6)
    assert predictions.inputs.left_out == {".pdf": 1, "Thumbs.db": 1, ".DS_Store": 1}


def test_what_was_not_learned_is_in_every_warning_and_in_info(tmp_path, scans, capsys):
    noise = tmp_path / "noise"
    for label in "ab":
        (noise / label).mkdir(parents=True)
        for number in range(8):
            write_picture(noise / label / f"{number}.png")
    assert medshot("adapt", noise, "--learner", "auto", *PIXELS, "--out", tmp_path / "nothing") == 0
    assert "Found nothing to learn" in capsys.readouterr().err
    assert medshot("predict", tmp_path / "nothing", scans) == 0
    captured = capsys.readouterr()
    assert all("Found nothing to learn" in row["warning"] for row in csv.DictReader(captured.out.splitlines()))
    assert "Found nothing to learn" in captured.err
    assert medshot("info", tmp_path / "nothing") == 0
    assert "Found nothing to learn" in capsys.readouterr().out


def test_a_volume_has_a_reason_beside_pictures(model, scans, capsys):
    np.savez(scans / "volume.npz", np.zeros((4, 20, 20), np.uint8))
    assert medshot("predict", model, scans) == 1
    rows = by_name(list(csv.DictReader(capsys.readouterr().out.splitlines())))
    assert "three dimensions" in rows["volume.npz"]["error"]
    assert all(row["predicted"] for name, row in rows.items() if name.endswith(".png"))


def test_a_transductive_learner_takes_the_readable_images_together(tmp_path, mixed, capsys):
    ward = write_ward(tmp_path, textured(1, patients=4))
    transductive = tmp_path / "transductive"
    assert medshot("adapt", ward, "--learner", "transductive-prototypes", *PIXELS, "--out", transductive) == 0
    capsys.readouterr()
    assert medshot("predict", transductive, mixed) == 1
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert sum(bool(row["predicted"]) for row in rows) == 7


def test_adapt_names_images_that_the_learner_was_trained_on(tmp_path, capsys):
    folder = write_ward(tmp_path / "data", textured(1, patients=12))
    write_ward(tmp_path / "data", textured(2, patients=12))
    assert medshot("meta-train", tmp_path / "data", "--learner", "protonet", *TRAIN, "--out", tmp_path / "run") == 0
    capsys.readouterr()
    assert medshot("adapt", folder, "--from", tmp_path / "run", "--out", tmp_path / "own") == 0
    sentence = "24 of the 24 images are among those that 'protonet' was meta-trained on (24 identical)"
    assert sentence in capsys.readouterr().err
    assert medshot("info", tmp_path / "own") == 0
    assert sentence in capsys.readouterr().out
    new = write_ward(tmp_path / "new", textured(9, patients=6))
    assert medshot("adapt", new, "--from", tmp_path / "run", "--out", tmp_path / "other") == 0
    assert "are among those" not in capsys.readouterr().err


def test_the_predictions_of_quickstart_name_files_that_exist(tmp_path, monkeypatch):
    out = tmp_path / "out"
    task = textured(1, patients=12)
    (tmp_path / "part").mkdir()
    medshot("meta-train", write_ward(tmp_path, task), "--learner", "protonet", *TRAIN, "--out", tmp_path / "part/run")
    monkeypatch.setattr(demonstration, "SPEC", library.ImageInput(channels=1, size=20))
    demonstration._adapt_and_predict(tmp_path / "part", out, task, 0)
    (tmp_path / "part").rename(out)
    rows = table(out / "predictions.csv")
    assert rows
    assert all(Path(row["image"]).is_file() for row in rows)
