from dataclasses import replace

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from medshot.errors import InputError
from medshot.imaging.ecg import ecg_page
from medshot.imaging.ecg.page import GAIN, LEADS, LEFT, ROW, SCALE, SECONDS, SPEED, TOP, lead_name
from medshot.imaging.scan import Scan

QUARTER = SECONDS * SPEED / 4
PLACES = {name: (row, column) for row, names in enumerate(
    (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
) for column, name in enumerate(names)}  # fmt: skip


def waveform(values: dict[str, np.ndarray], *, step: float = 2.0, units: str = "mV") -> Scan:
    array = np.stack(list(values.values()))[None]
    return Scan(array=array, kind="waveform", spacing=(None, None, step), units=units, leads=tuple(values))


def pulses(height: float, *, samples: int = 5000) -> np.ndarray:
    """Return zeros with a pulse of 100 ms in the middle of every 2.5 seconds, sampled every 2 ms."""
    values = np.zeros(samples)
    for start in range(600, samples, 1250):
        values[start : start + 50] = height
    return values


def place(page: np.ndarray, name: str) -> np.ndarray:
    """Return the ink in the place of a lead, without a millimetre at its sides."""
    row, column = PLACES[name]
    top, left = TOP + (row - 0.5) * ROW, LEFT + column * QUARTER
    return (
        page[
            round(top * SCALE) : round((top + ROW) * SCALE),
            round((left + 1) * SCALE) : round((left + QUARTER - 1) * SCALE),
        ]
        < 128
    )


def deflection(page: np.ndarray, name: str) -> float:
    """Return the millimetres from the base line to the top of the highest stroke."""
    rows = np.flatnonzero(place(page, name).any(axis=1))
    return (round(ROW / 2 * SCALE) - rows[0]) / SCALE


@pytest.fixture(scope="module")
def recording() -> Scan:
    dataset = pydicom.dcmread(get_testdata_file("waveform_ecg.dcm"))
    channels = dataset.WaveformSequence[0].ChannelDefinitionSequence
    names = tuple(channel.ChannelSourceSequence[0].CodeMeaning for channel in channels)
    array = dataset.waveform_array(0).T[None]
    return Scan(array=array, kind="waveform", spacing=(None, None, 1.0), units="uV", leads=names)


def test_a_recording_fills_every_place_and_is_drawn_alike_each_time(recording: Scan) -> None:
    page = ecg_page(recording)
    assert (page.dtype, page.shape) == (np.uint8, (608, 1080))
    for name in LEADS:
        assert place(page, name).any(axis=0).all(), name
    assert np.array_equal(page, ecg_page(recording))


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(12)))
def test_leads_are_in_their_places_in_any_order_of_the_file(recording: Scan, order: list[int]) -> None:
    shuffled = replace(recording, array=recording.array[:, order], leads=tuple(recording.leads[k] for k in order))
    assert np.array_equal(ecg_page(shuffled), ecg_page(recording))


@settings(max_examples=20, deadline=None)
@given(height=st.floats(0.1, 0.8), name=st.sampled_from(LEADS))
def test_twice_the_voltage_is_twice_the_deflection(height: float, name: str) -> None:
    small, large = (deflection(ecg_page(waveform({name: pulses(size)})), name) for size in (height, 2 * height))
    assert small == pytest.approx(GAIN * height, abs=0.6)
    assert large - small == pytest.approx(GAIN * height, abs=0.3)


def test_units_and_a_constant_offset_change_nothing() -> None:
    page = ecg_page(waveform({"V2": pulses(0.5)}))
    assert np.array_equal(page, ecg_page(waveform({"V2": 1000 * pulses(0.5)}, units="uV")))
    assert np.array_equal(page, ecg_page(waveform({"V2": pulses(0.5) + 3})))


def test_a_missing_lead_leaves_its_place_empty(recording: Scan) -> None:
    page = ecg_page(replace(recording, array=recording.array[:, :6], leads=recording.leads[:6]))
    assert [name for name in LEADS if place(page, name).any()] == list(LEADS[:6])


def test_a_short_recording_shows_its_end_where_it_does_not_reach() -> None:
    page = ecg_page(waveform({"I": pulses(0.5, samples=1300), "V6": pulses(0.5, samples=1300)}))
    assert deflection(page, "V6") == pytest.approx(deflection(page, "I"), abs=0.3)


@pytest.mark.parametrize(
    ("name", "known"),
    [("Lead I (Einthoven)", "I"), ("MDC_ECG_LEAD_AVF", "aVF"), ("v3", "V3"), ("Lead aVR", "aVR"), ("X", None)],
)
def test_names_of_leads(name: str, known: str | None) -> None:
    assert lead_name(name) == known


@pytest.mark.parametrize(
    ("scan", "says"),
    [
        (waveform({"I": np.full(500, np.nan)}), "lead I holds values that are not finite"),
        (waveform({"I": pulses(1), "Lead I": pulses(1)}), "lead I twice"),
        (waveform({"X": pulses(1)}), "leads are X, none of the twelve"),
        (waveform({"I": pulses(1)}, units="mmHg"), "unit is 'mmHg'"),
        (waveform({"I": pulses(1)}, step=0.0), "0.0 ms from sample to sample"),
        (replace(waveform({"I": pulses(1)}), leads=()), "one name per lead"),
        (Scan(array=np.zeros((1, 8, 8)), kind="picture"), "this is a picture"),
    ],
)
def test_what_cannot_be_drawn_is_refused(scan: Scan, says: str) -> None:
    with pytest.raises(InputError, match=says):
        ecg_page(scan)
