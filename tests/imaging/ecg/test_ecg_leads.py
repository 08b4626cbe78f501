import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medshot.imaging import ImageInput, fit
from medshot.imaging.ecg import PAGE_PICTURES, ecg_page, page_pictures
from medshot.imaging.ecg.leads import SAMPLES, find_beats, find_layout, follow_traces, median_beats
from medshot.imaging.ecg.page import GAIN, LAYOUT, LEFT, ROW, SCALE, SECONDS, SPEED, TOP, read_ink, without_bars
from medshot.imaging.ecg.page import LEADS as NAMES
from medshot.imaging.scan import Scan
from medshot.simulated.ecg import HOSPITAL
from medshot.simulated.ecg_page import blank_page, inked, pen_range

SHAPE = (315, 560)
ORDER = [name for row in LAYOUT[:3] for name in row]


def beating(*pulsed: str) -> np.ndarray:
    """Draw a page of twelve flat leads; those named have a pulse of 0.8 mV every half second."""
    values = {name: np.zeros(5000) for name in NAMES}
    for name in pulsed:
        for start in range(100, 5000, 250):
            values[name][start : start + 40] = 0.8
    leads = np.stack(list(values.values()))[None]
    return ecg_page(Scan(array=leads, kind="waveform", spacing=(None, None, 2.0), units="mV", leads=tuple(values)))


def ruled_page(hue: float, strength: float, yellowing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a page on a simulated hospital's paper, the mask of its strokes, and the mask of bare paper."""
    hospital = {name: low for name, (low, _) in HOSPITAL.items()}
    hospital |= {"grid_hue": hue, "grid_strength": strength, "yellowing": yellowing, "separators": 0.0, "pen": 0.5}
    columns = round(SECONDS * 25.0 * SHAPE[1] / 280.0)
    time = np.linspace(0, 10, 4 * columns)
    rows = np.tile(np.where(time % 0.8 < 0.06, 0.9, 0.1 * np.sin(5 * time)), (4, 1))
    low, high = pen_range(rows, SHAPE, hospital)
    strokes = inked(low, high, SHAPE)
    paper, printed = blank_page(SHAPE, hospital)
    ink = np.maximum(strokes, printed)[:, :, None]
    picture = np.rint(255 * (paper + (0.07 - paper) * ink)).clip(0, 255).astype(np.uint8)
    return picture, strokes > 0.9, ink[:, :, 0] == 0


@settings(max_examples=8, deadline=None)
@given(hue=st.floats(0, 4.9), strength=st.floats(0.25, 0.8), yellowing=st.floats(-0.15, 0.2), dusk=st.floats(0, 0.5))
def test_strokes_stay_and_the_ruling_goes_in_any_light(
    hue: float, strength: float, yellowing: float, dusk: float
) -> None:
    picture, strokes, bare = ruled_page(hue, strength, yellowing)
    light = np.linspace(1, 1 - dusk, SHAPE[1])[:, None]
    ink = read_ink(np.rint(picture * light).astype(np.uint8))
    assert ink[strokes].mean() > 0.8
    assert ink[bare].mean() < 0.02


def test_a_turned_page_is_levelled() -> None:
    page = beating("I", "V5")
    turned = page.copy()
    for column in range(page.shape[1]):  # sheared by three degrees
        turned[:, column] = np.roll(page[:, column], round(0.052 * (column - 540)))
    level, before = (np.square(ink.sum(axis=1)).sum() for ink in (read_ink(turned), 1 - turned / 255))
    assert level > 2 * before


def test_bars_between_leads_go_and_beats_stay() -> None:
    page = beating(*NAMES)
    barred = page.copy()
    barred[40:500, 540:543] = 0
    ink = without_bars(read_ink(barred))
    assert ink[150:180, 538:545].max() == 0
    same = np.r_[0:530, 550:1080]
    assert np.abs(ink - read_ink(page))[:, same].mean() < 1e-3


def test_rows_and_ends_of_a_page_are_found() -> None:
    layout = find_layout(read_ink(beating("II", "V1")))
    assert layout.rows == pytest.approx([(TOP + row * ROW) * SCALE for row in range(4)], abs=3)
    assert layout.start == pytest.approx(LEFT * SCALE, abs=4)
    assert layout.end == pytest.approx((LEFT + SECONDS * SPEED) * SCALE, abs=4)


@settings(max_examples=6, deadline=None)
@given(name=st.sampled_from(ORDER))
def test_each_lead_is_cut_from_its_place(name: str) -> None:
    *leads, _ = page_pictures(beating(name))
    assert len(leads) == len(PAGE_PICTURES) - 1
    tall = [lead[: round(0.42 * len(lead))].any() for lead in leads]  # above the base line by more than its thickness
    assert [ORDER[k] for k in range(12) if tall[k]] == [name]
    assert tall[12] == (name == "II")


def test_the_bars_of_a_fitted_page_and_16_bits_change_little() -> None:
    page = beating("I", "aVF", "V3")
    fitted = fit(np.repeat(page[:, :, None], 3, axis=2), ImageInput(3, 1080)).transpose(1, 2, 0)
    deep = page.astype(np.uint16) * 257
    for other in (fitted, deep):
        for one, two in zip(page_pictures(page), page_pictures(other), strict=True):
            assert one.shape == two.shape
            assert np.abs(one.astype(float) - two).mean() < 3


@settings(max_examples=25, deadline=None)
@given(
    picture=st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(lambda shape: arrays(np.uint8, shape))
    | st.integers(1, 40).flatmap(lambda side: arrays(np.uint8, (side, side, 3)))
)
def test_any_picture_is_cut_in_fourteen(picture: np.ndarray) -> None:
    before = picture.copy()
    leads = page_pictures(picture)
    assert len(leads) == len(PAGE_PICTURES)
    assert all(lead.size > 0 and lead.dtype == np.uint8 for lead in leads)
    assert np.array_equal(picture, before)


def traced(*pulsed: str) -> np.ndarray:
    ink = read_ink(beating(*pulsed))
    return follow_traces(ink, find_layout(ink))


def test_traces_are_as_high_as_the_waveform() -> None:
    traces = traced("I")
    base = np.median(traces, axis=1)
    quarter = traces.shape[1] // 4
    millivolts = (traces - base[:, None]) * ROW / GAIN
    assert millivolts[0, :quarter].max() == pytest.approx(0.8, abs=0.05)
    assert np.abs(millivolts[0, quarter + 3 :]).max() < 0.05
    assert np.abs(millivolts[1:]).max() < 0.05


def test_every_beat_is_found() -> None:
    traces = traced(*NAMES)
    beats = find_beats(traces) * SECONDS / traces.shape[1]
    starts = np.arange(0.2, 10, 0.5)
    assert len(beats) == pytest.approx(len(starts), abs=1)
    assert np.abs(beats[:, None] - starts).min(axis=1).max() < 0.15


@settings(max_examples=6, deadline=None)
@given(name=st.sampled_from(ORDER))
def test_the_median_beat_is_in_the_lead_that_beats(name: str) -> None:
    beats = median_beats(traced(name)) * ROW / GAIN
    assert beats.shape == (12, SAMPLES)
    tall = np.ptp(beats, axis=1)
    assert ORDER[int(tall.argmax())] == name
    assert tall.max() > 0.5
    assert np.sort(tall)[-2] < 0.1


@settings(max_examples=8, deadline=None)
@given(shift=st.integers(0, 30))
def test_a_later_start_leaves_the_median_beat(shift: int) -> None:
    traces = traced(*NAMES)
    here, there = median_beats(traces), median_beats(np.roll(traces, shift, axis=1))
    assert np.corrcoef(here.ravel(), there.ravel())[0, 1] > 0.9
