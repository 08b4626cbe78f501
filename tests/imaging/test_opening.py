"""`read` recognises formats by content, and refuses harmful archives before unpacking them."""

import io
import stat
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from numpy.testing import assert_array_equal
from PIL import Image as Pillow

from medshot.errors import InputError
from medshot.imaging import read, read_image

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
GREY = np.random.default_rng(0).integers(0, 256, (12, 17), dtype=np.uint8)


def refused(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(path)
    for word in (str(path), *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_pictures_are_recognised_by_content(tmp_path):
    for extension, shown in ((".png", GREY), (".tiff", GREY), (".png", np.dstack([GREY] * 3))):
        path = tmp_path / "picture.dat"
        path.write_bytes(cv2.imencode(extension, shown)[1].tobytes())
        scan = read(path)
        assert_array_equal(scan.array[0], read_image(path))
        assert (scan.kind, scan.affine, scan.spacing) == ("picture", None, (None, None, None))
        assert scan.assumed


def test_pages_of_a_tiff(tmp_path):
    pages = [Pillow.fromarray(GREY + index) for index in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    scan = read(tmp_path / "a.tif")
    assert scan.kind == "frames"
    assert_array_equal(scan.array, np.stack([GREY + index for index in range(3)]))
    described = "ImageJ=1.53\nimages=3\nslices=3\n"
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=pages[1:], tiffinfo={270: described})
    assert read(tmp_path / "b.tif").kind == "volume"
    pages[2] = pages[2].resize((5, 5))
    pages[0].save(tmp_path / "c.tif", save_all=True, append_images=pages[1:])
    refused(tmp_path / "c.tif", "sizes")
    (tmp_path / "d.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-150])
    refused(tmp_path / "d.tif")


def test_a_zip_of_a_series_is_its_folder(tmp_path, shared_data):
    folder = shared_data / "dicom_series_sample"
    path = zipped(tmp_path / "a.zip", **{f"deep/{file.name}": file.read_bytes() for file in folder.glob("*.dcm")})
    assert_array_equal(read(path).array, read(folder).array)


def test_a_zip_of_one_file(tmp_path):
    path = zipped(tmp_path / "a.zip", **{"x.dcm": (FILES / "CT_small.dcm").read_bytes(), "__MACOSX/x": b"junk"})
    assert_array_equal(read(path).array, read(FILES / "CT_small.dcm").array)
    refused(zipped(tmp_path / "b.zip", **{"x.dcm": (FILES / "rtplan.dcm").read_bytes()}), "x.dcm", "RT Plan")


@pytest.mark.parametrize("name", ["../out.dcm", "a/../../out.dcm", "/etc/out.dcm", "..\\out.dcm", "C:\\out.dcm"])
def test_names_that_lead_out_of_the_archive(tmp_path, name):
    refused(zipped(tmp_path / "a.zip", **{name: b"x"}), "leads out")
    assert not list(tmp_path.rglob("out.dcm"))


def test_links(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("a.dcm")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    refused(path, "link")


def test_bombs(tmp_path, monkeypatch):
    refused(zipped(tmp_path / "a.zip", **{"a.dcm": bytes(60_000_000)}), "unpacks to more")
    monkeypatch.setattr("medshot.imaging.opening.SIZE_LIMIT", 10_000)
    refused(zipped(tmp_path / "b.zip", **{"a.dcm": np.random.default_rng(0).bytes(20_000)}), "unpacks to more")
    refused(zipped(tmp_path / "c.zip", **{f"{index}.dcm": b"" for index in range(20_001)}), "20,001 files")


def test_a_member_that_lies_about_its_size(tmp_path):
    path = zipped(tmp_path / "a.zip", **{"a.dcm": bytes(50_000)})
    content = bytearray(path.read_bytes())
    place = content.rfind(b"PK\x01\x02")
    content[place + 24 : place + 28] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    refused(path)


def test_archives_in_archives_encrypted_damaged_and_empty_ones(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("x", b"x")
    refused(zipped(tmp_path / "a.zip", **{"inner.dcm": inner.getvalue()}), "unpack it first")
    locked = bytearray(zipped(tmp_path / "b.zip", **{"x.dcm": b"x" * 100}).read_bytes())
    locked[6] |= 1
    locked[locked.rfind(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "b.zip").write_bytes(locked)
    refused(tmp_path / "b.zip", "encrypted")
    broken = zipped(tmp_path / "c.zip", **{"x.dcm": np.random.default_rng(0).bytes(5000)})
    broken.write_bytes(broken.read_bytes()[:3000])
    refused(broken, "zip")
    refused(zipped(tmp_path / "d.zip"), "empty")


def test_the_temporary_folder_vanishes(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    read(zipped(tmp_path / "a.zip", **{"x.dcm": (FILES / "CT_small.dcm").read_bytes()}))
    refused(zipped(tmp_path / "b.zip", **{"x.dcm": b"nothing" * 100}))
    assert not list((tmp_path / "temporary").iterdir())


def test_other_things(tmp_path):
    refused(tmp_path / "missing", "does not exist")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no files")
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7 and so on")
    refused(tmp_path / "a.pdf", "PDF")
    (tmp_path / "a.txt").write_text("hello")
    refused(tmp_path / "a.txt")


def test_reading_never_changes_the_file():
    before = (FILES / "MR_small.dcm").read_bytes()
    read(FILES / "MR_small.dcm")
    assert (FILES / "MR_small.dcm").read_bytes() == before
