"""Manifests of a clean copy name the images of the source's manifests, and nothing else."""

import numpy as np
from identifying_files import made_dicom, made_png, saved

from medshot.deidentify import deidentify
from medshot.imaging.folders import is_series
from medshot.tasks import read_images


def test_a_copy_keeps_arrays_series_and_missing_images(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    np.savez(source / "scan.npz", flair=np.zeros((4, 4, 4), np.uint8), post=np.ones((4, 4, 4), np.uint8))
    (source / "broken.png").write_bytes(made_png("QUIXBYZK")[:40])
    (source / "0.png").write_bytes(made_png("QUIXBYZK"))
    for number in range(3):
        made = made_dicom()
        made.SOPInstanceUID, made.ImagePositionPatient = f"1.2.3.{number}", [0, 0, 2.0 * number]
        (source / "ct").mkdir(exist_ok=True)
        (source / "ct" / f"IM{number}.dcm").write_bytes(saved(made))
    rows = ["image:flair,image:post,label", "scan.npz#flair,broken.png,ct", "ct,scan.npz#post,ct", "0.png,,ill"]
    (source / "task.csv").write_text("\n".join([*rows, "broken.png,,ill", "scan.npz#Jones,,ill"]) + "\n")
    for of_what in (source, source / "task.csv"):
        copy = tmp_path / f"copy of {of_what.name}"
        done = deidentify(of_what, copy / "clean")
        assert [name for name, _ in done.left_out] == ["broken.png"]
        named = read_images(copy / "clean" / "task.csv")
        flair, post = ([cell and cell.name for cell in named[name]] for name in ("flair", "post"))
        assert [cell and cell.rpartition("#")[2] for cell in flair] == ["flair", "ct", flair[2]]
        assert [cell and cell.rpartition("#")[2] for cell in post] == [None, "post", None]
        assert is_series(named["flair"][1])
        text = (copy / "clean" / "task.csv").read_text()
        assert "Jones" not in text
        assert [line.rpartition(",")[2] for line in text.splitlines()] == ["label", "ct", "ct", "ill"]
