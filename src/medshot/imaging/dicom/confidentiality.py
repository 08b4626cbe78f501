"""What becomes of each DICOM attribute: the Basic Application Level Confidentiality Profile (PS3.15 Annex E).

The table of the standard comes from the package dicom-anonymizer. Its own cleaning is not used: it looks at the top
level of a file alone, gives all patients one id and says nothing of what it did. What the table does not name is kept
only where it cannot hold text of somebody's own: numbers, codes, and the texts and bytes that are named here.
"""

from enum import Enum, auto
from functools import cache

from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.datadict import keyword_for_tag
from pydicom.tag import BaseTag

EDITION = "dicomfields_2024b"


class Treatment(Enum):
    """What is done with an element; see PS3.15 Table E.1-1a."""

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
REQUIRED_TEXT = frozenset({"SegmentLabel"})  # an object without it would not be valid

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
        if not mask  # curves and overlays: whole groups are removed
    }


def goes_unread(tag: BaseTag) -> bool:
    """Whether it is private, a curve or an overlay: these go whatever they hold."""
    return tag.is_private or tag.group >> 8 in (0x50, 0x60)


def treatment(tag: BaseTag, vr: str) -> Treatment:
    """What becomes of an element with this tag and value representation, wherever in a file it stands."""
    if goes_unread(tag):
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
