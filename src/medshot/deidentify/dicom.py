"""Clean DICOM files: remove what identifies the patient, and leave the pixels unchanged."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from io import BytesIO
from typing import Any

from pydicom import Dataset, FileDataset
from pydicom._uid_dict import UID_dictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from medshot.imaging.dicom.identity import (
    PIXELS,
    TEXT,
    Treatment,
    elements,
    mentions,
    read_dataset,
    refuse_damage,
    values_of,
    words_of,
)
from medshot.imaging.pseudonyms import REMOVED, CannotClean, Pseudonyms

PUBLIC_CODES = frozenset({"DCM", "FMA", "LN", "MA", "NCIt", "RADLEX", "SCT", "SNM3", "SRT", "99SDM", "UCUM", "UMLS"})
BURNS_IN = frozenset({"US", "IVUS", "XA", "RF", "ES", "XC", "OT", "SC", "DG", "ECG", "HC"})
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_CODE = re.compile(r"[A-Za-z0-9.\-/{}\[\]%^*]{1,16}")


@dataclass(frozen=True)
class CleanCopy:
    """The clean content of one file.

    Args:
        content: the file.
        words: words of the patient's name and id, in lower case, which must not occur anywhere in the copy.
        look_at: reasons why a person should look at the pixels.
    """

    content: bytes
    words: frozenset[str] = frozenset()
    look_at: tuple[str, ...] = ()


def clean_dicom(content: bytes, pseudonyms: Pseudonyms) -> CleanCopy:
    """Clean a file by the Basic Application Level Confidentiality Profile (PS3.15 Annex E); pixels are unchanged.

    Patient ids become pseudonyms, and unique identifiers are replaced. All dates of a patient move back by the same
    number of days (the option Retain Longitudinal Temporal Information With Modified Dates). Times of day, private
    elements, free text, overlays and the patient's sex, age and size are removed.

    Raises:
        CannotClean: it is damaged, holds no pixels or waveform, or states that text is burnt into its pixels.
    """
    with refuse_damage():
        dataset = read_dataset(content)
        _refuse_unclean(dataset)
        identity, words = _identity(dataset), words_of(dataset)
        look_at = tuple(_look_at(dataset))
        _clean(dataset, _Rules(pseudonyms, identity, words))
        _mark(dataset, pseudonyms)
        _renew_meta(dataset)
        buffer = BytesIO()
        try:
            dataset.save_as(buffer, enforce_file_format=True)
        except Exception:
            raise CannotClean("is a damaged DICOM file that cannot be written again") from None
        return CleanCopy(buffer.getvalue(), words, look_at)


@dataclass(frozen=True)
class _Rules:
    pseudonyms: Pseudonyms
    identity: str
    words: frozenset[str]


def _refuse_unclean(dataset: FileDataset) -> None:
    if not any(keyword in dataset for keyword in (*PIXELS, "WaveformSequence")):
        raise CannotClean("is a DICOM object without an image (a report, plan, document or directory)")
    if str(dataset.get("BurnedInAnnotation", "")).upper().startswith("Y"):
        raise CannotClean("states that text is burnt into its pixels")
    class_uid = dataset.get("SOPClassUID", dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    if class_uid not in UID_dictionary:
        raise CannotClean("is a DICOM object of a private class")
    if dataset.file_meta.get("TransferSyntaxUID", "1.2.840.10008.1.2") not in UID_dictionary:
        raise CannotClean("has a private transfer syntax")


def _look_at(dataset: FileDataset) -> Iterator[str]:
    modality = str(dataset.get("Modality", ""))
    secondary = f"{dataset.get('SOPClassUID', '')}.".startswith(f"{_SECONDARY_CAPTURE}.")
    if dataset.get("BurnedInAnnotation") != "NO" and (modality in BURNS_IN or secondary):
        yield "such images often have text burnt in"
    if dataset.get("RecognizableVisualFeatures") == "YES":
        yield "the header states that the patient can be recognised"
    elif modality in ("CT", "MR", "PT") and dataset.get("BodyPartExamined") in ("HEAD", "BRAIN", "FACE", "SKULL"):
        yield "a face can be rendered from a head scan"


def _identity(dataset: FileDataset) -> str:
    """Return what identifies the patient: the id, else the name and birth date, else the study."""
    for keywords in (("PatientID",), ("PatientName", "PatientBirthDate"), ("StudyInstanceUID",), ("SOPInstanceUID",)):
        identity = " ".join(str(dataset.get(keyword) or "") for keyword in keywords).strip()
        if identity:
            return identity
    return ""


def _clean(dataset: Dataset, rules: _Rules) -> None:
    for tag, action, element in elements(dataset):
        if element is None or action is Treatment.REMOVE:
            del dataset[tag]
        elif action is Treatment.RECURSE:
            _clean_sequence(element, rules)
        elif action is not Treatment.KEEP:
            value = _replacement(element, action, rules)
            if value is None:
                del dataset[tag]
            else:
                element.value = value


def _clean_sequence(element: DataElement, rules: _Rules) -> None:
    items = []
    try:
        for item in element.value:
            if "CodingSchemeDesignator" in item or "CodeMeaning" in item:
                code = _public_code(item)
                items += [code] if code else []
            else:
                _clean(item, rules)
                items.append(item)
    except RecursionError:
        raise CannotClean("has a damaged DICOM header") from None
    element.value = Sequence(items)


def _public_code(item: Dataset) -> Dataset | None:
    """Return the code of a published scheme with the code as its meaning; None if it could be free text."""
    scheme, value = str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeValue", ""))
    if scheme not in PUBLIC_CODES or not _CODE.fullmatch(value):
        return None
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, value
    return code


def _replacement(element: DataElement, action: Treatment, rules: _Rules) -> Any:
    """Return the new value, or None if the element is removed."""
    values = [str(value) for value in values_of(element)]
    match action:
        case Treatment.KEEP_UNLESS_PATIENT:
            return None if mentions(values, rules.words) else element.value
        case Treatment.PATIENT:
            return rules.pseudonyms.patient(rules.identity)
        case Treatment.UID:
            return [uid if uid in UID_dictionary else rules.pseudonyms.uid(uid) for uid in values if uid]
        case Treatment.SHIFT:
            shifted = [_shifted(value, rules.pseudonyms.days(rules.identity)) for value in values]
            return shifted if all(shifted) else None
        case Treatment.EMPTY:
            return Sequence() if element.VR == "SQ" else "" if element.VR in TEXT | {"PN", "CS", "DA", "TM"} else None
    return REMOVED if element.VR in TEXT | {"CS", "AE", "PN"} else "000000" if element.VR == "TM" else None


def _shifted(value: str, days: int) -> str | None:
    """Return the day that many days earlier, without the time of day; "" for "", None if it is not a date."""
    digits = re.sub(r"[.\-/]", "", value.strip()[:10]) if value[4:5] in tuple(".-/") else value.strip()[:8]
    try:
        day = datetime.strptime(digits, "%Y%m%d") - timedelta(days)
    except (ValueError, OverflowError):
        return None
    return f"{day.year:04}{day.month:02}{day.day:02}"


def _mark(dataset: FileDataset, pseudonyms: Pseudonyms) -> None:
    """Record what was done, as PS3.15 E.1.1 asks."""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = f"medshot {version('medshot')}"
    codes = {
        "113100": "Basic Application Confidentiality Profile",
        "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    }
    dataset.DeidentificationMethodCodeSequence = Sequence()
    for value, meaning in codes.items():
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
        dataset.DeidentificationMethodCodeSequence.append(code)
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"
    if not dataset.get("SOPInstanceUID"):
        dataset.SOPInstanceUID = pseudonyms.uid("")


def _renew_meta(dataset: FileDataset) -> None:
    old = dataset.file_meta
    meta = FileMetaDataset()
    if "SOPClassUID" not in dataset:
        dataset.SOPClassUID = old.MediaStorageSOPClassUID
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(
        old.get("TransferSyntaxUID") or ("1.2.840.10008.1.2" if dataset.original_encoding[0] else "1.2.840.10008.1.2.1")
    )
    dataset.file_meta = meta
    dataset.preamble = bytes(128)
