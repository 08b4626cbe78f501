"""Values read from single files, compared with values obtained in other ways."""

import numpy as np
import pytest
from dicom_files import FILES, dataset, film, more_files, write
from numpy.testing import assert_allclose, assert_array_equal
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from medshot.imaging import read


def mentions(scan, word: str) -> bool:
    return any(word in sentence for sentence in scan.assumed)


def test_ct_is_in_hounsfield_units_with_its_place_in_ras(tmp_path):
    scan = read(write(tmp_path / "a.dcm", dataset()))
    assert_array_equal(scan.array, np.arange(20).reshape(1, 4, 5) - 1024)
    assert (scan.kind, scan.modality, scan.units, scan.spacing) == ("picture", "CT", "HU", (2.0, 0.5, 0.75))
    assert_allclose(scan.affine @ [0, 0, 0, 1], [10, 20, 30, 1])
    assert_allclose(scan.affine @ [0, 1, 0, 1], [10, 19.5, 30, 1])
    assert_allclose(scan.affine @ [0, 0, 1, 1], [9.25, 20, 30, 1])
    assert_allclose(scan.affine @ [1, 0, 0, 1], [10, 20, 32, 1])
    assert scan.assumed == ()


def test_names_become_keys_unless_identity_is_asked_for(tmp_path):
    path = write(tmp_path / "a.dcm", dataset())
    hashed, named = read(path), read(path, identity=True)
    assert (named.patient, named.study, named.series) == ("P1", "1.2.3", "1.2.3.4")
    for key in (hashed.patient, hashed.study, hashed.series):
        assert len(key) == 16
        assert int(key, 16) >= 0
    other = read(write(tmp_path / "b.dcm", dataset(IssuerOfPatientID="Elsewhere")))
    assert other.patient != hashed.patient
    nobody = read(write(tmp_path / "c.dcm", dataset(PatientID="")))
    assert nobody.patient == ""
    assert mentions(nobody, "PatientID")


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_padded.dcm",
    ],
)
def test_every_lossless_form_of_one_slice_is_the_same(name):
    assert_array_equal(read(FILES / name).array, read(FILES / "MR_small.dcm").array)


def test_known_values():
    mr, ct = read(FILES / "MR_small.dcm"), read(FILES / "CT_small.dcm")
    stored = np.frombuffer(dcmread(FILES / "CT_small.dcm").PixelData, "<i2").reshape(1, 128, 128)
    assert_array_equal(ct.array, stored.astype(int) - 1024)
    assert (mr.array[0, 0, :3].tolist(), mr.array[0, -1, -1]) == ([905, 1019, 1227], 862)
    assert mr.spacing == (0.8, 0.3125, 0.3125)
    assert mr.window == (-200.0, 1399.0)


@pytest.mark.parametrize("name", ["color-pl.dcm", "color-px.dcm"])
def test_planar_configuration(name):
    scan = read(more_files(name))
    assert scan.array.shape == (1, 120, 256, 3)
    assert_array_equal(scan.array, read(more_files("color-px.dcm")).array)


@pytest.mark.parametrize("name", ["OBXXXX1A_expb.dcm", "OBXXXX1A_rle.dcm"])
def test_a_palette_is_looked_up_in_any_byte_order(name):
    scan = read(more_files(name))
    plain = dcmread(more_files("OBXXXX1A.dcm"))
    reds = np.frombuffer(plain.RedPaletteColorLookupTableData, "<u2") >> 8
    assert_array_equal(scan.array[0, ..., 0], reds[plain.pixel_array])
    assert scan.array.dtype == np.uint8


def test_lossless_jpeg_is_its_uncompressed_twin():
    scan = read(more_files("JPEG-LL.dcm"))
    assert scan.array.shape == (1, 1024, 256)
    assert (int(scan.array.min()), int(scan.array.max())) == (0, 278)


@pytest.mark.parametrize("name", ["SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_rle.dcm"])
def test_luminance_and_chroma_become_rgb(name):
    truth = dcmread(more_files("SC_rgb.dcm")).pixel_array
    assert np.abs(read(FILES / name).array[0].astype(int) - truth).mean() < 3  # one of them is lossy


def test_jpeg_of_12_bits():
    pytest.importorskip("imagecodecs")
    scan = read(FILES / "JPGExtended.dcm")
    assert scan.array.max() == 264


def test_monochrome1_is_inverted_with_its_window_and_reported(tmp_path):
    pixels = np.arange(20, dtype=np.uint16).reshape(4, 5)
    changes = {"BitsStored": 12, "HighBit": 11, "WindowCenter": 10.5, "WindowWidth": 11}
    dark = read(write(tmp_path / "a.dcm", film(pixels, PhotometricInterpretation="MONOCHROME1", **changes)))
    assert_array_equal(dark.array[0], 4095 - pixels.astype(int))
    assert dark.window == (4095 - 15, 4095 - 5)
    assert mentions(dark, "MONOCHROME1")
    counts = read(write(tmp_path / "b.dcm", dataset(pixels, PhotometricInterpretation="MONOCHROME1")))
    assert_array_equal(counts.array[0], pixels.astype(int) - 1024)


def test_signed_pixels_lose_the_bits_beyond_those_stored(tmp_path):
    pixels = np.array([[0x0FFF, 0xF001], [0x07FF, 0xA800]], np.uint16)
    made = film(pixels, BitsStored=12, HighBit=11, PixelRepresentation=1)
    assert_array_equal(read(write(tmp_path / "a.dcm", made)).array[0], [[-1, 1], [2047, -2048]])


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_what_is_compressed_comes_back(tmp_path, syntax):
    pixels = np.random.default_rng(0).integers(0, 4096, (70, 65)).astype(np.uint16)
    made = film(pixels, BitsStored=12, HighBit=11)
    made.compress(syntax)
    assert_array_equal(read(write(tmp_path / "a.dcm", made)).array[0], pixels)


def test_deflated_files(tmp_path):
    made = dataset()
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert_array_equal(read(write(tmp_path / "a.dcm", made)).array[0], np.arange(20).reshape(4, 5) - 1024)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_pixels(tmp_path, dtype):
    pixels = np.linspace(-1, 1, 20, dtype=dtype).reshape(4, 5)
    made = film(pixels)
    keyword = "FloatPixelData" if dtype is np.float32 else "DoubleFloatPixelData"
    setattr(made, keyword, made.PixelData)
    del made.PixelData, made.BitsStored, made.HighBit, made.PixelRepresentation
    assert_array_equal(read(write(tmp_path / "a.dcm", made)).array[0], pixels)


def test_a_modality_table_is_looked_up(tmp_path):
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4, 2, 12], [5, 50, 500, 4000]
    table["LUTDescriptor"].VR = table["LUTData"].VR = "US"
    pixels = np.array([[0, 2], [3, 9]], np.uint16)
    made = film(pixels, ModalityLUTSequence=[table])
    assert_array_equal(read(write(tmp_path / "a.dcm", made)).array[0], [[5, 5], [50, 4000]])


def test_the_first_of_several_windows_is_used_and_reported(tmp_path):
    made = dataset(WindowCenter=[40, 500], WindowWidth=[401, 2000])
    scan = read(write(tmp_path / "a.dcm", made))
    assert scan.window == (-160.5, 239.5)
    assert mentions(scan, "2 windows")
    exact = read(write(tmp_path / "b.dcm", dataset(WindowCenter=40, WindowWidth=400, VOILUTFunction="LINEAR_EXACT")))
    assert exact.window == (-160, 240)
    curve = read(write(tmp_path / "c.dcm", dataset(WindowCenter=40, WindowWidth=400, VOILUTFunction="SIGMOID")))
    assert mentions(curve, "SIGMOID")
    nothing = read(write(tmp_path / "d.dcm", dataset(WindowCenter=40, WindowWidth=0)))
    assert nothing.window is None
    assert mentions(nothing, "impossible")


def test_a_missing_pixel_spacing_is_never_made_up(tmp_path):
    detector = read(write(tmp_path / "a.dcm", film(PixelSpacing=None, ImagerPixelSpacing=[0.1, 0.2])))
    assert detector.spacing == (None, 0.1, 0.2)
    assert mentions(detector, "ImagerPixelSpacing")
    nothing = read(write(tmp_path / "b.dcm", film(PixelSpacing=None)))
    assert nothing.spacing == (None, None, None)
    assert mentions(nothing, "pixel spacing")


def test_overlays_are_masks_and_never_burnt_in():
    scan = read(FILES / "examples_overlay.dcm")
    assert scan.overlays.shape == scan.array.shape
    assert_array_equal(scan.overlays[0], dcmread(FILES / "examples_overlay.dcm").overlay_array(0x6000)[:300, :484])


def test_an_overlay_in_unused_bits(tmp_path):
    mask = np.eye(4, 5, dtype=np.uint16)
    made = film(np.arange(20, dtype=np.uint16).reshape(4, 5) | mask << 12, BitsStored=12, HighBit=11)
    for element, kind, value in (
        (0x0010, "US", 4),
        (0x0011, "US", 5),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 16),
        (0x0102, "US", 12),
    ):
        made.add_new((0x6000, element), kind, value)
    scan = read(write(tmp_path / "a.dcm", made))
    assert_array_equal(scan.array[0], np.arange(20).reshape(4, 5))
    assert_array_equal(scan.overlays[0], mask.astype(bool))


def test_burnt_in_annotation_and_body_part(tmp_path):
    scan = read(write(tmp_path / "a.dcm", dataset(BurnedInAnnotation="YES", BodyPartExamined="CHEST")))
    assert (scan.burnt_in, scan.body_part) == (True, "CHEST")
    region = Dataset()
    region.CodeMeaning = "Head"
    coded = read(write(tmp_path / "b.dcm", dataset(AnatomicRegionSequence=[region])))
    assert (coded.burnt_in, coded.body_part) == (None, "HEAD")


def test_an_electrocardiogram_in_millivolts():
    scan = read(FILES / "waveform_ecg.dcm")
    assert (scan.kind, scan.array.shape, scan.units) == ("waveform", (1, 12, 10_000), "mV")
    assert scan.leads[:3] == ("I", "II", "III") or scan.leads[0].startswith("I")
    assert scan.spacing == (None, None, 1.0)
    raw = dcmread(FILES / "waveform_ecg.dcm").waveform_array(0)  # microvolts
    assert_allclose(scan.array[0, 0], raw[:, 0] / 1000, rtol=1e-6)


def test_a_dose_is_a_volume_with_its_scaling():
    dose, header = read(FILES / "rtdose.dcm"), dcmread(FILES / "rtdose.dcm")
    assert dose.kind == "volume"
    assert_allclose(np.sort(dose.array, axis=0), np.sort(header.pixel_array * float(header.DoseGridScaling), axis=0))
    assert dose.spacing[0] == pytest.approx(5.0)
