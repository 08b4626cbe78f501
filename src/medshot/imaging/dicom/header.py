"""Parse DICOM files and read their headers; hostile, damaged and unsuitable files are refused."""

import hashlib
import math
import zlib
from io import SEEK_END, BufferedReader, BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medshot.imaging.formats import readable_formats

BYTE_LIMIT = 1_000_000_000  # limit for a file, for an inflated file, and for the array of a scan
_DEFLATED_TO = 1032  # bytes at most for each byte of a deflated stream (258 bytes from two bits)

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_WHAT_MAKES_A_FILE_DICOM = ("SOPClassUID", "Modality", "StudyInstanceUID", "Rows", "DirectoryRecordSequence")


class Unsuitable(Exception):
    """The reason why a file cannot be used: the end of a sentence that begins with its path."""


def open_dataset(file: BufferedReader | BytesIO) -> FileDataset:
    """Parse a DICOM file, with or without its preamble.

    Raises:
        Unsuitable: it is not DICOM, or it is a deflated file that inflates beyond `BYTE_LIMIT`.
    """
    size = file.seek(0, SEEK_END)
    if size > BYTE_LIMIT:
        raise Unsuitable(f"has {size:,} bytes, more than the limit of {BYTE_LIMIT:,}; split it")
    if size * _DEFLATED_TO > BYTE_LIMIT:
        _check_deflated(file)
    file.seek(0)
    dataset = dcmread(file, force=True)
    if not any(keyword in dataset for keyword in _WHAT_MAKES_A_FILE_DICOM):
        raise Unsuitable(
            f"is not a DICOM file with an image, nor of another format that medshot reads ({readable_formats()}); "
            "convert it, for example to PNG"
        )
    return dataset


def transfer_syntax(dataset: FileDataset, assumed: list[str]) -> UID:
    """Return the transfer syntax that the file names; if it names none, the one that it was parsed with."""
    named = dataset.file_meta.get("TransferSyntaxUID") if "file_meta" in dataset.__dict__ else None
    if named:
        return UID(str(named))
    implicit, little = dataset.original_encoding
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = syntax
    assumed.append(f"The file names no transfer syntax; it was read as {syntax.name}.")
    return syntax


def kind_of_object(dataset: Dataset) -> str:
    """Return DICOM's name for this kind of file, such as "Encapsulated PDF", or "object without a class"."""
    uid = UID(str(dataset.get("SOPClassUID") or ""))
    name = uid.name if uid and uid.name != uid else ""
    if not name and "DirectoryRecordSequence" in dataset:
        return "DICOMDIR"
    return name.removesuffix(" Storage") or str(dataset.get("Modality") or "") or "object without a class"


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return a number; None if it is missing, empty, multi-valued, or not finite."""
    value = dataset.get(keyword)
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def numbers(dataset: Dataset, keyword: str, count: int) -> tuple[float, ...] | None:
    """Return `count` finite numbers; None if there are more or fewer, or one is not finite."""
    value = dataset.get(keyword)
    try:
        found = tuple(float(item) for item in value)
    except (TypeError, ValueError):
        return None
    return found if len(found) == count and all(map(math.isfinite, found)) else None


def first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    """Return the first item of a sequence; None if it is missing or empty."""
    sequence = dataset.get(keyword)
    return sequence[0] if sequence and isinstance(sequence[0], Dataset) else None


def _check_deflated(file: BufferedReader | BytesIO) -> None:
    """Inflate the file up to the limit; pydicom would inflate all of it."""
    file.seek(0)
    if read_preamble(file, force=True) is None:
        return
    meta = read_dataset(
        file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, _vr, _length: tag.group != 2
    )
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    total, rest = 0, file.read()
    while rest and not inflating.eof:
        total += len(inflating.decompress(rest, 1 << 24))
        rest = inflating.unconsumed_tail
        if total > BYTE_LIMIT:
            raise Unsuitable(f"inflates to more than the limit of {BYTE_LIMIT:,} bytes; replace the file")


def keys(dataset: Dataset, *, identity: bool, assumed: list[str]) -> dict[str, str]:
    """Return the keys of patient, study and series: 16 digits of SHA-256, or with `identity` the file's own values.

    A patient is the PatientID together with its issuer, since two hospitals give the same numbers.
    """
    patient, issuer = (str(dataset.get(name) or "").strip() for name in ("PatientID", "IssuerOfPatientID"))
    if not patient:
        assumed.append("The file has no PatientID, so the patient is unknown.")
    named = {
        "patient": f"{patient}\0{issuer}" if patient else "",
        "study": str(dataset.get("StudyInstanceUID") or ""),
        "series": str(dataset.get("SeriesInstanceUID") or ""),
    }
    if identity:
        return {**named, "patient": patient}
    return {name: hashlib.sha256(value.encode()).hexdigest()[:16] if value else "" for name, value in named.items()}


def body_part(dataset: Dataset) -> str:
    """Return BodyPartExamined, or the meaning of the anatomic region's code, in capitals."""
    named = str(dataset.get("BodyPartExamined") or "").strip()
    if not named:
        region = first_item(dataset, "AnatomicRegionSequence")
        named = str(region.get("CodeMeaning") or "").strip() if region is not None else ""
    return named.upper()


def burnt_in(dataset: Dataset) -> bool | None:
    """Return whether text is burnt in according to BurnedInAnnotation; None if it is missing."""
    return {"YES": True, "NO": False}.get(str(dataset.get("BurnedInAnnotation") or "").strip().upper())


def units(dataset: Dataset, header: Dataset, modality: str, assumed: list[str]) -> str:
    """Return the unit of the values, according to the file and the header of its first frame."""
    if modality == "CT":
        named = str(header.get("RescaleType") or "HU").strip().upper()
        if header.get("RescaleIntercept") in (None, ""):
            assumed.append("The CT has no RescaleIntercept; its values may not be Hounsfield units.")
            return ""
        if named not in ("HU", "HU_MOD"):
            assumed.append(f"The CT's RescaleType is {named}; its values may not be Hounsfield units.")
        return "HU" if named in ("HU", "HU_MOD") else "" if named == "US" else named
    if modality == "PT":
        return str(dataset.get("Units") or "")
    if modality == "RTDOSE":
        return {"GY": "Gy"}.get(str(dataset.get("DoseUnits") or ""), str(dataset.get("DoseUnits") or ""))
    return ""
