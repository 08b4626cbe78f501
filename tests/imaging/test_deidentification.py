import hashlib
import json
import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medshot.errors import InputError, StorageError
from medshot.imaging.deidentification import deidentify, identifying, identifying_name
from medshot.imaging.deidentification.formats import format_of
from medshot.imaging.dicom.cleaning import clean_dicom
from medshot.imaging.dicom.identity import identifying_elements
from medshot.imaging.secrecy import CannotClean, Pseudonyms

CT = "1.2.840.10008.5.1.4.1.1.2"
FEW = settings(max_examples=12, suppress_health_check=list(HealthCheck))
secrets = st.text("BCDGHJKQVWXZ", min_size=9, max_size=12)
PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"


def made_dicom(
    patient: str = "4711-ZQ", secret: str = "QUIXBYZK", date: str = "19970314", syntax=ExplicitVRLittleEndian
):
    dataset = FileDataset(None, {}, preamble=secret.encode().ljust(128, b"\0"))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.SourceApplicationEntityTitle = secret
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, "1.2.3.77.4711.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3.77.4711.2", "1.2.3.77.4711.3"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = f"{secret}^Anna", patient, "19410203"
    dataset.PatientAge, dataset.Modality, dataset.BodyPartExamined = "057Y", "CT", "CHEST"
    for keyword in ("InstitutionName", "StudyDescription", "AccessionNumber", "ImageComments", "StationName"):
        setattr(dataset, keyword, secret)
    dataset.Manufacturer, dataset.FilterType, dataset.DerivationDescription = secret, secret[:12], secret
    dataset.StudyDate, dataset.AcquisitionDateTime, dataset.StudyTime = date, f"{date}112233.5+0100", "112233"
    dataset.private_block(0x0009, secret, create=True).add_new(1, "LO", secret)
    dataset.add_new(0x60003000, "OW", secret.encode().ljust(12))
    inner = Dataset()
    inner.ReferencedSOPClassUID, inner.ReferencedSOPInstanceUID = CT, "1.2.3.77.4711.1"
    inner.PersonName, inner.TextValue, inner.ScheduledProcedureStepStartDate = secret, secret, date
    inner.private_block(0x0011, secret, create=True).add_new(1, "UT", secret)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-D4000", "SRT", secret
    inner.AnatomicRegionSequence = Sequence([code])
    outer = Dataset()
    outer.ReferencedImageSequence = Sequence([inner])
    dataset.SharedFunctionalGroupsSequence = Sequence([outer])
    dataset.Rows = dataset.Columns = 4
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = np.arange(16, dtype=np.uint16).tobytes()
    return dataset


def saved(dataset: FileDataset) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read(content: bytes) -> FileDataset:
    return pydicom.dcmread(BytesIO(content))


@FEW
@given(secrets, st.dates().map(lambda day: f"{day.year:04}{day.month:02}{day.day:02}"), st.booleans())
def test_no_identifying_value_of_a_dicom_file_is_in_its_copy(secret: str, date: str, implicit: bool) -> None:
    content = saved(
        made_dicom(f"{secret}-77", secret, date, ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
    )
    assert secret.encode() in content
    clean = clean_dicom(content, Pseudonyms()).content
    for value in (secret, date, "1.2.3.77.4711", "19410203", "112233", "057Y", "Anna"):
        assert value.encode() not in clean
    assert not identifying_elements(clean)
    before, after = read(content), read(clean)
    assert after.PixelData == before.PixelData
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    inner = after.SharedFunctionalGroupsSequence[0].ReferencedImageSequence[0]
    assert inner.ReferencedSOPInstanceUID == after.SOPInstanceUID
    assert inner.AnatomicRegionSequence[0].CodeValue == "T-D4000"
    assert after.PatientIdentityRemoved == "YES"
    assert after.BodyPartExamined == "CHEST"


@FEW
@given(secrets, secrets, st.integers(0, 4000))
def test_a_patient_keeps_one_pseudonym_and_the_days_between_scans(one: str, two: str, days: int) -> None:
    pseudonyms = Pseudonyms()
    later = str(np.datetime64("2001-03-04") + days).replace("-", "")
    first, second, other = (
        read(clean_dicom(saved(made_dicom(patient, "QUIXBYZK", date)), pseudonyms).content)
        for patient, date in ((one, "20010304"), (f"{one} ", later), (f"{two}2", "20010304"))
    )
    assert first.PatientID == second.PatientID != other.PatientID
    assert first.StudyInstanceUID == second.StudyInstanceUID
    moved = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in (first.StudyDate, second.StudyDate)]
    assert moved[1] - moved[0] == days
    assert first.StudyDate != "20010304"
    assert Pseudonyms().patient(one) != first.PatientID


def test_everything_that_pydicom_ships_is_cleaned_or_left_out() -> None:
    cleaned = 0
    for path in sorted(PYDICOM.rglob("*.dcm")):
        content = path.read_bytes()
        try:
            clean = clean_dicom(content, Pseudonyms()).content
        except CannotClean:
            continue
        cleaned += 1
        assert not identifying_elements(clean), path
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before, after = pydicom.dcmread(path, force=True), read(clean)
            for keyword in ("PixelData", "FloatPixelData"):
                if keyword in before:
                    assert before[keyword].value == after[keyword].value, path
            name = str(before.get("PatientName", ""))
        assert len(name) < 6 or name.encode() not in clean, path
    assert cleaned > 30


def test_what_has_no_image_or_says_burnt_in_is_refused() -> None:
    report = made_dicom()
    del report.PixelData
    burnt = made_dicom()
    burnt.BurnedInAnnotation = "YES"
    for dataset, reason in ((report, "without an image"), (burnt, "burnt into")):
        with pytest.raises(CannotClean, match=reason):
            clean_dicom(saved(dataset), Pseudonyms())
    ultrasound = made_dicom()
    ultrasound.Modality = "US"
    assert clean_dicom(saved(ultrasound), Pseudonyms()).look_at


def made_png(secret: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Patient", secret)
    info.add_itxt("More", secret, zip=False)
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, secret
    buffer = BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG", pnginfo=info, exif=exif)
    return buffer.getvalue() + secret.encode()


def made_jpeg(secret: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x013B], exif[0x0132] = 6, secret, "1997:03:14 11:22:33"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8769)[0x927C] = secret.encode()
    buffer = BytesIO()
    Image.fromarray(PIXELS).save(buffer, "JPEG", exif=exif, comment=secret, progressive=True)
    return buffer.getvalue() + secret.encode()


def made_tiff(secret: str) -> bytes:
    pages = [Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1].copy())]
    buffer = BytesIO()
    tags = {270: secret, 315: secret, 306: "1997:03:14 11:22:33", 50000: secret}
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:], tiffinfo=tags, compression="tiff_lzw")
    return buffer.getvalue() + secret.encode()


def made_nifti(secret: str) -> bytes:
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.diag([2, 3, 4, 1]))
    image.header["descrip"], image.header["db_name"], image.header["aux_file"] = secret, secret, secret
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", secret.encode()))
    return image.to_bytes() + secret.encode()


def made_nrrd(secret: str) -> bytes:
    head = f"NRRD0005\n# {secret}\ncontent: {secret}\nname:={secret}\n"
    return (
        head.encode() + b"type: uint8\ndimension: 2\nsizes: 3 4\nencoding: raw\n\n" + bytes(range(12)) + secret.encode()
    )


def made_meta(secret: str) -> bytes:
    head = f"ObjectType = Image\nNDims = 2\nDimSize = 3 4\nElementType = MET_UCHAR\nComment = {secret}\n"
    return head.encode() + b"ElementDataFile = LOCAL\n" + bytes(range(12)) + secret.encode()


PIXELS = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)
MADE = {
    ".png": made_png,
    ".jpg": made_jpeg,
    ".tif": made_tiff,
    ".nii": made_nifti,
    ".nrrd": made_nrrd,
    ".mha": made_meta,
}


@pytest.mark.parametrize("suffix", MADE)
@FEW
@given(secret=secrets)
def test_no_text_in_a_picture_or_volume_is_in_its_copy(suffix: str, secret: str) -> None:
    content = MADE[suffix](secret)
    kind = format_of(content)
    assert kind.suffix == suffix
    assert kind.find(content)
    clean = kind.clean(content, Pseudonyms()).content
    assert secret.encode() not in clean
    assert b"1997" not in clean
    assert not kind.find(clean)
    assert kind.same(content, clean)
    assert kind.clean(clean, Pseudonyms()).content == clean
    if suffix in (".png", ".jpg"):
        assert Image.open(BytesIO(clean)).getexif() == {0x0112: 6}
    if suffix == ".nii":
        before, after = nib.Nifti1Image.from_bytes(content), nib.Nifti1Image.from_bytes(clean)
        np.testing.assert_array_equal(before.get_fdata(), after.get_fdata())
        np.testing.assert_array_equal(before.affine, after.affine)
    if suffix in (".nrrd", ".mha"):
        assert clean.endswith(bytes(range(12)))


def states(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "QUIXBYZK Anna").mkdir(parents=True)
    (source / "malignant").mkdir()
    (source / "QUIXBYZK Anna" / "scan 19970314.dcm").write_bytes(saved(made_dicom()))
    for number, suffix in enumerate(MADE):
        (source / "malignant" / f"VWXKQJZZ, 54y, F {number}{suffix}").write_bytes(MADE[suffix]("VWXKQJZZB"))
    (source / "malignant" / "VWXKQJZZ.png").write_bytes(made_png("VWXKQJZZB")[:90])
    (source / "letter VWXKQJZZ.txt").write_text("VWXKQJZZ")
    (tmp_path / "outside.png").write_bytes(made_png("OUTSIDEQ"))
    (source / "link.png").symlink_to(tmp_path / "outside.png")
    (source / "task.csv").write_text(
        "image,label,patient,age,name,scan,remark\n"
        '"malignant/VWXKQJZZ, 54y, F 0.png",malignant,VWXKQJZZ,93,VWXKQJZZ,1997-03-14,said VWXKQJZZ\n'
        '"malignant/VWXKQJZZ, 54y, F 1.jpg",benign,VWXKQJZZ,54,VWXKQJZZ,1997-03-15,was VWXKQJZZ\n'
        "../outside.png,benign,OUTSIDEQ,54,b,1997-03-15,z\n"
    )
    return source


def test_a_folder_leaves_without_what_identifies(hospital: Path, tmp_path: Path) -> None:
    before = states(hospital)
    done = deidentify(hospital, tmp_path / "out")
    assert states(hospital) == before
    assert done.cleaned == 1 + len(MADE)
    assert {Path(path).name for path, _ in done.left_out} == {"VWXKQJZZ.png", "letter VWXKQJZZ.txt", "link.png"}
    assert done.folder_names == ("malignant",)
    for path in (tmp_path / "out").rglob("*"):
        assert not identifying_name(path.relative_to(tmp_path / "out"))
        content = path.read_bytes() if path.is_file() else b""
        for secret in ("QUIXBYZK", "VWXKQJZZ", "OUTSIDEQ", "4711", "1997", "54y"):
            assert secret not in str(path.relative_to(tmp_path))
            assert secret.encode() not in content
        if path.is_file() and path.suffix != ".json":
            assert not identifying(path), path
    lines = (tmp_path / "out" / "task.csv").read_text().splitlines()
    assert lines[0] == "image,label,patient,age"
    assert [line.split(",")[3] for line in lines[1:]] == ["90+", "54"]
    assert all((tmp_path / "out" / line.split(",")[0]).is_file() for line in lines[1:])
    assert len({line.split(",")[2] for line in lines[1:]}) == 1
    report = json.loads((tmp_path / "out" / "deidentification.json").read_text())
    assert len(report["left_out"]) == 3
    assert report["manifests"][0]["dropped"] == 1


def test_the_copy_never_lies_in_the_source_or_over_something(hospital: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="inside"):
        deidentify(hospital, hospital / "clean")
    with pytest.raises(InputError, match="does not exist"):
        deidentify(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "there").mkdir()
    with pytest.raises(StorageError, match="exists already"):
        deidentify(hospital, tmp_path / "there")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image"):
        deidentify(tmp_path / "empty", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@settings(max_examples=120, suppress_health_check=list(HealthCheck))
@given(st.sampled_from([*MADE, ".dcm"]), st.randoms(use_true_random=False))
def test_damaged_files_are_cleaned_or_refused(suffix: str, random) -> None:
    content = bytearray(saved(made_dicom()) if suffix == ".dcm" else MADE[suffix]("QUIXBYZK"))
    for _ in range(random.randrange(1, 8)):
        content[random.randrange(len(content))] = random.randrange(256)
    content = bytes(content[: random.randrange(len(content))] if random.random() < 0.3 else content)
    try:
        kind = format_of(content)
        kind.find(content)
        kind.clean(content, Pseudonyms())
    except CannotClean as error:
        reason = str(error)
    else:
        reason = ""
    assert "QUIXBYZK" not in reason


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("TCGA_CS_4941_19960909_1.png", "date"),
        ("scan 12-03-1999.png", "date"),
        ("12Jan2001.png", "date"),
        ("2001-1-31/a.png", "date"),
        ("N23, Rt TAIS, F, 15 yrs.jpg", "age, sex or body"),
        ("N2,N,18,M_1_0.jpg", "age, sex or body"),
        ("knee_054Y.png", "age, sex or body"),
        ("Doe^Jane.png", "name"),
        ("Doe, Jane.png", "name"),
        ("MRN_448812.png", "identifier"),
        ("1.2.840.113654.2.55.5371.dcm", "unique identifier"),
    ],
)
def test_names_that_tell_are_found(name: str, kind: str) -> None:
    assert kind in {finding.kind for finding in identifying_name(name)}


def test_names_in_real_data(shared_data: Path) -> None:
    telling = {}
    for path in shared_data.rglob("*"):
        if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".npz", ".dcm"):
            name = path.relative_to(shared_data)
            telling.setdefault(name.parts[0], []).append(bool(identifying_name(name)))
    found = {folder: sum(values) / len(values) for folder, values in telling.items()}
    assert found.pop("spine_xray_scoliosis") == found.pop("lgg_mri_genomics") == 1
    assert set(found.values()) == {0}


def test_a_chunk_of_a_bad_checksum_is_damage() -> None:
    content = made_png("QUIXBYZK")
    body = b"tEXtQ\0Q"
    broken = content[:33] + struct.pack(">I", 3) + body + struct.pack(">I", zlib.crc32(body) ^ 1) + content[33:]
    with pytest.raises(CannotClean, match="damaged PNG"):
        format_of(broken).clean(broken, Pseudonyms())
