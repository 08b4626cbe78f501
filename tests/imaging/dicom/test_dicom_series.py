"""Folders: slices are ordered by position under any file names, and every irregularity is reported."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from dicom_files import FILES, dataset, magnetic, more_files, write
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from pydicom import dcmread
from pydicom.dataset import Dataset

from medshot.errors import InputError
from medshot.imaging import read


def mentions(scan, word: str) -> bool:
    return any(word in sentence for sentence in scan.assumed)


def slices(folder: Path, heights: list[float], **changes) -> Path:
    """Write MR slices under shuffled names; their pixels are their height in tenths of a millimetre."""
    folder.mkdir(parents=True, exist_ok=True)
    names = random.Random(0).sample(range(1000), len(heights))
    for name, height in zip(names, heights, strict=True):
        pixels = np.full((4, 5), round(10 * height) + 1000, np.uint16)
        write(folder / f"{name}.dcm", magnetic([-10, -20, height], pixels, InstanceNumber=name, **changes))
    return folder


def refused(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(path)
    for word in (str(path), *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(max_examples=15)
@given(
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    step=st.floats(0.5, 9),
    count=st.integers(2, 6),
    seed=st.integers(0, 1000),
)
def test_the_affine_maps_every_slice_to_its_position(tmp_path_factory, angles, origin, step, count, seed):
    a, b, c = angles
    turn_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    turn_y = np.array([[np.cos(c), 0, np.sin(c)], [0, 1, 0], [-np.sin(c), 0, np.cos(c)]])
    turn = turn_x @ turn_z @ turn_y
    folder = tmp_path_factory.mktemp("series")
    names = random.Random(seed).sample("abcdefgh", count)
    positions = [np.round(np.array(origin) + step * index * turn[:, 2], 6) for index in range(count)]
    for index, name in enumerate(names):
        directions = [round(float(value), 10) for value in (*turn[:, 0], *turn[:, 1])]
        made = magnetic(
            [float(value) for value in positions[index]],
            np.full((4, 5), index, np.uint16),
            ImageOrientationPatient=[f"{value:.10f}"[:16] for value in directions],
            InstanceNumber=seed - index,
        )
        write(folder / f"{name}.dcm", made)
    scan = read(folder)
    assert scan.array[:, 0, 0].tolist() == list(range(count))
    for index, position in enumerate(positions):
        ras = scan.affine @ [index, 0, 0, 1]
        assert_allclose(ras[:3], position * [-1, -1, 1], atol=1e-3)
        corner = position + 3 * 0.5 * turn[:, 1] + 4 * 0.75 * turn[:, 0]
        assert_allclose((scan.affine @ [index, 3, 4, 1])[:3], corner * [-1, -1, 1], atol=1e-3)
    assert_allclose(scan.spacing, (step, 0.5, 0.75), rtol=1e-3)
    assert scan.assumed == ()


def test_a_real_series_under_shuffled_names(shared_data, tmp_path):
    files = sorted((shared_data / "dicom_series_sample").glob("*.dcm"))
    names = list(range(len(files)))
    random.Random(1).shuffle(names)
    for path, name in zip(files, names, strict=True):
        shutil.copy(path, tmp_path / f"{name}.dcm")
    scan, headers = read(tmp_path), [dcmread(path) for path in files]
    assert_array_equal(scan.array, read(shared_data / "dicom_series_sample").array)
    across, down = np.split(np.array(headers[0].ImageOrientationPatient, float), 2)
    headers.sort(key=lambda header: float(np.cross(across, down) @ np.array(header.ImagePositionPatient, float)))
    assert_array_equal(scan.array, np.stack([header.pixel_array for header in headers]))
    for index, header in enumerate(headers):
        ras = np.array(header.ImagePositionPatient, float) * [-1, -1, 1]
        assert_allclose((scan.affine @ [index, 0, 0, 1])[:3], ras, atol=0.05)
    assert (scan.kind, scan.modality) == ("volume", "MR")


def test_a_gap_is_named(tmp_path):
    scan = read(slices(tmp_path, [0, 2, 4, 8, 10]))
    assert mentions(scan, "A gap: 1 of the slices")
    assert mentions(scan, "after slice 3")


def test_uneven_spacing_is_named(tmp_path):
    assert mentions(read(slices(tmp_path, [0, 2, 4.7, 6, 8.3])), "unevenly")


def test_copies_are_dropped_and_reported(tmp_path):
    folder = slices(tmp_path, [0, 2, 4])
    first = next(folder.iterdir())
    shutil.copy(first, folder / "again.dcm")
    scan = read(folder)
    assert len(scan.array) == 3
    assert mentions(scan, "there twice")


def test_different_slices_at_one_place(tmp_path):
    slices(tmp_path / "a", [0, 2], EchoTime=10)
    write(tmp_path / "a" / "other.dcm", magnetic([-10, -20, 2], np.zeros((4, 5), np.uint16), EchoTime=90))
    refused(tmp_path / "a", "one position", "EchoTime")


@pytest.mark.parametrize("heights", [[0], [0, 2, 4]])
def test_slices_side_by_side_are_refused(tmp_path, heights):
    slices(tmp_path, heights)
    for number, height in enumerate(heights):
        beside = magnetic([60, -20, height], np.zeros((4, 5), np.uint16))
        write(tmp_path / f"beside-{number}.dcm", beside)
    refused(tmp_path, "side by side", "keep one at each height")


def test_a_series_of_one_slice(tmp_path):
    scan = read(slices(tmp_path, [7]))
    assert (scan.kind, scan.array.shape, scan.spacing[0]) == ("picture", (1, 4, 5), 2.0)


def test_the_sentence_of_a_folder_is_given_once(tmp_path):
    with pytest.raises(InputError) as refused:
        read(tmp_path)
    assert str(refused.value).count(str(tmp_path)) == 1


def test_two_patients_in_one_folder(tmp_path):
    slices(tmp_path, [0, 2])
    write(tmp_path / "zz.dcm", magnetic([-10, -20, 4], PatientID="P2"))
    refused(tmp_path, "2 patients")


def test_several_series_are_named(tmp_path):
    slices(tmp_path / "a", [0, 2], SeriesDescription="T1")
    slices(tmp_path / "b", [0, 2, 4], SeriesDescription="FLAIR", SeriesInstanceUID="9.9")
    refused(tmp_path, "2 series", "“T1” (2)", "“FLAIR” (3)")


def test_localizers_are_ignored(tmp_path):
    slices(tmp_path / "a", [0, 2, 4])
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "SeriesInstanceUID": "7.7"}
    slices(tmp_path / "b", [0, 50], ImageOrientationPatient=[0, 1, 0, 0, 0, -1], **scout)
    scan = read(tmp_path)
    assert len(scan.array) == 3
    assert mentions(scan, "2 localizer")


def test_mixed_orientations_and_sizes(tmp_path):
    slices(tmp_path / "a", [0, 2])
    write(tmp_path / "a" / "x.dcm", magnetic([0, 0, 9], ImageOrientationPatient=[0, 1, 0, 0, 0, -1]))
    refused(tmp_path / "a", "several orientations")
    slices(tmp_path / "b", [0, 2])
    write(tmp_path / "b" / "x.dcm", magnetic([-10, -20, 9], np.zeros((6, 5), np.uint16)))
    refused(tmp_path / "b", "several sizes", "6 × 5")


def test_gantry_tilt_keeps_the_true_affine(tmp_path):
    for index in range(4):
        position = [-10, -20 + 0.5 * index, 2.0 * index]
        write(tmp_path / f"{9 - index}.dcm", magnetic(position, np.full((4, 5), index, np.uint16)))
    scan = read(tmp_path)
    assert mentions(scan, "14.0° (gantry tilt)")
    assert_allclose((scan.affine @ [3, 0, 0, 1])[:3], [10, 18.5, 6])
    assert scan.spacing[0] == pytest.approx(np.hypot(0.5, 2))


def test_each_slice_has_its_own_slope(tmp_path):
    for index in range(3):
        changes = {"RescaleSlope": f"{index + 1.5}", "RescaleIntercept": "0", "Modality": "PT", "Units": "BQML"}
        pixels = np.full((4, 5), 10, np.uint16)
        write(tmp_path / f"{index}.dcm", dataset(pixels, ImagePositionPatient=[0, 0, 3 * index], **changes))
    scan = read(tmp_path)
    assert scan.array[:, 0, 0].tolist() == [15, 25, 35]
    assert scan.units == "BQML"


def test_images_without_places_are_no_volume(tmp_path):
    for index in range(2):
        write(tmp_path / f"{index}.dcm", dataset(ImagePositionPatient=None))
    refused(tmp_path, "without a position")


def test_files_beside_the_series_are_ignored_and_reported(tmp_path):
    slices(tmp_path, [0, 2])
    (tmp_path / "notes.txt").write_text("hello")
    shutil.copy(FILES / "reportsi.dcm", tmp_path)
    scan = read(tmp_path)
    assert mentions(scan, "not DICOM")
    assert mentions(scan, "without pixels")


def enhanced(heights: list[float]) -> Dataset:
    made = magnetic([0, 0, 0], np.arange(20 * len(heights), dtype=np.uint16).reshape(len(heights), 4, 5))
    made.NumberOfFrames, made.Rows, made.Columns = len(heights), 4, 5
    del made.ImagePositionPatient, made.ImageOrientationPatient, made.PixelSpacing, made.SliceThickness
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [0.5, 0.75], 2
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = []
    for index, height in enumerate(heights):
        frame, position, change = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [-10, -20, height]
        change.RescaleSlope, change.RescaleIntercept, change.RescaleType = index + 1, 0, "US"
        frame.PlanePositionSequence, frame.PixelValueTransformationSequence = [position], [change]
        made.PerFrameFunctionalGroupsSequence.append(frame)
    return made


def test_enhanced_frames_are_ordered_and_scaled_one_by_one(tmp_path):
    scan = read(write(tmp_path / "a.dcm", enhanced([4.0, 0.0, 2.0])))
    stored = np.arange(60).reshape(3, 4, 5)
    assert_array_equal(scan.array, np.stack([stored[1] * 2, stored[2] * 3, stored[0]]))
    assert (scan.kind, scan.spacing) == ("volume", (2.0, 0.5, 0.75))
    assert_allclose((scan.affine @ [2, 0, 0, 1])[:3], [10, 20, 4])


def test_enhanced_frames_at_one_place(tmp_path):
    refused(write(tmp_path / "a.dcm", enhanced([0.0, 2.0, 0.0, 2.0])), "2 frames at one position")


def test_a_real_enhanced_file():
    scan = read(more_files("eCT_Supplemental.dcm"))
    assert (scan.kind, scan.array.shape, scan.spacing[0]) == ("volume", (2, 512, 512), 10.0)
    assert mentions(scan, "supplemental palette")
