"""Find and remove identifying columns of manifests."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from medshot.deidentify.identifying import identifying_text
from medshot.errors import InputError
from medshot.imaging.pseudonyms import SECRET_LENGTH, CannotClean, Identifying, Pseudonyms
from medshot.tasks.columns import DataOptions, image_name, patient_columns
from medshot.tasks.manifest import Manifest, read_manifest

OLDEST = 89  # years; few patients share an older age (HIPAA, 45 CFR 164.514(b)(2)(i)(C))
_CATEGORIES = 50  # a column of text with more values than this is not one of categories
_PATIENT = re.compile(r"case(?:[ _-]?id)?", re.IGNORECASE)  # beside the usual names of such columns
_LABEL = re.compile(r"label|class|split|sex|gender", re.IGNORECASE)
_AGE = re.compile(r"(?:.*[ _-])?age(?:[ _-].*)?", re.IGNORECASE)
_TELLING = re.compile(
    r"(?:^|[ _-])(?:name|surname|first|last|birth|dob|address|street|city|zip|postcode|phone|mail|email|ssn|insurance|"
    r"accession|physician|doctor|operator|comment|comments|note|notes|report|history|id|uid|date|time|datetime|day|"
    r"hospital|institution|station|serial|device|file|path)(?:$|[ _-])",
    re.IGNORECASE,
)


@dataclass
class CleanTable:
    """A manifest without identifying columns.

    Args:
        text: the CSV.
        rows: how many rows it has.
        dropped: how many rows named an image that was left out.
        columns: what was done with each changed column of the source, by its number from 1.
    """

    text: str
    rows: int
    dropped: int
    columns: dict[int, str] = field(default_factory=dict)


def read_table(content: bytes, path: Path = Path("manifest.csv")) -> Manifest:
    """Read a manifest from its bytes; CannotClean if it is not one, or has rows that cannot be used.

    Args:
        content: the bytes of the file.
        path: its path; its images are in the same folder.
    """
    try:
        manifest = read_manifest(path, DataOptions(label=None), content=content)
    except InputError:  # its sentence may repeat a value
        raise CannotClean("is a table that cannot be read as a manifest with a column of images") from None
    if manifest.harmful:
        lines = ", ".join(str(problem.line) for problem in manifest.harmful[:3])
        raise CannotClean(f"is a manifest with rows that cannot be used (line {lines}); medshot check lists them")
    return manifest


def identifying_in_table(content: bytes) -> list[Identifying]:
    """Find the identifying columns of a manifest, by number; CannotClean if it cannot be read as one."""
    manifest = read_table(content)
    found: list[Identifying] = []
    for number, (name, column) in enumerate(manifest.columns.items(), 1):
        where = f"column {number}"
        kinds = set().union(*(identifying_text(part) for value in column for part in PurePosixPath(value).parts))
        found += [Identifying(where, kind) for kind in sorted(kinds)]
        if not kinds and name not in manifest.image_columns and not _names_patients(name):
            if _TELLING.search(name) and any(column):
                found.append(Identifying(where, "identifier"))
            elif _AGE.fullmatch(name) and any(_capped(value) != value for value in column):
                found.append(Identifying(where, "age, sex or body"))
    return found


def clean_table(manifest: Manifest, new_path: Callable[[str], str | None], pseudonyms: Pseudonyms) -> CleanTable:
    """Return the manifest with the new names of its images and patients, without columns that may identify.

    Numbers and columns of few different texts are kept, ages of 90 and more as `90+`. Images that were left out are
    removed from their rows, and rows without any other image are removed.

    Args:
        manifest: the source's.
        new_path: returns the new path of an image from its old one, None if it was left out.
        pseudonyms: the pseudonyms of this run.

    Raises:
        CannotClean: none of its images is in the copy.
    """
    images = [manifest.columns[name] for name in manifest.image_columns]
    staying = [row for row in range(len(manifest)) if any(new_path(cells[row]) for cells in images)]
    if not staying:
        raise CannotClean("is a manifest of images that are not in the copy")
    table = CleanTable("", len(staying), len(manifest) - len(staying))
    columns: list[tuple[str, list[str]]] = []
    patients = {
        value.casefold() for name, values in manifest.columns.items() if _names_patients(name) for value in values
    }
    patients = {patient for patient in patients if len(patient) >= SECRET_LENGTH and not _is_number(patient)}
    for number, (name, old) in enumerate(manifest.columns.items(), 1):
        values = [old[row] for row in staying]
        change, new = _column(name, name in manifest.image_columns, values, new_path, pseudonyms)
        if change == "" and any(patient in value.casefold() for value in set(values) for patient in patients):
            change, new = "removed: a patient is named in it", None
        if change:
            table.columns[number] = change
        if new is not None:
            columns.append((name, new))
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=manifest.delimiter, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows(zip(*(values for _, values in columns), strict=True))
    table.text = buffer.getvalue()
    return table


def _column(
    name: str, of_images: bool, values: list[str], new_path: Callable[[str], str | None], pseudonyms: Pseudonyms
) -> tuple[str, list[str] | None]:
    """Return what is done with a column, "" for nothing, and its new values, None if it is removed."""
    plain = (image_name(name) if of_images else name) or name
    if identifying_text(plain) or not re.fullmatch(r"[\w .()%/-]{1,60}", plain):
        return "removed: its name may identify", None
    if _names_patients(name):
        return "pseudonyms", [pseudonyms.patient(value) if value else "" for value in values]
    paths = [new_path(value) if value else "" for value in values]
    if of_images or (any(paths) and all(path is not None for path in paths)):
        return "new file names", [path or "" for path in paths]
    if _TELLING.search(name):
        return "removed: such columns name persons or dates", None
    if any(identifying_text(value) for value in values):
        return "removed: values look like names, dates, ages or identifiers", None
    if _AGE.fullmatch(name):
        capped = [_capped(value) for value in values]
        return ("ages above 89 as 90+" if capped != values else ""), capped
    if all(_is_number(value) for value in values):
        return "", values
    if len(set(values)) <= (_CATEGORIES if _LABEL.fullmatch(name) else min(_CATEGORIES, len(values) // 2)):
        return "", values
    return "removed: free text", None


def _names_patients(column: str) -> bool:
    return bool(_PATIENT.fullmatch(column) or patient_columns([column]))


def _capped(value: str) -> str:
    return "90+" if _is_number(value) and value and float(value) > OLDEST else value


def _is_number(value: str) -> bool:
    return not value or (
        re.fullmatch(r"[+-]?\d{0,6}(?:\.\d*)?(?:[eE][+-]?\d{1,3})?", value) is not None and _floats(value)
    )


def _floats(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
