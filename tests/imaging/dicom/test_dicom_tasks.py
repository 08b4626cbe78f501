"""DICOM and NIfTI as tasks: files, series and volumes in class folders and manifests, with patients from headers."""

import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
from command_line import medshot
from dicom_files import film, magnetic, write

from medshot.audit import audit
from medshot.errors import InputError
from medshot.imaging import FileImages, ImageInput, VolumeInput
from medshot.imaging.decoding import content_hash
from medshot.imaging.folders import all_image_paths, is_series
from medshot.tasks import load_tasks


def striped(seed: int, vertical: bool, side: int = 24) -> np.ndarray:
    """Make a noisy film of stripes, of 12 bits."""
    stripes = 1000 + 800 * np.sin(np.arange(side))
    image = stripes[None, :] if vertical else stripes[:, None]
    noise = np.random.default_rng(seed).normal(0, 100, (side, side))
    return (image + noise).clip(0, 4095).astype(np.uint16)


def films(folder: Path, patients: int = 6) -> Path:
    """Write two classes of films without suffix, two of each patient, in class folders."""
    for label, vertical in (("down", True), ("across", False)):
        (folder / label).mkdir(parents=True)
        for number in range(2 * patients):
            patient, uid = f"{label} {number // 2}", f"1.{number}.{int(vertical)}"
            made = film(striped(number, vertical), PatientID=patient, SOPInstanceUID=uid, SeriesInstanceUID=uid)
            write(folder / label / f"IM{number:04d}", made)
    return folder


def series(folder: Path, values: list[int], names: list[str], uid: str = "1.9") -> Path:
    """Write a series of slices of one value each."""
    folder.mkdir(parents=True)
    for height, (value, name) in enumerate(zip(values, names, strict=True)):
        slice_of = magnetic([0, 0, 2.0 * height], np.full((12, 12), value, np.uint16), SeriesInstanceUID=uid)
        write(folder / name, slice_of)
    return folder


def test_films_in_class_folders_have_the_patients_of_their_headers(tmp_path):
    (task,) = load_tasks(films(tmp_path / "ward"))
    assert task.classes == ("across", "down")
    assert len(task) == 24
    assert len(set(task.patients)) == 12
    pixels = task.images.pixels(ImageInput(1, 24))
    assert pixels.dtype == np.uint8
    assert pixels.std() > 30


def test_the_command_line_takes_films_from_class_folders_to_predictions(tmp_path, capsys):
    ward = films(tmp_path / "ward")
    taken = ("--encoder", "none", "--size", "24", "--learner", "logistic")
    assert medshot("adapt", ward, *taken, "--shots", "4", "--out", tmp_path / "model") == 0
    assert medshot("predict", tmp_path / "model", ward, "--out", tmp_path / "predictions.csv") == 0, (
        capsys.readouterr().err
    )
    rows = list(csv.DictReader((tmp_path / "predictions.csv").read_text().splitlines()))
    assert len(rows) == 24
    assert sum(row["predicted"] == Path(row["image"]).parent.name for row in rows) >= 20


def test_a_folder_of_one_series_is_one_image_under_any_file_names(tmp_path):
    one = series(tmp_path / "a" / "one", [10, 20, 30, 40], ["a", "b", "c", "d"])
    other = series(tmp_path / "b" / "one", [10, 20, 30, 40], ["d", "c", "b", "a"])
    assert is_series(one)
    assert all_image_paths(tmp_path) == [one, other]
    cubes = FileImages([one, other]).pixels(VolumeInput(size=8))
    np.testing.assert_array_equal(cubes[0], cubes[1])
    middle = cubes[0, 0, :, 4, 4].astype(int)
    assert (np.diff(middle[middle > 0]) >= 0).all(), "from the feet up"


def test_a_folder_of_series_is_no_task_of_slices(tmp_path):
    for number in range(3):
        series(tmp_path / f"s{number}", [10, 20, 30], ["a", "b", "c"], uid=f"1.{number}")
    with pytest.raises(InputError, match="holds no task"):
        load_tasks(tmp_path)
    films(tmp_path)
    with pytest.raises(InputError, match=r"class folders of images \('across', 'down'\) beside the DICOM series s0"):
        load_tasks(tmp_path)


def test_a_class_folder_that_starts_with_two_films_of_a_series_is_no_series(tmp_path):
    ward = films(tmp_path / "ward")
    for label in ("down", "across"):
        for name in ("A", "B"):
            write(ward / label / name, film(striped(99, label == "down"), PatientID="x", SeriesInstanceUID="7.7"))
    assert not is_series(ward / "down")
    assert len(load_tasks(ward)[0]) == 28


def test_the_hash_of_a_series_is_of_its_contents_alone(tmp_path):
    first = series(tmp_path / "first", [1, 2, 3], ["a", "b", "c"])
    before = content_hash(first)
    (first / "a").rename(first / "z")
    assert content_hash(first) == before
    (first / "b").write_bytes((first / "c").read_bytes())
    assert content_hash(first) != before


def test_a_manifest_names_series_and_volumes_alike(tmp_path):
    rows = ["image,label,patient"]
    for number in range(4):
        series(tmp_path / f"s{number}", [100 + number, 200, 300], ["1", "2", "3"], uid=f"1.{number + 1}")
        volume = np.random.default_rng(number).integers(0, 99, (6, 7, 8)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(volume, np.diag([1.0, 1, 2, 1])), tmp_path / f"v{number}.nii.gz")
        rows += [f"s{number},series,a{number}", f"v{number}.nii.gz,volume,b{number}"]
    (tmp_path / "task.csv").write_text("\n".join(rows) + "\n")
    (task,) = load_tasks(tmp_path)
    assert task.images.axes == 3
    assert task.images.pixels(VolumeInput(size=8)).shape == (8, 1, 8, 8, 8)
    with pytest.raises(InputError, match="--cut slices, or --dimensions 3"):
        task.images.pixels(ImageInput(1, 8))


def test_anisotropic_voxels_keep_their_proportions(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.full((8, 8, 2), 50, np.int16), np.diag([1.0, 1, 4, 1])), tmp_path / "v.nii")
    content = np.full((8, 8, 2), 50, np.int16)
    content[0] = 10
    nibabel.save(nibabel.Nifti1Image(content, np.diag([1.0, 1, 4, 1])), tmp_path / "v.nii")
    (cube,) = FileImages([tmp_path / "v.nii"]).pixels(VolumeInput(size=8))[0]
    assert (cube.reshape(8, -1).max(1) > 0).all(), "two slices of 4 mm are as tall as eight voxels of 1 mm are wide"


def test_check_reads_what_is_in_headers_and_writes_a_clean_copy(tmp_path, capsys):
    ward = films(tmp_path / "ward")
    code = medshot("check", ward, "--encoder", "none", "--json", "--deidentify", tmp_path / "clean")
    printed = capsys.readouterr().out
    assert code in (0, 1)
    assert '"header-names"' in printed
    assert "Doe" not in printed
    copied = [path for path in (tmp_path / "clean").rglob("*") if path.is_file()]
    assert not any(b"Doe^Jane" in path.read_bytes() for path in copied)
    (clean,) = load_tasks(tmp_path / "clean")
    assert len(clean) == 24
    assert len(set(clean.patients)) == 12


def test_the_hash_of_a_detached_header_is_of_its_data_too(tmp_path):
    header, data = tmp_path / "scan [1].mhd", tmp_path / "scan [1].raw"
    header.write_text("ObjectType = Image\nElementDataFile = scan [1].raw\n")
    data.write_bytes(b"one")
    before = content_hash(header)
    data.write_bytes(b"two")
    assert content_hash(header) != before


def mixed_patients(folder: Path) -> Path:
    """Write films of four patients, one of each class of each."""
    for label in ("down", "across"):
        (folder / label).mkdir(parents=True)
    for number in range(8):
        uid = f"1.{number}"
        made = film(striped(number, number < 4), PatientID=f"P{number % 4}", SOPInstanceUID=uid, SeriesInstanceUID=uid)
        write(folder / ("down" if number < 4 else "across") / f"IM{number:04d}", made)
    return folder


def patients_by_image(path: Path) -> tuple[list[list[str]], list[list[str]]]:
    """Return the names of the images of each patient, as tasks are loaded and as they are checked."""
    (task,) = load_tasks(path)
    checked = audit(path)
    (audited,) = checked.tasks.values()
    loaded = zip(task.images.paths, task.patient_codes, strict=True)
    listed = zip(map(Path, audited.listing.paths), audited.patients, strict=True)
    grouped: list[list[list[str]]] = []
    for pairs in (loaded, listed):
        of_patient: dict[int, list[str]] = {}
        for image, patient in pairs:
            of_patient.setdefault(int(patient), []).append(image.name)
        grouped.append(sorted(map(sorted, of_patient.values())))
    return grouped[0], grouped[1]


@pytest.mark.parametrize("form", ["class folders", "manifest", "manifest of several images"])
def test_a_check_counts_the_patients_of_headers_as_loading_does(tmp_path, form):
    folder = mixed_patients(tmp_path / "ward")
    path, images = folder, sorted(image.relative_to(folder) for image in folder.rglob("IM*"))
    if form == "manifest":
        path = folder / "task.csv"
        path.write_text("image,label\n" + "".join(f"{image},{image.parts[0]}\n" for image in images))
    if form == "manifest of several images":
        loaded, listed = patients_by_image(folder)
        assert loaded == listed
        path = folder / "task.csv"
        pairs = zip(images[:4], images[4:], "xxyy", strict=True)
        path.write_text("image:a,image:b,label\n" + "".join(f"{one},{two},{label}\n" for one, two, label in pairs))
        verdict = audit(path).verdict
        assert verdict.tasks[0].patients == len(set(load_tasks(path)[0].patients)) == 4
        return
    loaded, listed = patients_by_image(path)
    assert loaded == listed
    assert len(loaded) == 4
    verdict = audit(path).verdict
    assert verdict.tasks[0].patients == 4
    findings = {finding.name: finding for finding in verdict.findings}
    assert "4 of 4 patients have images of several classes" in findings["patients-in-several-classes"].sentence
    assert findings["patients-unnamed"].sentence == "Patients are taken from the PatientID of DICOM headers."


def test_images_are_joined_with_a_table_by_their_patient_id(tmp_path):
    folder = mixed_patients(tmp_path / "ward")
    (tmp_path / "labels.csv").write_text("mrn,grade\nP0,low\nP1,low\nP2,high\nP3,high\n")
    (task,) = load_tasks(folder, table=tmp_path / "labels.csv", label="grade")
    assert task.classes == ("high", "low")
    assert [len(members) for members in task.members] == [2, 2]
    assert len(task) == 8
    (counts,) = audit(folder, table=tmp_path / "labels.csv", label="grade").verdict.tasks
    assert counts.patients == 4
    assert counts.classes == {"high": 4, "low": 4}
