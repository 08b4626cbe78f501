import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medshot.errors import InputError
from medshot.imaging import ImageInput, fit, percentile_window, window
from medshot.imaging.preparing import prepare

DTYPES = st.sampled_from([np.uint8, np.uint16])
SHAPES = st.builds(ImageInput, channels=st.sampled_from([1, 3]), size=st.integers(8, 48))


@st.composite
def images(draw: st.DrawFn, smallest: int = 1) -> np.ndarray:
    sides = (draw(st.integers(smallest, 60)), draw(st.integers(smallest, 60)))
    shape = sides if draw(st.booleans()) else (*sides, 3)
    dtype = draw(DTYPES)
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    return random.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


@pytest.mark.parametrize(("channels", "size"), [(0, 8), (2, 8), (4, 64), (1, 7), (3, 0), (3, -224), (1, 4097)])
def test_shapes_that_no_network_has_are_refused(channels: int, size: int) -> None:
    with pytest.raises(InputError):
        ImageInput(channels, size)


@settings(max_examples=50, deadline=None)
@given(image=images(), shape=SHAPES)
def test_fit_gives_the_shape_and_keeps_the_type_and_range(image: np.ndarray, shape: ImageInput) -> None:
    fitted = fit(image, shape)
    assert fitted.shape == (shape.channels, shape.size, shape.size)
    assert fitted.dtype == image.dtype
    assert fitted.max() <= image.max()


@settings(max_examples=50, deadline=None)
@given(height=st.integers(1, 300), width=st.integers(1, 300), shape=SHAPES)
def test_fit_keeps_the_aspect_ratio_and_centres(height: int, width: int, shape: ImageInput) -> None:
    fitted = fit(np.full((height, width), 255, np.uint8), shape)[0]
    rows, columns = np.flatnonzero(fitted.any(1)), np.flatnonzero(fitted.any(0))
    inner = fitted[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert (inner == 255).all()
    assert max(inner.shape) == shape.size
    scale = shape.size / max(height, width)
    assert abs(inner.shape[0] - max(1, height * scale)) <= 0.5
    assert abs(inner.shape[1] - max(1, width * scale)) <= 0.5
    assert abs(rows[0] - (shape.size - 1 - rows[-1])) <= 1
    assert abs(columns[0] - (shape.size - 1 - columns[-1])) <= 1


@settings(max_examples=50, deadline=None)
@given(image=images(), shape=SHAPES)
def test_fit_leaves_what_already_fits(image: np.ndarray, shape: ImageInput) -> None:
    once = fit(image, shape)
    again = fit(once[0] if shape.channels == 1 else once.transpose(1, 2, 0), shape)
    np.testing.assert_array_equal(again, once)


@settings(max_examples=50, deadline=None)
@given(image=images(), size=st.integers(8, 48))
def test_grey_becomes_three_equal_channels_and_comes_back(image: np.ndarray, size: int) -> None:
    grey = image if image.ndim == 2 else image[..., 0]
    colour = fit(grey, ImageInput(3, size))
    np.testing.assert_array_equal(colour, np.broadcast_to(fit(grey, ImageInput(1, size)), colour.shape))
    np.testing.assert_array_equal(fit(colour.transpose(1, 2, 0), ImageInput(1, size))[0], colour[0])


@settings(max_examples=50, deadline=None)
@given(image=images(), low=st.floats(-100, 70_000, width=32), width=st.floats(0, 70_000, width=32))
def test_a_window_is_monotone_and_saturates(image: np.ndarray, low: float, width: float) -> None:
    windowed = window(image, low, low + width)
    top = np.iinfo(image.dtype).max
    assert windowed.dtype == image.dtype
    order = np.argsort(image, axis=None)
    assert (np.diff(windowed.ravel()[order].astype(int)) >= 0).all()
    assert (windowed[image <= low] == 0).all()
    assert (windowed[(image > low) & (image >= low + width)] == top).all()


@settings(max_examples=50, deadline=None)
@given(image=images(smallest=4), low=st.floats(0, 20), high=st.floats(80, 100))
def test_percentile_windows_fill_the_range(image: np.ndarray, low: float, high: float) -> None:
    windowed = percentile_window(image, low, high)
    assert windowed.min() == 0
    assert windowed.max() == np.iinfo(image.dtype).max


@settings(max_examples=50, deadline=None)
@given(value=st.integers(0, 255), dtype=DTYPES, channels=st.sampled_from([(), (3,)]))
def test_constant_images_become_black(value: int, dtype: type, channels: tuple[int, ...]) -> None:
    assert (percentile_window(np.full((9, 7, *channels), value, dtype)) == 0).all()


@settings(max_examples=50, deadline=None)
@given(
    image=arrays.arrays(np.uint16, (12, 12), elements=st.integers(0, 4095)),
    factor=st.sampled_from([1, 2, 4, 8, 16]),
)
def test_the_bits_in_use_do_not_matter(image: np.ndarray, factor: int) -> None:
    """A 12-bit film stored in the low or the high bits of a 16-bit file gives the same pixels."""
    np.testing.assert_allclose(
        percentile_window(image * np.uint16(factor)).astype(int), percentile_window(image), atol=1
    )


@pytest.mark.parametrize(("low", "high"), [(10.0, 9.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_empty_windows_are_refused(low: float, high: float) -> None:
    image = np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError):
        window(image, low, high)
    with pytest.raises(InputError):
        percentile_window(image, low, high)


@settings(max_examples=50, deadline=None)
@given(image=images(), shape=SHAPES)
def test_prepared_8_bit_images_stay_what_they_are(image: np.ndarray, shape: ImageInput) -> None:
    small = (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image
    np.testing.assert_array_equal(prepare(small, shape, np.dtype(np.uint8)), fit(small, shape))
    wide = prepare(small, shape, np.dtype(np.uint16))
    np.testing.assert_array_equal(wide / 65535, fit(small, shape) / 255)
