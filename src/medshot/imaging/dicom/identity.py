"""Who and when, in one DICOM file: the attributes that tell, found by what would become of them in a clean copy."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from pydicom import Dataset, FileDataset, dcmread
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag

from medshot.imaging.dicom.confidentiality import BYTES, Treatment, goes_unread, treatment
from medshot.imaging.secrecy import PSEUDONYM, REMOVED, SECRET_LENGTH, CannotClean, Identifying, Kind

_MOVED = ("MODIFIED", "REMOVED")


def identifying_elements(content: bytes) -> list[Identifying]:
    """The attributes of a DICOM file that tell who or when, nested ones by their path.

    Raises:
        CannotClean: it is no readable DICOM file.
    """
    with quietly():
        dataset = read_dataset(content)
        found = [
            Identifying(f"file meta {element.keyword or element.tag}", "device")
            for element in dataset.file_meta
            if (element.VR == "AE" or element.keyword.startswith("PrivateInformation")) and element.value
        ]
        if any(content[:128]) and content[128:132] == b"DICM":
            found.append(Identifying("preamble", "free text"))
        dates_moved = dataset.get("LongitudinalTemporalInformationModified") in _MOVED
        return found + list(_identifying(dataset, "", words_of(dataset), dates_moved))


@contextmanager
def quietly() -> Iterator[None]:
    """Keeps pydicom's remarks and errors, which quote the file, off the screen; an error becomes CannotClean."""
    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except CannotClean:
        raise
    except Exception:  # a damaged file makes pydicom raise nearly anything
        raise CannotClean("is a damaged DICOM file") from None
    finally:
        log.setLevel(level)


def read_dataset(content: bytes) -> FileDataset:
    """The elements of a DICOM file, with or without a preamble; CannotClean where there are none."""
    try:
        dataset = dcmread(BytesIO(content), force=True)
        if "SOPClassUID" not in dataset and "MediaStorageSOPClassUID" not in dataset.file_meta:
            raise CannotClean("is not a readable DICOM file")
        return dataset
    except Exception:  # a damaged file makes the parser raise nearly anything, and its message may quote the file
        raise CannotClean("is not a readable DICOM file") from None


def words_of(dataset: FileDataset) -> frozenset[str]:
    """The longer words of the patient's names and ids, in small letters."""
    text = " ".join(str(dataset.get(keyword) or "") for keyword in ("PatientName", "PatientID", "OtherPatientIDs"))
    words = re.split(r"[\W_]+", text.casefold())
    return frozenset(word for word in words if len(word) >= SECRET_LENGTH and word not in ("anon", REMOVED.casefold()))


def elements(dataset: Dataset) -> Iterator[tuple[BaseTag, Treatment, DataElement | None]]:
    """Every element with what becomes of it; those that go are not decoded, since they may be beyond decoding."""
    for tag in list(dataset.keys()):
        if goes_unread(tag):
            yield tag, Treatment.REMOVE, None
            continue
        try:
            element = dataset[tag]
            element.value  # noqa: B018 - decoded here, so that what is damaged is refused here
        except Exception:
            raise CannotClean("has a damaged DICOM header") from None
        yield tag, treatment(tag, element.VR), element


def values_of(element: DataElement) -> list[Any]:
    """The values of an element that is no run of bytes, one or several."""
    if element.value is None or isinstance(element.value, bytes):
        return []
    return list(element.value) if element.VM > 1 else [element.value]


def mentions(values: list[str], words: frozenset[str]) -> bool:
    """Whether one of the words occurs in a value, in whatever letters."""
    return any(word in value.casefold() for value in values for word in words)


def _identifying(dataset: Dataset, path: str, words: frozenset[str], dates_moved: bool) -> Iterator[Identifying]:
    for tag, action, element in elements(dataset):
        where = f"{path}{keyword_for_tag(tag) or tag}"
        if element is None:
            yield Identifying(where, "private element" if tag.is_private else "embedded picture")
        elif element.VR == "SQ" and action is Treatment.RECURSE:
            for number, item in enumerate(element.value, 1):
                if "CodingSchemeDesignator" not in item:
                    yield from _identifying(item, f"{where}[{number}].", words, dates_moved)
        elif action is Treatment.KEEP_UNLESS_PATIENT:
            if mentions([str(value) for value in values_of(element)], words):
                yield Identifying(where, "identifier")
        elif action is not Treatment.KEEP and not _neutral(element, action, dates_moved):
            yield Identifying(where, _kind(element))


def _neutral(element: DataElement, action: Treatment, dates_moved: bool) -> bool:
    """Whether nothing stands there, or what this module writes in its place."""
    if element.keyword.startswith("DeidentificationMethod"):
        return True
    if action is Treatment.SHIFT and dates_moved:
        return True
    if action is Treatment.UID:
        return all(not uid or uid in UID_dictionary or uid.startswith("2.25.") for uid in map(str, values_of(element)))
    if element.is_empty or str(element.value) in ("", REMOVED, "000000"):
        return True
    return action is Treatment.PATIENT and re.fullmatch(PSEUDONYM, str(element.value)) is not None


def _kind(element: DataElement) -> Kind:
    vr, keyword = element.VR, element.keyword
    if vr in ("DA", "DT", "TM"):
        return "date"
    if vr == "UI":
        return "unique identifier"
    if vr == "PN" or "Physician" in keyword or "Operator" in keyword:
        return "name"
    if (vr == "SQ" and "Icon" in keyword) or vr in BYTES:
        return "embedded picture"
    if re.search("Institution|Address|City|Region|Country|Location|Residence", keyword):
        return "place"
    if re.search("Serial|Station|Device|Detector", keyword) or vr == "AE":
        return "device"
    if vr == "AS" or re.search("Sex|Age|Size|Weight|Pregnan|Smoking|Ethnic|Race", keyword):
        return "age, sex or body"
    return "identifier" if re.search("ID$|IDs$|Number|Accession", keyword) else "free text"
