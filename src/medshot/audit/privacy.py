"""Findings on what should not leave the hospital: names, ages, sexes and dates in headers, file names and columns."""

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath

import numpy as np

from medshot.audit.findings import Finding, Harm
from medshot.audit.listing import Categories
from medshot.audit.sample import AuditedTask
from medshot.deidentify import identifying_text
from medshot.imaging.pseudonyms import Kind

_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
_PARTS = re.compile(r"[^\W\d_]+")
_REVEALING = 0.05  # share of the names below which a pattern is chance
_WORDS = 3  # fewest letters of a word that may be a name
_COLUMNS: Sequence[tuple[str, Harm, frozenset[str]]] = (
    ("names", "harmful", frozenset(["name", "surname", "firstname", "lastname", "patientname"])),
    ("birth dates", "harmful", frozenset(["birthdate", "dob", "birthday", "dateofbirth", "patientbirthdate"])),
    (
        "numbers of persons",
        "harmful",
        frozenset(["mrn", "ssn", "email", "phone", "telephone", "address", "accession", "accessionnumber"]),
    ),
    ("dates", "doubtful", frozenset(["date", "studydate", "scandate", "acquisitiondate", "examdate", "visitdate"])),
    ("ages", "note", frozenset(["age", "patientage", "ageyears", "ageatinitialpathologic"])),
    ("sexes", "note", frozenset(["sex", "gender", "patientsex"])),
)


def privacy_findings(task: AuditedTask) -> Iterator[Finding]:
    """Find what identifies patients in headers, file names and columns."""
    if task.listing.paths:
        yield from _headers(task)
        yield from _file_names(task)
    roles, patients = task.listing.roles, task.listing.patients
    used = {roles.patient: patients} if roles and roles.patient and patients else {}
    for name, column in {**used, **task.listing.columns}.items():
        yield from _column(task, name, column)
    if task.listing.patients is not None and not task.listing.names_no_patients:
        revealing = [name for name in task.listing.patients.names if _names_a_person(name)]
        if revealing:
            yield _identifying(
                task,
                "names-of-patients",
                "harmful",
                f"The column patient holds {len(revealing):,} names of persons.",
                [],
            )


def _headers(task: AuditedTask) -> Iterator[Finding]:
    for name, what in (
        ("header_names", "names or numbers of the patient"),
        ("header_traces", "dates, places or devices"),
    ):
        rows = np.flatnonzero(task.numbers[name])
        if len(rows):
            sentence = f"The headers of {len(rows):,} of {len(task.rows):,} files hold {what}."
            yield Finding(
                name=name.replace("_", "-"),
                task=task.name,
                harm="doubtful" if name == "header_names" else "note",
                sentence=sentence,
                advice="Before the data leaves the hospital: medshot check DATA --deidentify OUT writes a clean copy.",
                numbers={"files": len(rows), "of": len(task.rows)},
                examples=task.examples(rows[:6]),
            )


def _file_names(task: AuditedTask) -> Iterator[Finding]:
    stems = [PurePath(task.listing.paths[int(index)]).stem for index in task.rows]
    kinds = [identifying_text(stem) for stem in stems]
    kinds_of_names: Sequence[tuple[str, str, Harm, Kind]] = (
        ("dates-in-file-names", "a date", "doubtful", "date"),
        ("age-and-sex-in-file-names", "an age and a sex", "doubtful", "age, sex or body"),
        ("names-in-file-names", "what looks like a person's name", "harmful", "name"),
        ("numbers-in-file-names", "what looks like a record number", "doubtful", "identifier"),
    )
    for name, what, harm, kind in kinds_of_names:
        rows = np.flatnonzero([kind in of_stem for of_stem in kinds])
        if len(rows) > _REVEALING * len(stems):
            sentence = f"{len(rows):,} of {len(stems):,} file names hold {what} (such as {stems[rows[0]]})."
            yield _identifying(task, name, harm, sentence, rows[:6])
    words = [{part.lower() for part in _PARTS.findall(stem) if len(part) >= _WORDS} for stem in stems]
    different = set().union(*words) if words else set()
    if len(different) > max(10, 0.25 * len(stems)):
        sentence = f"File names hold {len(different):,} different words, which may be names of persons."
        yield _identifying(task, "words-in-file-names", "doubtful", sentence, list(range(min(6, len(stems)))))


def _column(task: AuditedTask, name: str, column: Categories) -> Iterator[Finding]:
    plain = re.sub(r"[^a-z]", "", name.lower())
    filled = [value for value in column.names if value]
    for what, harm, names in _COLUMNS:
        if plain in names:
            count = int(np.isin(column.codes, [k for k, value in enumerate(column.names) if value]).sum())
            old = sum(_number(value) >= 90 for value in filled) if what == "ages" else 0
            more = f"; {old} of the ages are 90 or more, which alone can name a person" if old else ""
            yield _identifying(
                task, f"column-of-{what.replace(' ', '-')}", "doubtful" if old else harm,
                f"The column '{name}' holds {what} of {count:,} images{more}.", [],
            )  # fmt: skip
            return
    if filled and sum("date" in identifying_text(value) for value in filled) > 0.5 * len(filled):
        yield _identifying(
            task, "column-of-dates", "doubtful", f"The column '{name}' holds dates or names of files with dates.", []
        )
    elif filled and sum(map(_names_a_person, filled)) > 0.5 * len(filled):
        yield _identifying(
            task, "column-of-names", "harmful", f"The column '{name}' holds what looks like names of persons.", []
        )


def _names_a_person(text: str) -> bool:
    return bool("name" in identifying_text(text) or _MAIL.search(text))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _identifying(task: AuditedTask, name: str, harm: Harm, sentence: str, rows: Sequence[int] | np.ndarray) -> Finding:
    return Finding(
        name=name,
        task=task.name,
        harm=harm,
        sentence=sentence,
        advice="Remove it before the data leaves the hospital: rename files by a number, drop or coarsen the column.",
        examples=task.examples(rows, [task.listing.named(int(task.rows[int(row)])).rsplit("/", 1)[-1] for row in rows]),
    )
