"""Who and what a file is of: keys instead of names, the body part, and whether text is burnt in."""

import hashlib

from pydicom.dataset import Dataset

from medshot.imaging.dicom.headers import first_item


def keys(dataset: Dataset, *, identity: bool, assumed: list[str]) -> dict[str, str]:
    """Keys of patient, study and series: SHA-256 in 16 digits, or as they stand in the file.

    A patient is the PatientID together with its issuer, since two hospitals give the same numbers.
    """
    patient, issuer = (str(dataset.get(name) or "").strip() for name in ("PatientID", "IssuerOfPatientID"))
    if not patient:
        assumed.append("The file has no PatientID; whose it is, is not known.")
    named = {
        "patient": f"{patient}\0{issuer}" if patient else "",
        "study": str(dataset.get("StudyInstanceUID") or ""),
        "series": str(dataset.get("SeriesInstanceUID") or ""),
    }
    if identity:
        return {**named, "patient": patient}
    return {name: hashlib.sha256(value.encode()).hexdigest()[:16] if value else "" for name, value in named.items()}


def body_part(dataset: Dataset) -> str:
    """BodyPartExamined, or the meaning of the anatomic region's code, in capitals."""
    named = str(dataset.get("BodyPartExamined") or "").strip()
    if not named:
        region = first_item(dataset, "AnatomicRegionSequence")
        named = str(region.get("CodeMeaning") or "").strip() if region is not None else ""
    return named.upper()


def burnt_in(dataset: Dataset) -> bool | None:
    """What BurnedInAnnotation says."""
    return {"YES": True, "NO": False}.get(str(dataset.get("BurnedInAnnotation") or "").strip().upper())


def units(dataset: Dataset, header: Dataset, modality: str, assumed: list[str]) -> str:
    """What the values are measured in, as the file and the header of its first frame tell."""
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
