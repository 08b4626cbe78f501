"""Every kind of unusable file is refused in one sentence."""

from contextlib import suppress

import numpy as np
import pytest
from dicom_files import FILES, dataset, film, more_files, write
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)

from medshot.errors import InputError
from medshot.imaging import read


def refused(path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("name", "word"), [("reportsi.dcm", "SR"), ("rtplan.dcm", "RT Plan"), ("rtstruct.dcm", "RT Structure Set")]
)
def test_files_without_pixels(name, word):
    refused(FILES / name, word, "no pixels")


def test_an_encapsulated_pdf(tmp_path):
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = EncapsulatedPDFStorage, "1.2", "DOC"
    made.EncapsulatedDocument = b"%PDF-1.4"
    refused(write(tmp_path / "a.dcm", made), "Encapsulated PDF", "no pixels")


def test_a_missing_codec(tmp_path, monkeypatch):
    made = dataset()
    made.PixelData = encapsulate([b"\0" * 40])
    made.file_meta.TransferSyntaxUID = MPEG2MPML
    refused(write(tmp_path / "a.dcm", made), "MPEG2", "no decoder")
    monkeypatch.setattr("pydicom.pixels.common.CoderBase.available_plugins", ())
    refused(FILES / "MR_small_jp2klossless.dcm", "JPEG 2000", "install pylibjpeg-openjpeg")


def test_pixels_that_are_cut_off(tmp_path):
    refused(FILES / "MR_truncated.dcm", "cut off", "8,130 of 8,192")
    for syntax in (JPEG2000Lossless, RLELossless):
        made = film(np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16), BitsStored=12, HighBit=11)
        made.compress(syntax)
        path = write(tmp_path / "a.dcm", made)
        path.write_bytes(path.read_bytes()[:-2000])
        refused(path)


def test_a_compressed_frame_without_its_end(tmp_path):
    made = film(np.random.default_rng(0).integers(0, 4096, (64, 64)).astype(np.uint16), BitsStored=12, HighBit=11)
    made.compress(JPEG2000Lossless)
    from pydicom.encaps import generate_frames

    frame = next(generate_frames(made.PixelData, number_of_frames=1))
    made.PixelData = encapsulate([frame[: len(frame) // 2]])
    refused(write(tmp_path / "a.dcm", made), "cut off")


def test_damaged_lossless_jpeg_is_refused(tmp_path):
    content = bytearray(more_files("JPEG-LL.dcm").read_bytes())
    del content[-20_000:-10_000]
    content[-20_000:-19_000] = bytes(1000)
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    refused(path)


def test_frames_that_are_missing(tmp_path):
    made = film()
    made.compress(RLELossless)
    made.NumberOfFrames = 3
    refused(write(tmp_path / "a.dcm", made))


def test_a_codestream_of_another_size(tmp_path):
    made = film(np.zeros((64, 64), np.uint16))
    made.compress(JPEG2000Lossless)
    made.Rows = 32
    refused(write(tmp_path / "a.dcm", made), "32 × 64", "64 × 64")


@pytest.mark.parametrize("slope", ["NaN", "0", "inf"])
def test_a_slope_that_loses_the_values(tmp_path, slope):
    made = dataset()
    path = write(tmp_path / "a.dcm", made)
    element = b"\x28\x00\x53\x10DS\x02\x001 "
    content = path.read_bytes()
    assert element in content
    padded = slope + " " * (len(slope) % 2)
    path.write_bytes(content.replace(element, element[:6] + bytes([len(padded), 0]) + padded.encode()))
    refused(path, "RescaleSlope")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(tmp_path, value):
    made = film(np.full((4, 5), value, np.float32))
    made.FloatPixelData = made.PixelData
    del made.PixelData, made.BitsStored, made.HighBit, made.PixelRepresentation
    refused(write(tmp_path / "a.dcm", made), "not finite")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"Rows": 0}, "0 × 5"),
        ({"Rows": 30_000, "Columns": 30_000}, "limit"),
        ({"NumberOfFrames": 2_000_000_000}, "limit"),
        ({"BitsAllocated": 12, "BitsStored": 12}, "12 bits"),
        ({"BitsStored": 17}, "17 bits"),
        ({"HighBit": 11}, "HighBit"),
        ({"SamplesPerPixel": 7}, "7 samples"),
        ({"PhotometricInterpretation": "HSV"}, "HSV"),
        ({"PhotometricInterpretation": "YBR_PARTIAL_420", "SamplesPerPixel": 3}, "YBR_PARTIAL_420"),
        ({"Rows": None}, "Rows"),
    ],
)
def test_headers_that_cannot_be(tmp_path, changes, word):
    refused(write(tmp_path / "a.dcm", dataset(**changes)), word)


def test_a_compressed_file_that_claims_too_much(tmp_path):
    made = film()
    made.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    made.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    made.Rows = made.Columns = 30_000
    refused(write(tmp_path / "a.dcm", made), "limit")


def test_a_deflated_bomb(tmp_path, monkeypatch):
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    made = dataset(np.zeros((2000, 2000), np.uint16))
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = write(tmp_path / "a.dcm", made)
    assert path.stat().st_size < 20_000
    monkeypatch.setattr("medshot.imaging.dicom.header.BYTE_LIMIT", 1_000_000)
    refused(path, "inflates")


def test_a_single_pixel_is_read(tmp_path):
    assert read(write(tmp_path / "a.dcm", film(np.ones((1, 1), np.uint16)))).array.shape == (1, 1, 1)


def test_files_that_are_not_images(tmp_path):
    for content in (b"", b"x" * 5000, bytes(5000), b"\0" * 128 + b"DICM", b"%PDF-1.7 ..."):
        path = tmp_path / "a.dcm"
        path.write_bytes(content)
        refused(path)
    refused(tmp_path / "missing.dcm", "does not exist")


def test_the_sentence_survives_a_name_with_markup(tmp_path):
    path = tmp_path / "<script>alert(1)</script>.dcm".replace("/", "_")
    path.write_bytes(b"x" * 400)
    refused(path)


@pytest.mark.parametrize("name", ["MR_small_jp2klossless.dcm", "MR_small_RLE.dcm", "CT_small.dcm"])
def test_mutations_are_read_or_refused(tmp_path, name):
    content, random = (FILES / name).read_bytes(), np.random.default_rng(0)
    path = tmp_path / "a.dcm"
    for _ in range(60):
        changed = bytearray(content)
        for place in random.integers(132, len(content), 5):
            changed[place] = random.integers(256)
        path.write_bytes(changed)
        with suppress(InputError):
            read(path)
