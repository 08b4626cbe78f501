"""The display of scans in eight bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.testing import assert_array_equal

from medshot.errors import InputError
from medshot.imaging import Scan, display

VALUES = np.array([[[-1400, -600, 0, 40, 80, 300, 1500]]], np.int16)


def scan(array: np.ndarray, **about: object) -> Scan:
    return Scan(array=array, kind=about.pop("kind", "volume"), **about)


def test_ct_goes_through_the_window_of_its_body_part():
    def shown(part: str) -> list[int]:
        return display(scan(VALUES, modality="CT", units="HU", body_part=part))[0, 0].tolist()

    assert shown("CHEST") == [0, 128, 230, 236, 243, 255, 255]  # -1350 to 150
    assert shown("HEAD") == [0, 0, 0, 128, 255, 255, 255]
    assert shown("ABDOMEN") == shown("") == [0, 0, 96, 121, 147, 255, 255]
    assert shown("KNEE") == [0, 0, 71, 76, 82, 113, 255]
    assert shown("CSPINE") != shown("HEADNECK") != shown("HEAD")


def test_mr_slices_stay_comparable():
    volume = np.concatenate([np.full((1, 9, 9), value, np.uint16) for value in (0, 100, 200, 300)])
    shown = display(scan(volume, modality="MR"))
    assert shown[:, 0, 0].tolist() == [0, 0, 128, 255]


def test_films_go_through_the_window_of_the_file():
    shown = display(scan(VALUES, modality="DX", window=(0.0, 300.0), kind="picture"))
    assert shown[0, 0].tolist() == [0, 0, 0, 34, 68, 255, 255]


def test_colours_stay_as_they_are():
    colours = np.arange(60, dtype=np.uint8).reshape(1, 4, 5, 3)
    assert_array_equal(display(scan(colours, modality="US")), colours)
    assert_array_equal(display(scan(colours.astype(np.uint16) * 257)), colours)


def test_positron_emission_begins_at_zero():
    values = np.linspace(0, 1000, 1001, dtype=np.float32).reshape(1, 7, 143)
    shown = display(scan(values, modality="PT"))
    assert (shown.min(), shown.max()) == (0, 255)
    assert shown.ravel()[995] == 255


def test_a_waveform_has_no_picture():
    with pytest.raises(InputError, match="waveform"):
        display(scan(np.zeros((1, 2, 3), np.float32), kind="waveform"))


@given(
    array=arrays.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32]), st.tuples(*[st.integers(1, 4)] * 3)
    ).filter(lambda array: bool(np.isfinite(array).all())),
    modality=st.sampled_from(["CT", "MR", "DX", "PT", ""]),
)
def test_greater_is_never_darker_and_constant_is_black(array, modality):
    shown = display(scan(array, modality=modality, units="HU" if modality == "CT" else ""))
    assert (shown.dtype, shown.shape) == (np.uint8, array.shape)
    order = np.argsort(array.ravel(), kind="stable")
    assert (np.diff(shown.ravel()[order].astype(int)) >= 0).all()
    if array.min() == array.max():
        assert not shown.any()
