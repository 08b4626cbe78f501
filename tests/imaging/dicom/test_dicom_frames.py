"""Values and places of multi-frame files: functional groups, the root beside them, mosaics, tiles and moments."""

import math
from typing import Any

import numpy as np
import pytest
from dicom_files import dataset, film, magnetic, more_files, write
from numpy.testing import assert_allclose, assert_array_equal
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medshot.errors import InputError
from medshot.imaging import ImageInput, read
from medshot.imaging.decoding import decoded

FRAMES = np.random.default_rng(0).integers(10, 200, (4, 6, 8)).astype(np.uint16)


def item(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def group(**elements: Any) -> Sequence:
    return Sequence([item(**elements)])


def enhanced(of_frame=lambda index: {}, pixels: np.ndarray = FRAMES, **changes: Any) -> Dataset:
    """A multi-frame MR volume; `of_frame` gives further groups of each frame."""
    bare = {"RescaleSlope": None, "RescaleIntercept": None, "PixelSpacing": None, "SliceThickness": None}
    bare |= {"ImagePositionPatient": None, "ImageOrientationPatient": None, "Modality": "MR"}
    made = dataset(pixels, NumberOfFrames=len(pixels), **{**bare, **changes})
    made.Rows, made.Columns = pixels.shape[1:3]
    made.SharedFunctionalGroupsSequence = group(
        PixelMeasuresSequence=group(PixelSpacing=[1, 1], SliceThickness=2),
        PlaneOrientationSequence=group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
    )
    made.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(PlanePositionSequence=group(ImagePositionPatient=[0, 0, 2 * index]), **of_frame(index))
            for index in range(len(pixels))
        ]
    )
    return made


def real_world(slope: float, intercept: float = 0.0) -> dict[str, Sequence]:
    unit = group(CodeValue="ms")
    mapping = group(RealWorldValueSlope=slope, RealWorldValueIntercept=intercept, MeasurementUnitsCodeSequence=unit)
    return {"RealWorldValueMappingSequence": mapping}


def test_real_world_values_that_differ_between_frames_are_applied(tmp_path):
    scan = read(write(tmp_path / "a.dcm", enhanced(lambda index: real_world(1.5 + index, index))))
    factors = np.arange(4)[:, None, None]
    assert_allclose(scan.array, FRAMES * (1.5 + factors) + factors)
    assert any("real-world values (ms)" in sentence for sentence in scan.assumed)


@pytest.mark.parametrize("place", ["frames", "shared", "root"])
def test_real_world_values_common_to_all_frames_are_reported(tmp_path, place):
    made = enhanced(lambda index: real_world(2.5) if place == "frames" else {})
    holder = {"shared": made.SharedFunctionalGroupsSequence[0], "root": made}.get(place)
    if holder is not None:
        holder.update(item(**real_world(2.5)))
    scan = read(write(tmp_path / "a.dcm", made))
    assert_array_equal(scan.array, FRAMES)
    if place != "root":
        assert any("slope 2.5; it was not applied" in sentence for sentence in scan.assumed)


def test_real_world_values_of_a_single_picture_are_reported(tmp_path):
    scan = read(write(tmp_path / "a.dcm", magnetic([0, 0, 0], **real_world(0.5))))
    assert any("slope 0.5; it was not applied" in sentence for sentence in scan.assumed)


def test_real_world_values_that_equal_the_rescaling_are_not_reported(tmp_path):
    def of_frame(index: int) -> dict[str, Sequence]:
        transform = group(RescaleSlope=index + 1, RescaleIntercept=0, RescaleType="US")
        return {**real_world(index + 1), "PixelValueTransformationSequence": transform}

    scan = read(write(tmp_path / "a.dcm", enhanced(of_frame)))
    assert_array_equal(scan.array, FRAMES * np.arange(1, 5)[:, None, None])
    assert not any("real-world" in sentence for sentence in scan.assumed)


def test_real_world_values_beside_rescalings_that_differ_are_reported(tmp_path):
    def of_frame(index: int) -> dict[str, Sequence]:
        transform = group(RescaleSlope=index + 1, RescaleIntercept=0, RescaleType="US")
        return {**real_world(3 * index + 1), "PixelValueTransformationSequence": transform}

    scan = read(write(tmp_path / "a.dcm", enhanced(of_frame)))
    assert_array_equal(scan.array, FRAMES * np.arange(1, 5)[:, None, None])
    assert any("slope 1 to 10; it was not applied" in sentence for sentence in scan.assumed)


def test_a_rescaling_at_the_root_is_used_beside_functional_groups(tmp_path):
    made = enhanced(Modality="CT", RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    scan = read(write(tmp_path / "a.dcm", made))
    assert_array_equal(scan.array, FRAMES.astype(int) - 1024)
    assert scan.units == "HU"
    assert any("RescaleSlope, RescaleIntercept" in sentence and "root" in sentence for sentence in scan.assumed)


def test_values_at_the_root_are_used_beside_empty_functional_groups(tmp_path):
    values = {"RescaleSlope": 2, "RescaleIntercept": 5, "WindowCenter": 100, "WindowWidth": 50}
    made = film(FRAMES[0], SharedFunctionalGroupsSequence=Sequence([Dataset()]), **values)
    scan = read(write(tmp_path / "a.dcm", made))
    assert_array_equal(scan.array[0], 2 * FRAMES[0] + 5)
    assert (scan.window, scan.spacing) == ((75.0, 124.0), (None, 0.5, 0.75))


def test_the_position_at_the_root_is_that_of_a_single_frame_only(tmp_path):
    one = dataset(FRAMES[0], SharedFunctionalGroupsSequence=Sequence([Dataset()]))
    assert_allclose(read(write(tmp_path / "one.dcm", one)).affine[:3, 3], [10, 20, 30])
    several = dataset(FRAMES, NumberOfFrames=4, SharedFunctionalGroupsSequence=Sequence([Dataset()]))
    several.Rows, several.Columns = FRAMES.shape[1:]
    assert read(write(tmp_path / "several.dcm", several)).kind == "frames"


def test_functional_groups_win_over_the_root_and_the_contradiction_is_reported(tmp_path):
    transform = group(RescaleSlope=3, RescaleIntercept=0, RescaleType="US")
    made = enhanced(lambda index: {"PixelValueTransformationSequence": transform}, RescaleSlope=7, RescaleIntercept=0)
    scan = read(write(tmp_path / "a.dcm", made))
    assert_array_equal(scan.array, FRAMES * 3)
    assert any("RescaleSlope at the root contradict" in sentence for sentence in scan.assumed)


def mosaic(count: int, number: int | bytes | None, **changes: Any) -> tuple[Dataset, np.ndarray]:
    """A mosaic and the slices in it, of 6 × 8 pixels."""
    side = math.ceil(math.sqrt(count))
    slices = np.random.default_rng(1).integers(1, 500, (count, 6, 8)).astype(np.uint16)
    picture = np.zeros((side * 6, side * 8), np.uint16)
    for index, one in enumerate(slices):
        row, column = divmod(index, side)
        picture[row * 6 : row * 6 + 6, column * 8 : column * 8 + 8] = one
    kinds = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]
    about = {"ImageType": kinds, "PixelSpacing": [2, 3], "SliceThickness": 4, "SpacingBetweenSlices": 5}
    made = magnetic([-100.0, -50.0, 7.0], picture, **{**about, **changes})
    if number is not None:
        block = made.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0A, "UN" if isinstance(number, bytes) else "US", number)
    return made, slices


@pytest.mark.parametrize("count", [2, 4, 5, 9, 11])
@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_mosaic_is_unfolded_into_its_slices(tmp_path, count, as_bytes):
    made, slices = mosaic(count, count.to_bytes(2, "little") if as_bytes else count)
    scan = read(write(tmp_path / "a.dcm", made))
    assert scan.kind == "volume"
    assert_array_equal(scan.array, slices)
    assert scan.spacing == (5.0, 2.0, 3.0)
    side = math.ceil(math.sqrt(count))
    first = np.array([-100 + 3 * (side - 1) * 8 / 2, -50 + 2 * (side - 1) * 6 / 2, 7.0])
    assert_allclose(scan.affine[:3, 3], first * [-1, -1, 1])
    assert any(f"mosaic of {count} slices" in sentence for sentence in scan.assumed)


def test_a_mosaic_is_known_by_its_private_element_alone(tmp_path):
    made, slices = mosaic(4, 4, ImageType=["ORIGINAL", "PRIMARY"])
    assert_array_equal(read(write(tmp_path / "a.dcm", made)).array, slices)


def test_one_slice_is_not_a_mosaic(tmp_path):
    made, _ = mosaic(1, 1, ImageType=["ORIGINAL", "PRIMARY"])
    assert read(write(tmp_path / "a.dcm", made)).kind == "picture"


@pytest.mark.parametrize(
    ("number", "changes", "reason"),
    [
        (None, {}, "how many"),
        (26, {}, "do not fit"),
        (4, {"ImagePositionPatient": None}, "position or distance"),
        (4, {"SliceThickness": None, "SpacingBetweenSlices": None}, "position or distance"),
        (None, {"ImageType": ["ORIGINAL", "PRIMARY", "M", "VFRAME"]}, "how many"),
    ],
)
def test_a_mosaic_that_cannot_be_unfolded_is_refused(tmp_path, number, changes, reason):
    made, _ = mosaic(4, number, **changes)
    with pytest.raises(InputError, match=f"mosaic.*{reason}|mosaic of 26.*{reason}.*dcm2niix"):
        read(write(tmp_path / "a.dcm", made))


def test_a_folder_of_several_mosaics_is_refused(tmp_path):
    for number in range(2):
        made, _ = mosaic(4, 4)
        write(tmp_path / f"{number}.dcm", made)
    with pytest.raises(InputError, match="2 files in one series, some of several frames"):
        read(tmp_path)


def slide(places: list[tuple[int, int]] | None, size: tuple[int, int], pixels: np.ndarray) -> Dataset:
    """A whole-slide image in tiles; `places` are their first rows and columns."""
    made = film(pixels, Modality="SM", NumberOfFrames=len(pixels))
    made.Rows, made.Columns = pixels.shape[1:3]
    made.TotalPixelMatrixRows, made.TotalPixelMatrixColumns = size
    if places is not None:
        words = ("RowPositionInTotalImagePixelMatrix", "ColumnPositionInTotalImagePixelMatrix")
        made.PerFrameFunctionalGroupsSequence = Sequence(
            [item(PlanePositionSlideSequence=group(**dict(zip(words, place, strict=True)))) for place in places]
        )
    return made


TILES = np.random.default_rng(2).integers(0, 255, (6, 4, 5)).astype(np.uint8)
WHOLE = np.concatenate([np.concatenate(list(TILES[row : row + 3]), axis=1) for row in (0, 3)])


def test_the_tiles_of_a_slide_are_put_together(tmp_path):
    scan = read(write(tmp_path / "full.dcm", slide(None, (7, 13), TILES)))
    assert scan.kind == "picture"
    assert_array_equal(scan.array[0], WHOLE[:7, :13])
    assert any("6 tiles of a whole-slide image" in sentence for sentence in scan.assumed)
    order = [4, 1, 5, 0, 3]
    places = [(1 + 4 * (index // 3), 1 + 5 * (index % 3)) for index in order]
    sparse = read(write(tmp_path / "sparse.dcm", slide(places, (8, 15), TILES[order])))
    expected = WHOLE.copy()
    expected[:4, 10:] = 0
    assert_array_equal(sparse.array[0], expected)
    assert any("17 % of the picture have no tile" in sentence for sentence in sparse.assumed)


@pytest.mark.parametrize(
    ("places", "size", "reason"),
    [
        (None, (4, 10), "do not fit"),
        ([(1, 1)] * 6, (8, 15), "focal planes"),
        ([(1, 1 + 5 * index) for index in range(6)], (8, 15), "do not fit"),
        (None, (100_000, 100_000), "lower magnification"),
    ],
)
def test_tiles_that_do_not_make_one_picture_are_refused(tmp_path, places, size, reason):
    with pytest.raises(InputError, match=f"6 tiles of a whole-slide image.*{reason}"):
        read(write(tmp_path / "a.dcm", slide(places, size, TILES)))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"FrameIncrementPointer": 0x00181063, "FrameTime": 40}, "moments in time"),
        ({"FrameIncrementPointer": [0x00540010, 0x00540020]}, "energy windows and detectors"),
        ({"FrameIncrementPointer": 0x00540080}, "slices"),
        ({"CineRate": 25}, "moments in time"),
        ({}, "does not say what its frames"),
    ],
)
def test_the_meaning_of_frames_is_reported(tmp_path, changes, sentence):
    made = film(FRAMES, NumberOfFrames=4, **changes)
    made.Rows, made.Columns = FRAMES.shape[1:]
    path = write(tmp_path / "a.dcm", made)
    scan = read(path)
    assert scan.kind == "frames"
    assert any(sentence in each for each in scan.assumed)
    with pytest.raises(InputError, match="4 frames"):
        decoded(path, ImageInput(channels=1, size=16))


def test_frames_at_one_position_are_refused_by_what_they_are(tmp_path):
    made = enhanced(lambda index: {"FrameContentSequence": group(TemporalPositionIndex=index + 1)})
    for each in made.PerFrameFunctionalGroupsSequence:
        each.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 0]
    with pytest.raises(InputError, match=r"4 frames at one position \(moments\)"):
        read(write(tmp_path / "a.dcm", made))


def test_frames_of_an_ordinary_file_are_as_before():
    path = more_files("emri_small.dcm")
    assert_array_equal(read(path).array, dcmread(path).pixel_array)
