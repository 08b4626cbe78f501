"""Find the identifying attributes of a DICOM file: those that a clean copy would change or remove."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from functools import cache
from io import BytesIO
from typing import Any

from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom import Dataset, FileDataset, dcmread
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag

from medshot.imaging.pseudonyms import PSEUDONYM, REMOVED, SECRET_LENGTH, CannotClean, Identifying, Kind
from medshot.process import capture_warnings

EDITION = "dicomfields_2024b"


class Treatment(Enum):
    """The action for an element; see PS3.15 Table E.1-1a."""

    KEEP = auto()
    KEEP_UNLESS_PATIENT = auto()
    """Kept, unless a word of the patient's name or id occurs in it."""
    REMOVE = auto()
    EMPTY = auto()
    DUMMY = auto()
    UID = auto()
    PATIENT = auto()
    SHIFT = auto()
    RECURSE = auto()


TEXT = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "UR"})
BYTES = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "OB or OW"})
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

KEPT_TEXT = frozenset(
    {
        "ConvolutionKernel",
        "ImagedNucleus",
        "LUTExplanation",
        "Manufacturer",
        "ManufacturerModelName",
        "ModalityLUTType",
        "PulseSequenceName",
        "ReceiveCoilName",
        "RescaleType",
        "SequenceName",
        "SoftwareVersions",
        "StackID",
        "TransmitCoilName",
        "WindowCenterWidthExplanation",
    }
)
KEPT_BYTES = frozenset(
    {
        *PIXELS,
        "AlphaPaletteColorLookupTableData",
        "BluePaletteColorLookupTableData",
        "ExtendedOffsetTable",
        "ExtendedOffsetTableLengths",
        "GreenPaletteColorLookupTableData",
        "ICCProfile",
        "LUTData",
        "RedPaletteColorLookupTableData",
        "SegmentedBluePaletteColorLookupTableData",
        "SegmentedGreenPaletteColorLookupTableData",
        "SegmentedRedPaletteColorLookupTableData",
        "VectorGridData",
        "WaveformData",
        "WaveformPaddingValue",
    }
)
REQUIRED_TEXT = frozenset({"SegmentLabel"})  # required, else the object is invalid

_BY_ACTION = {
    "X_TAGS": Treatment.REMOVE,
    "Z_TAGS": Treatment.EMPTY,
    "X_Z_TAGS": Treatment.EMPTY,
    "D_TAGS": Treatment.DUMMY,
    "Z_D_TAGS": Treatment.DUMMY,
    "X_D_TAGS": Treatment.DUMMY,
    "X_Z_D_TAGS": Treatment.DUMMY,
    "U_TAGS": Treatment.UID,
    "X_Z_U_STAR_TAGS": Treatment.RECURSE,
}


@cache
def _table() -> dict[int, Treatment]:
    actions = dicom_anonymization_database_selector(EDITION)
    return {
        group << 16 | element: treatment
        for action, treatment in _BY_ACTION.items()
        for group, element, *mask in actions[action]
        if not mask  # curves and overlays are removed by their group
    }


def is_removed_unread(tag: BaseTag) -> bool:
    """Whether the element is private, a curve or an overlay: these are removed unread."""
    return tag.is_private or tag.group >> 8 in (0x50, 0x60)


def treatment(tag: BaseTag, vr: str) -> Treatment:
    """Return the action for elements of this tag and value representation, at any depth of a file."""
    if is_removed_unread(tag):
        return Treatment.REMOVE
    keyword = keyword_for_tag(tag)
    named = _table().get(int(tag))
    if keyword in ("PatientID", "PatientName"):
        return Treatment.PATIENT
    if vr in ("DA", "DT"):
        return (named or Treatment.REMOVE) if "Birth" in keyword else Treatment.SHIFT
    if vr == "SQ":
        return Treatment.REMOVE if named is Treatment.DUMMY else named or Treatment.RECURSE
    if named is Treatment.DUMMY and vr == "UI":
        return Treatment.UID
    return named or _unnamed(keyword, vr)


def _unnamed(keyword: str, vr: str) -> Treatment:
    if vr == "UI":
        return Treatment.UID
    if vr in TEXT:
        if keyword in REQUIRED_TEXT:
            return Treatment.DUMMY
        return Treatment.KEEP_UNLESS_PATIENT if keyword in KEPT_TEXT else Treatment.REMOVE
    if vr in BYTES:
        return Treatment.KEEP if keyword in KEPT_BYTES else Treatment.REMOVE
    if vr in ("PN", "TM", "AS", "AE", "UN"):
        return Treatment.REMOVE
    if vr == "CS" and keyword not in ("Modality", "PhotometricInterpretation", "SpecificCharacterSet"):
        return Treatment.KEEP_UNLESS_PATIENT
    return Treatment.KEEP


_MOVED = ("MODIFIED", "REMOVED")


def identifying_elements(content: bytes) -> list[Identifying]:
    """Return the attributes of a DICOM file that identify a person or a date, nested ones by their path.

    Raises:
        CannotClean: the file is not a readable DICOM file.
    """
    with refuse_damage():
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
def refuse_damage() -> Iterator[None]:
    """Turn any error into CannotClean, and hide warnings, logs and errors of pydicom, since they quote the file."""
    with capture_warnings():
        try:
            yield
        except CannotClean:
            raise
        except Exception:  # a damaged file makes pydicom raise nearly anything
            raise CannotClean("is a damaged DICOM file") from None


def read_dataset(content: bytes) -> FileDataset:
    """Parse a DICOM file, with or without a preamble; CannotClean if it is not one."""
    try:
        dataset = dcmread(BytesIO(content), force=True)
        if "SOPClassUID" not in dataset and "MediaStorageSOPClassUID" not in dataset.file_meta:
            raise CannotClean("is not a readable DICOM file")
        return dataset
    except Exception:  # a damaged file makes the parser raise nearly anything, and its message may quote the file
        raise CannotClean("is not a readable DICOM file") from None


def words_of(dataset: FileDataset) -> frozenset[str]:
    """Return the longer words of the patient's names and ids, in lower case."""
    text = " ".join(str(dataset.get(keyword) or "") for keyword in ("PatientName", "PatientID", "OtherPatientIDs"))
    words = re.split(r"[\W_]+", text.casefold())
    return frozenset(word for word in words if len(word) >= SECRET_LENGTH and word not in ("anon", REMOVED.casefold()))


def elements(dataset: Dataset) -> Iterator[tuple[BaseTag, Treatment, DataElement | None]]:
    """Yield each element with its action; removed elements are not decoded, since they may be damaged."""
    for tag in list(dataset.keys()):
        if is_removed_unread(tag):
            yield tag, Treatment.REMOVE, None
            continue
        try:
            element = dataset[tag]
            element.value  # noqa: B018 - decodes it, so that damage is found here
        except Exception:
            raise CannotClean("has a damaged DICOM header") from None
        yield tag, treatment(tag, element.VR), element


def values_of(element: DataElement) -> list[Any]:
    """Return the values of an element as a list, empty for bytes."""
    if element.value is None or isinstance(element.value, bytes):
        return []
    return list(element.value) if element.VM > 1 else [element.value]


def mentions(values: list[str], words: frozenset[str]) -> bool:
    """Whether one of the words occurs in a value, in upper or lower case."""
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
    """Whether the element is empty or holds what de-identification writes."""
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
