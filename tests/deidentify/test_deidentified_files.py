"""Clean pictures, volumes and folders have nothing that identifies."""

import hashlib
import json
import struct
import zlib
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from identifying_files import FEW, MADE, made_dicom, made_png, saved, secrets
from PIL import Image

from medshot.deidentify import deidentify, identifying, identifying_name
from medshot.deidentify.formats import format_of
from medshot.errors import InputError, StorageError
from medshot.imaging.pseudonyms import CannotClean, Pseudonyms


@pytest.mark.parametrize("suffix", MADE)
@FEW
@given(secret=secrets)
def test_no_text_in_a_picture_or_volume_is_in_its_copy(suffix: str, secret: str) -> None:
    content = MADE[suffix](secret)
    kind = format_of(content)
    assert kind.suffix == suffix
    assert kind.find(content)
    clean = kind.clean(content, Pseudonyms()).content
    assert secret.encode() not in clean
    assert b"1997" not in clean
    assert not kind.find(clean)
    assert kind.same(content, clean)
    assert kind.clean(clean, Pseudonyms()).content == clean
    if suffix in (".png", ".jpg"):
        assert Image.open(BytesIO(clean)).getexif() == {0x0112: 6}
    if suffix == ".nii":
        before, after = nib.Nifti1Image.from_bytes(content), nib.Nifti1Image.from_bytes(clean)
        np.testing.assert_array_equal(before.get_fdata(), after.get_fdata())
        np.testing.assert_array_equal(before.affine, after.affine)
    if suffix in (".nrrd", ".mha"):
        assert clean.endswith(bytes(range(12)))


def states(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "QUIXBYZK Anna").mkdir(parents=True)
    (source / "malignant").mkdir()
    (source / "QUIXBYZK Anna" / "scan 19970314.dcm").write_bytes(saved(made_dicom()))
    for number, suffix in enumerate(MADE):
        (source / "malignant" / f"VWXKQJZZ, 54y, F {number}{suffix}").write_bytes(MADE[suffix]("VWXKQJZZB"))
    (source / "malignant" / "VWXKQJZZ.png").write_bytes(made_png("VWXKQJZZB")[:90])
    (source / "letter VWXKQJZZ.txt").write_text("VWXKQJZZ")
    (tmp_path / "outside.png").write_bytes(made_png("OUTSIDEQ"))
    (source / "link.png").symlink_to(tmp_path / "outside.png")
    (source / "task.csv").write_text(
        "image,label,patient,age,name,scan,remark\n"
        '"malignant/VWXKQJZZ, 54y, F 0.png",malignant,VWXKQJZZ,93,VWXKQJZZ,1997-03-14,said VWXKQJZZ\n'
        '"malignant/VWXKQJZZ, 54y, F 1.jpg",benign,VWXKQJZZ,54,VWXKQJZZ,1997-03-15,was VWXKQJZZ\n'
        "../outside.png,benign,OUTSIDEQ,54,b,1997-03-15,z\n"
    )
    return source


def test_a_folder_leaves_without_what_identifies(hospital: Path, tmp_path: Path) -> None:
    before = states(hospital)
    done = deidentify(hospital, tmp_path / "out")
    assert states(hospital) == before
    assert done.cleaned == 1 + len(MADE)
    assert {Path(path).name for path, _ in done.left_out} == {"VWXKQJZZ.png", "letter VWXKQJZZ.txt", "link.png"}
    assert done.folder_names == ("malignant",)
    for path in (tmp_path / "out").rglob("*"):
        assert not identifying_name(path.relative_to(tmp_path / "out"))
        content = path.read_bytes() if path.is_file() else b""
        for secret in ("QUIXBYZK", "VWXKQJZZ", "OUTSIDEQ", "4711", "1997", "54y"):
            assert secret not in str(path.relative_to(tmp_path))
            assert secret.encode() not in content
        if path.is_file() and path.suffix != ".json":
            assert not identifying(path), path
    lines = (tmp_path / "out" / "task.csv").read_text().splitlines()
    assert lines[0] == "image,label,patient,age"
    assert [line.split(",")[3] for line in lines[1:]] == ["90+", "54"]
    assert all((tmp_path / "out" / line.split(",")[0]).is_file() for line in lines[1:])
    assert len({line.split(",")[2] for line in lines[1:]}) == 1
    report = json.loads((tmp_path / "out" / "deidentification.json").read_text())
    assert len(report["left_out"]) == 3
    assert report["manifests"][0]["dropped"] == 1


def test_the_copy_never_lies_in_the_source_or_over_something(hospital: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="inside"):
        deidentify(hospital, hospital / "clean")
    with pytest.raises(InputError, match="does not exist"):
        deidentify(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "there").mkdir()
    with pytest.raises(StorageError, match="exists already"):
        deidentify(hospital, tmp_path / "there")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image"):
        deidentify(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_picture_with_a_tag_of_too_many_values_is_cleaned_without_a_warning() -> None:
    content = MADE[".jpg"]("QUIXBYZK")
    orientation = struct.pack(">HHI", 0x0112, 3, 1)
    assert orientation in content
    content = content.replace(orientation, struct.pack(">HHI", 0x0112, 3, 2))
    kind = format_of(content)
    assert kind.find(content)
    assert b"QUIXBYZK" not in kind.clean(content, Pseudonyms()).content


@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([*MADE, ".dcm"]), st.randoms(use_true_random=False))
def test_damaged_files_are_cleaned_or_refused(suffix: str, random) -> None:
    content = bytearray(saved(made_dicom()) if suffix == ".dcm" else MADE[suffix]("QUIXBYZK"))
    for _ in range(random.randrange(1, 8)):
        content[random.randrange(len(content))] = random.randrange(256)
    content = bytes(content[: random.randrange(len(content))] if random.random() < 0.3 else content)
    try:
        kind = format_of(content)
        kind.find(content)
        kind.clean(content, Pseudonyms())
    except CannotClean as error:
        reason = str(error)
    else:
        reason = ""
    assert "QUIXBYZK" not in reason


def test_a_chunk_of_a_bad_checksum_is_damage() -> None:
    content = made_png("QUIXBYZK")
    body = b"tEXtQ\0Q"
    broken = content[:33] + struct.pack(">I", 3) + body + struct.pack(">I", zlib.crc32(body) ^ 1) + content[33:]
    with pytest.raises(CannotClean, match="damaged PNG"):
        format_of(broken).clean(broken, Pseudonyms())
