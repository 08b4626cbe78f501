"""Findings on whose images they are, and on labels and patients that differ only in how they are written."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from medshot.audit.facts import FactStore
from medshot.audit.findings import Finding
from medshot.audit.listing import Categories, Listing
from medshot.audit.sample import AuditedTask
from medshot.imaging.formats import split_member
from medshot.tasks.columns import PATIENT
from medshot.tasks.layouts import PICTURES, classes_are_patients, left_out_remark
from medshot.tasks.likeness import patient_like_columns
from medshot.tasks.people import SampleFile, patients_of_files, patients_remark
from medshot.tasks.spelling import JOIN_ADVICE, label_remarks, patient_remarks


def with_header_patients(listing: Listing, rows: np.ndarray, store: FactStore) -> Listing:
    """Return the listing with the patients that `load_tasks` would give its images, if nothing names them.

    The listing is returned as it is if its patients have names, or if no DICOM header names one and no sample has
    several images: then identical images are one patient.

    Args:
        listing: the listing.
        rows: the row of each of its images in the store, -1 if it could not be read.
        store: the facts.
    """
    if listing.patients is not None or listing.array is not None:
        return listing
    digests, patients = store.column("file"), store.column("patient")
    samples = listing.samples or range(len(listing))
    files = [
        SampleFile(
            sample,
            digests[row].tobytes().hex() if row >= 0 else "",
            str(split_member(Path(path))[0]),
            patients[row].tobytes().hex() if row >= 0 and patients[row].any() else "",
        )
        for sample, path, row in zip(samples, listing.paths, rows.tolist(), strict=True)
    ]
    named, from_headers = patients_of_files(files, max(samples) + 1)
    if not from_headers and not listing.samples:
        return listing
    return replace(listing, patients=Categories.of([named[sample] for sample in samples]), from_headers=from_headers)


def patient_findings(task: AuditedTask) -> Iterator[Finding]:
    """Find patients that are not used, not named or taken for classes, and files that are left out."""
    yield from _unused_columns(task)
    listing = task.listing
    if listing.names_no_patients:
        samples = len(set(listing.samples)) or len(listing)
        yield Finding(
            name="patients-unnamed",
            task=task.name,
            harm="note",
            sentence=patients_remark(samples, listing.from_headers, _without_patients(listing)),
            advice="Name them: a column patient, --patient COLUMN, or a folder for each within the class folders.",
            numbers={"images": len(listing), "named by headers": listing.from_headers},
        )
    pairs = np.unique(np.stack([task.labels.codes.astype(np.int64), task.patients]), axis=1)
    of_class = np.bincount(pairs[0], minlength=len(task.labels.names)).tolist()
    of_folders = listing.roles is None and listing.array is None
    if of_folders and (sentence := classes_are_patients(task.labels.names, of_class, len(task))):
        yield Finding(
            name="classes-are-patients",
            task=task.name,
            harm="harmful",
            sentence=sentence,
            advice="Sort the folders into one folder per class, or give a table of the patients' labels with --table.",
            numbers={"classes": len(of_class)},
        )
    if listing.left_out:
        pictures = any(PICTURES.match(kind) or kind.startswith("images") for kind in listing.left_out)
        yield Finding(
            name="left-out-files",
            task=task.name,
            harm="doubtful" if pictures else "note",
            sentence=left_out_remark(listing.left_out),
            advice="Convert images to PNG and put them into the folder of their class; otherwise nothing.",
            numbers=dict(listing.left_out),
        )


def spelling_findings(listing: Listing) -> Iterator[Finding]:
    """Find labels and patients that differ only in how they are written, and words for a missing value among them."""
    patients: Sequence[str] = listing.patients.names if listing.patients and not listing.names_no_patients else ()
    on_patients = "Correct the patients: images of one person are otherwise on both sides of a split."
    kinds = (
        ("labels", label_remarks(listing.labels.names), f"Correct the labels. {JOIN_ADVICE}"),
        ("patients", patient_remarks(patients), on_patients),
    )
    for kind, sentences, advice in kinds:
        for sentence in sentences:
            name = f"{kind}-written-differently" if "differ" in sentence else f"{kind}-that-are-missing-values"
            yield Finding(name=name, task=listing.name, harm="doubtful", sentence=sentence, advice=advice)


def _unused_columns(task: AuditedTask) -> Iterator[Finding]:
    listing, roles = task.listing, task.listing.roles
    if roles is None:
        return
    columns = {name: _texts(column) for name, column in listing.columns.items()}
    if roles.label:
        columns[roles.label] = _texts(listing.labels)
    if roles.patient and listing.patients:
        columns[roles.patient] = _texts(listing.patients)
    for name in patient_like_columns(columns, roles):
        values = len(set(filter(None, columns[name])))
        instead = f"'{roles.patient}' is used" if roles.patient else "no column of patients is used"
        yield Finding(
            name="patient-column-unused",
            task=task.name,
            harm="harmful",
            sentence=f"The column '{name}' looks like patients ({values:,} values for {len(listing):,} images), but "
            f"{instead}: images of one of them may be on both sides of a split.",
            advice=f"Give --patient '{name}', or rename the column to {PATIENT}; if it names something else, name the "
            "patients.",
            numbers={"values": values, "images": len(listing)},
        )


def _texts(column: Categories) -> list[str]:
    return [column.names[code] for code in column.codes]


def _without_patients(listing: Listing) -> str:
    if listing.array is not None:
        return "The archive names no patients"
    return "Class folders name no patients" if listing.roles is None else f"There is no column '{PATIENT}'"
