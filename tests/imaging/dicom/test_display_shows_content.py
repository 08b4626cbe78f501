"""Content is never displayed black: sparse content, few bits, wide containers, windows that miss it."""

import numpy as np
import pytest
from dicom_files import film, write
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from medshot.imaging import ImageInput, Scan, display, percentile_window, read
from medshot.imaging.cache import decoded_files

rng = np.random.default_rng(0)


def scan(array: np.ndarray, **about: object) -> Scan:
    return Scan(array=array, kind="volume", **about)


def with_spot(background: float, spot: float | np.ndarray, dtype: type) -> np.ndarray:
    """A volume of 8,000 voxels of which 16 differ."""
    array = np.full((20, 20, 20), background, dtype)
    array[10, 8:12, 8:12] = spot
    return array


@pytest.mark.parametrize("modality", ["", "NM", "PT", "MR", "OT", "DX"])
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.float32, np.float64])
def test_a_spot_below_the_percentile_is_shown(modality, dtype):
    shown = display(scan(with_spot(0, 1000, dtype), modality=modality))
    assert (shown[10, 10, 10], shown[0, 0, 0], np.count_nonzero(shown)) == (255, 0, 16)


@given(background=st.integers(-500, 500), spot=st.integers(-500, 500), modality=st.sampled_from(["", "MR", "NM"]))
def test_two_levels_are_always_black_and_white(background, spot, modality):
    shown = display(scan(with_spot(background, spot, np.int16), modality=modality))
    if background != spot:
        assert shown[0, 0, 0] == (255 if background > spot else 0)
        assert shown[10, 10, 10] == (0 if background > spot else 255)


@given(background=st.integers(-500, 500), spot=st.integers(-500, 500))
def test_two_levels_of_positron_emission_stay_apart(background, spot):
    shown = display(scan(with_spot(background, spot, np.int16), modality="PT"))
    if background != spot:
        assert (shown[10, 10, 10] > shown[0, 0, 0]) == (spot > background)


@pytest.mark.parametrize("modality", ["", "MR", "PT"])
def test_percentiles_of_wide_signed_values_do_not_overflow(modality):
    shown = display(scan(np.array([[[-32768, 1, 32767]]], np.int16), modality=modality))
    assert (np.diff(shown.ravel().astype(int)) > 0).all() or modality == "PT"
    assert shown.ravel()[[0, 2]].tolist() == [0, 255]


def test_a_spot_of_several_values_keeps_them_apart():
    levels = display(scan(with_spot(0, np.arange(100, 116).reshape(4, 4), np.int16)))[10, 8:12, 8:12].ravel()
    assert (np.diff(levels.astype(int)) > 0).all()


def test_one_level_in_magnetic_resonance_is_shown():
    array = np.zeros((2, 9, 9), np.uint16)
    array[:, 3:6] = 700
    assert_array_equal(display(scan(array, modality="MR")), np.where(array, 255, 0))


@pytest.mark.parametrize("offset", [1e5, 1e7, 2e9, 1e12])
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_an_offset_far_larger_than_the_range_keeps_grey_levels(offset, dtype):
    levels = np.arange(256).reshape(1, 16, 16)
    assert_array_equal(
        display(scan((levels + offset).astype(dtype), modality="DX", window=(offset, offset + 255))), levels
    )


@pytest.mark.parametrize("scale", [1e-40, 1e-20, 1e20, 1e200])
def test_tiny_and_huge_ranges_are_shown(scale):
    shown = display(scan(np.linspace(0, scale, 2000).reshape(2, 20, 50)))
    assert (shown.min(), shown.max()) == (0, 255)
    assert (np.diff(shown.ravel().astype(int)) >= 0).all()


@pytest.mark.parametrize("window", [(5000.0, 9000.0), (-900.0, -100.0), (0.0, 65535.0)])
def test_a_window_that_misses_the_values_is_not_used(window):
    values = rng.integers(0, 1000, (1, 20, 20)).astype(np.uint16)
    assert_array_equal(display(scan(values, modality="DX", window=window)), display(scan(values, modality="DX")))


def test_air_stays_black_in_computed_tomography():
    values = rng.integers(-1010, -990, (1, 9, 9)).astype(np.int16)
    assert not display(scan(values, modality="CT", units="HU", body_part="HEAD")).any()


@pytest.mark.parametrize("most", [1, 2, 15])
def test_masks_of_eight_bits_are_shown(most):
    labels = rng.integers(0, most + 1, (3, 9, 9)).astype(np.uint8)
    shown = display(scan(labels))
    assert (shown.min(), shown.max()) == (0, 255)


@pytest.mark.parametrize("bits", range(2, 8))
def test_grey_of_few_bits_has_the_full_range(tmp_path, bits):
    values = rng.integers(0, 2**bits, (16, 16)).astype(np.uint8)
    values[0, :2] = 0, 2**bits - 1
    path = write(tmp_path / "few.dcm", film(values, Modality="US", BitsStored=bits, HighBit=bits - 1))
    assert_array_equal(display(read(path))[0], np.rint(values / (2**bits - 1) * np.float32(255)))


def test_grey_of_few_bits_is_not_stretched_beyond_its_range(tmp_path):
    values = np.full((16, 16), 3, np.uint8)
    values[0] = 5
    path = write(tmp_path / "few.dcm", film(values, Modality="US", BitsStored=4, HighBit=3))
    assert display(read(path)).max() == 85


@pytest.mark.parametrize("modality", ["OT", "US", "SEG"])
def test_one_bit_is_black_and_white(tmp_path, modality):
    values = rng.integers(0, 2, (16, 16)).astype(np.uint8)
    made = film(values, Modality=modality, BitsAllocated=1, BitsStored=1, HighBit=0)
    made.PixelData = np.packbits(values.ravel(), bitorder="little").tobytes()
    path = write(tmp_path / "bit.dcm", made)
    assert_array_equal(display(read(path))[0], values * 255)
    (fitted,) = decoded_files([path], ImageInput(channels=1, size=16))
    assert_array_equal(fitted[0], values * 255)


def test_a_fractional_segmentation_reaches_white_at_its_own_maximum(tmp_path):
    values = np.array([[0, 50, 100, 100]] * 4, np.uint8)
    path = write(tmp_path / "seg.dcm", film(values, Modality="SEG", MaximumFractionalValue=100))
    assert display(read(path))[0, 0].tolist() == [0, 128, 255, 255]


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 16])
@pytest.mark.parametrize("named", [True, False])
def test_colours_of_few_bits_have_the_full_range(tmp_path, bits, named):
    values = rng.integers(0, 2**bits, (16, 16, 3)).astype(np.uint16)
    values[0, 0] = 0, 1, 2**bits - 1
    stored = bits if named or bits > 12 else 16
    changes = {"BitsStored": stored, "HighBit": stored - 1, "SamplesPerPixel": 3, "PlanarConfiguration": 0}
    path = write(tmp_path / "rgb.dcm", film(values, Modality="XC", PhotometricInterpretation="RGB", **changes))
    top = 65535 if bits > 12 and stored == 16 else 2**bits - 1
    assert_array_equal(display(read(path))[0], np.rint(values / top * 255))


@pytest.mark.parametrize("modality", ["US", "OT", "DX"])
def test_the_window_of_an_eight_bit_file_is_used(tmp_path, modality):
    values = rng.integers(0, 16, (16, 16)).astype(np.uint8)
    values[0, :2] = 0, 15
    path = write(tmp_path / "window.dcm", film(values, Modality=modality, WindowCenter=8, WindowWidth=16))
    assert_array_equal(display(read(path))[0], values * 17)


def test_a_window_of_all_grey_levels_changes_nothing(tmp_path):
    values = rng.integers(0, 256, (16, 16)).astype(np.uint8)
    path = write(tmp_path / "all.dcm", film(values, Modality="US", WindowCenter=128, WindowWidth=256))
    assert_array_equal(display(read(path))[0], values)


def test_dark_details_on_a_background_of_one_level_survive_in_sixteen_bits():
    picture = np.full((100, 100), 1000, np.uint16)
    picture[50, 50:60] = 0
    assert_array_equal(percentile_window(picture), np.where(picture, 65535, 0))
