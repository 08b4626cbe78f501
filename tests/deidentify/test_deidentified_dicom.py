"""A clean DICOM file has nothing that identifies, and its pixels are unchanged."""

import warnings

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from identifying_files import FEW, PYDICOM, made_dicom, read, saved, secrets
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medshot.deidentify.dicom import clean_dicom
from medshot.imaging.dicom.identity import identifying_elements
from medshot.imaging.pseudonyms import CannotClean, Pseudonyms


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


def test_files_without_an_image_or_with_burnt_in_text_are_refused() -> None:
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
