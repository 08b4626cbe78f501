"""Names of files and folders that identify a person or a date."""

import re
from pathlib import Path

import pytest

from medshot.deidentify import identifying_name


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
def test_identifying_names_are_found(name: str, kind: str) -> None:
    assert kind in {finding.kind for finding in identifying_name(name)}


FORMS = {
    "date": r"(19|20)\d\d[-_. ]?\d\d?[-_. ]?\d\d?",
    "identifier": r"\d{8}",
    "age, sex or body": r"\b[MF]\b|_[MF][-_]|,[MF]_|yrs?",
}


@pytest.mark.slow
def test_names_in_real_data(shared_data: Path) -> None:
    """Check that every name found has the form that it is found for, and that names of few digits are not found."""
    telling: dict[str, list[bool]] = {}
    for path in shared_data.rglob("*"):
        if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".npz", ".dcm"):
            kinds = {finding.kind for finding in identifying_name(path.relative_to(shared_data))}
            assert all(re.search(FORMS[kind], str(path.name), re.IGNORECASE) for kind in kinds), path
            assert not kinds or sum(map(str.isdigit, path.name)) > 6 or re.search(FORMS["age, sex or body"], path.name)
            telling.setdefault(path.relative_to(shared_data).parts[0], []).append(bool(kinds))
    assert all(telling["spine_xray_scoliosis"] + telling["lgg_mri_genomics"])
    assert not any(telling["cxr_nih1000"] + telling["brain_mri_4class"])
