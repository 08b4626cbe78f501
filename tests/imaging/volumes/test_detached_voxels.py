"""The voxels in a second file are part of an image's identity, whatever that file is called."""

import gzip
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
from volume_files import META, NRRD

from medshot.audit.facts import file_identity
from medshot.imaging import FileImages, VolumeInput
from medshot.imaging.decoding import content_hash
from medshot.imaging.volumes import files_of_volume


def voxels_of(value: int) -> bytes:
    return np.full(24, value, np.int16).tobytes()


def metaimage(folder: Path, value: int, name: str = "scan.mhd") -> Path:
    (folder / "voxels.raw").write_bytes(voxels_of(value))
    header = folder / name
    header.write_text(META.replace("LOCAL", "voxels.raw"))
    return header


def nrrd(folder: Path, value: int, name: str = "scan.nhdr") -> Path:
    (folder / "voxels.bin").write_bytes(voxels_of(value))
    header = folder / name
    header.write_text(NRRD + "data file: voxels.bin\n")
    return header


def nifti_pair(folder: Path, value: int, ending: str = ".hdr") -> Path:
    image = nibabel.Nifti1Pair(np.full((4, 3, 2), value, np.int16), np.eye(4))
    nibabel.save(image, folder / "scan.img")
    return folder / f"scan{ending}"


def packed_pair(folder: Path, value: int) -> Path:
    for made in (nifti_pair(folder, value), folder / "scan.img"):
        made.with_name(f"{made.name}.gz").write_bytes(gzip.compress(made.read_bytes(), mtime=0))
        made.unlink()
    return folder / "scan.hdr.gz"


def analyze(folder: Path, value: int) -> Path:
    nibabel.save(nibabel.AnalyzeImage(np.full((4, 3, 2), value, np.int16), np.eye(4)), folder / "scan.img")
    return folder / "scan.hdr"


DETACHED = {
    "mhd": metaimage,
    "mha that names a file": lambda folder, value: metaimage(folder, value, "scan.mha"),
    "nhdr": nrrd,
    "nrrd that names a file": lambda folder, value: nrrd(folder, value, "scan.nrrd"),
    "header of another name": lambda folder, value: metaimage(folder, value, "header.txt"),
    "hdr": nifti_pair,
    "packed hdr": packed_pair,
    "analyze": analyze,
}


@pytest.mark.parametrize("make", DETACHED.values(), ids=DETACHED)
def test_equal_headers_with_other_voxels_are_other_images(make, tmp_path):
    paths = []
    for number, value in enumerate((1, 2, 1)):
        (tmp_path / str(number)).mkdir()
        paths.append(make(tmp_path / str(number), value))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    one, other, again = map(content_hash, paths)
    assert one != other
    assert one == again


@pytest.mark.parametrize("ending", [".hdr", ".img"])
def test_the_header_of_a_pair_counts_by_either_name(ending, tmp_path):
    path = nifti_pair(tmp_path, 5, ending)
    before = content_hash(path)
    assert before == content_hash(tmp_path / "scan.hdr") == content_hash(tmp_path / "scan.img")
    header = tmp_path / "scan.hdr"
    header.write_bytes(header.read_bytes()[:112] + np.float32(3).tobytes() + header.read_bytes()[116:])  # the slope
    assert content_hash(path) != before


def test_other_files_beside_a_header_do_not_count(tmp_path):
    path = metaimage(tmp_path, 1)
    before = content_hash(path)
    (tmp_path / "scan.json").write_text("{}")
    assert content_hash(path) == before


@pytest.mark.parametrize("named", ["../outside.raw", "missing.raw"])
def test_voxels_that_are_not_read_are_not_hashed(named, tmp_path):
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "outside.raw").write_bytes(b"one")
    path = folder / "scan.mhd"
    path.write_text(META.replace("LOCAL", named))
    assert files_of_volume(path) == [path]
    before = content_hash(path)
    (tmp_path / "outside.raw").write_bytes(b"two")
    assert content_hash(path) == before


@pytest.mark.parametrize("make", [metaimage, nrrd])
def test_the_cache_gives_the_voxels_of_each_image(make, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path / "cache"))
    got = []
    for number in (0, 1):
        (tmp_path / str(number)).mkdir()
        path = make(tmp_path / str(number), 0)
        content = np.zeros(24, np.int16)
        content[number::2] = 100
        next(child for child in path.parent.iterdir() if child != path).write_bytes(content.tobytes())
        got.append(np.array(FileImages([path]).pixels(VolumeInput(size=8))))
    assert not np.array_equal(*got)


def test_a_check_measures_an_image_again_when_any_of_its_files_changed(tmp_path):
    def changed(path: Path, data: Path) -> bool:
        before = file_identity(str(path))
        data.write_bytes(data.read_bytes()[::-1])
        os.utime(data, ns=(1, 1))
        return file_identity(str(path)) != before

    assert changed(metaimage(tmp_path, 1), tmp_path / "voxels.raw")
    assert changed(nifti_pair(tmp_path, 1), tmp_path / "scan.img")
    series = tmp_path / "series"
    series.mkdir()
    (series / "1.dcm").write_bytes(b"slice")
    assert changed(series, series / "1.dcm")
