"""Names of files and folders that tell who somebody is, or when."""

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
