"""The check command: exit codes, and output that is safe to open."""

import csv
import json

import numpy as np
import pytest
from audit_data import named, smooth, two, write_data
from command_line import PIXELS, medshot
from PIL import Image


@pytest.fixture
def clean(tmp_path):
    return write_data(tmp_path / "clean", smooth(1, 40), two(40), patient=named(40))


def test_exit_codes(clean, tmp_path, capsys):
    assert medshot("check", clean, *PIXELS) == 0
    assert "nothing harmful" in " ".join(capsys.readouterr().out.split())
    (clean / "0001.png").write_bytes(b"broken")
    assert medshot("check", clean, *PIXELS) == 1
    assert "unreadable" in capsys.readouterr().out
    for arguments in (
        [tmp_path / "none"],
        [clean, "--encoder", "lite9"],
        [clean, "--out", clean],
        [clean, "--label", "x"],
    ):
        assert medshot("check", *arguments) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("error: ")


def test_json_names_the_findings(clean, capsys):
    (clean / "0001.png").unlink()
    assert medshot("check", clean, *PIXELS, "--json") == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["verdict"] == "harmful"
    assert printed["findings"][0]["name"] == "unreadable"
    assert printed["tasks"][0]["unreadable"] == 1


def test_the_encoder_suspects_labels(tmp_path, capsys):
    images = [*smooth(2, 20), *np.random.default_rng(0).integers(0, 255, (20, 64, 64), dtype=np.uint8)]
    labels = ["smooth"] * 20 + ["noise"] * 20
    labels[3] = "noise"
    folder = write_data(tmp_path / "set", images, labels, patient=named(40))
    medshot("check", folder, "--json")
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert findings["label-suspects"]["examples"][0]["image"].endswith("0003.png")


def test_hostile_names_are_escaped_and_neutralised(tmp_path, capsys):
    evil = "<script>alert(1)<!--script>"
    images = smooth(3, 24)
    for number, image in enumerate([*images, images[0], images[1]]):
        path = tmp_path / "data" / ("=cmd()" if number % 2 else evil) / f"{evil}{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, pnginfo=None, compress_level=number % 3)
    out = tmp_path / "out"
    medshot("check", tmp_path / "data", *PIXELS, "--out", out)
    page = (out / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "data:image/png;base64," in page
    rows = list(csv.reader((out / "findings.csv").read_text().splitlines()))
    assert rows[0] == ["harm", "finding", "task", "image", "caption", "sentence", "advice"]
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row)
    assert json.loads((out / "findings.json").read_text())["findings"]
