"""A check says if one class, split or task was saved as JPEG of another quality."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file

from medshot.audit.audit import audit
from medshot.audit.jpeg import jpeg_quality

rng = np.random.default_rng(0)


def picture() -> np.ndarray:
    return np.clip(rng.normal(120, 40, (24, 24)), 0, 255).astype(np.uint8)


def saved(path: Path, quality: int) -> Path:
    """Save noise as JPEG, or as PNG if the quality is 0."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": quality} if quality else {}
    Image.fromarray(picture()).save(path, "JPEG" if quality else "PNG", **options)
    return path


@pytest.mark.parametrize("quality", [1, 10, 30, 49, 50, 51, 75, 90, 95, 99, 100])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("progressive", [True, False])
def test_the_quality_of_a_jpeg_is_the_one_it_was_saved_with(quality, mode, progressive):
    file = BytesIO()
    Image.fromarray(picture()).convert(mode).save(
        file, "JPEG", quality=quality, progressive=progressive, exif=Image.Exif(), comment=b"\xff\xdb\0\1"
    )
    assert jpeg_quality(file.getvalue()) == quality


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"\xff\xd8\xff\xdb\0\x43\0" + bytes(9), b"\x89PNG" * 99])
def test_other_and_damaged_files_have_no_quality(content):
    assert jpeg_quality(content) == 0


def test_the_quality_of_a_jpeg_in_a_dicom_file_is_found():
    path = Path(get_testdata_file("SC_rgb_jpeg_lossy_gdcm.dcm"))
    assert dcmread(path).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
    assert jpeg_quality(path.read_bytes()) > 0
    assert jpeg_quality(Path(get_testdata_file("CT_small.dcm")).read_bytes()) == 0


def manifest(folder: Path, quality_of) -> Path:
    """A task of two classes and two splits; `quality_of` gives the quality of the class and split of each image."""
    rows = ["image,label,patient,split"]
    for number in range(48):
        label, split = "ab"[number % 2], ("train", "test")[number // 2 % 2]
        path = saved(
            folder / f"{number}.{'jpg' if quality_of(label, split, number) else 'png'}",
            quality_of(label, split, number),
        )
        rows.append(f"{path.name},{label},p{number},{split}")
    (folder / "task.csv").write_text("\n".join(rows))
    return folder / "task.csv"


def found(*paths: Path) -> dict[str, str]:
    verdict = audit(list(paths)).verdict
    return {finding.name: finding.harm for finding in verdict.findings if "compression" in finding.name}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("quality_of", "expected"),
    [
        (lambda label, split, number: 75, set()),
        (lambda label, split, number: 0, set()),
        (lambda label, split, number: (75, 95)[number % 3 == 0], {"mixed-compression"}),
        (lambda label, split, number: (75, 95)[label == "a"], {"mixed-compression", "compression-differs-by-class"}),
        (lambda label, split, number: (0, 95)[label == "a"], {"mixed-compression", "compression-differs-by-class"}),
        (lambda label, split, number: (0, 90)[split == "test"], {"mixed-compression", "compression-differs-by-split"}),
    ],
)
def test_compression_that_differs_by_class_or_split_is_doubtful(tmp_path, quality_of, expected):
    harms = found(manifest(tmp_path / "task", quality_of))
    assert set(harms) == expected
    assert all(harm == ("note" if name == "mixed-compression" else "doubtful") for name, harm in harms.items())


def test_a_support_and_queries_of_other_compression_are_doubtful(tmp_path):
    support = manifest(tmp_path / "support", lambda *_: 0)
    queries = manifest(tmp_path / "queries", lambda *_: 75)
    assert found(support, queries) == {"compression-differs-between-tasks": "doubtful"}
    assert found(support, manifest(tmp_path / "more", lambda *_: 0)) == {}
