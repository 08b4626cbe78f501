"""CSV manifests: which columns may leave, and the table without the others."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from medshot.deidentify.identifying import identifying_text
from medshot.imaging.pseudonyms import SECRET_LENGTH, CannotClean, Identifying, Pseudonyms

IMAGE = "image"
OLDEST = 89  # years; older ages are told apart by few (HIPAA, 45 CFR 164.514(b)(2)(i)(C))
_CATEGORIES = 50  # a column of text with more values than this is not one of categories
_PATIENT = re.compile(r"(?:patient|subject|case|participant)(?:[ _-]?id)?|pid|mrn", re.IGNORECASE)
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
    """A manifest that may leave.

    Args:
        text: the CSV.
        rows: how many rows it has.
        dropped: how many rows named an image that was left out.
        columns: what was done with each column of the source that is not as it was, by its number from 1.
    """

    text: str
    rows: int
    dropped: int
    columns: dict[int, str] = field(default_factory=dict)


def identifying_in_table(content: bytes) -> list[Identifying]:
    """The columns of a manifest that tell who or when, by number; CannotClean where it is no manifest."""
    header, rows, _ = _table(content)
    found: list[Identifying] = []
    for number, name in enumerate(header):
        column, where = [row[number].strip() for row in rows], f"column {number + 1}"
        kinds = set().union(*(identifying_text(part) for value in column for part in PurePosixPath(value).parts))
        found += [Identifying(where, kind) for kind in sorted(kinds)]
        if not kinds and name.lower() != IMAGE and not _PATIENT.fullmatch(name):
            if _TELLING.search(name) and any(column):
                found.append(Identifying(where, "identifier"))
            elif _AGE.fullmatch(name) and any(_capped(value) != value for value in column):
                found.append(Identifying(where, "age, sex or body"))
    return found


def is_table(content: bytes) -> bool:
    """Whether the content is a CSV with a column of images."""
    try:
        _table(content)
    except CannotClean:
        return False
    return True


def images_of(content: bytes) -> list[str]:
    """The images that a manifest names."""
    header, rows, _ = _table(content)
    place = [name.lower() for name in header].index(IMAGE)
    return [row[place].strip() for row in rows]


def clean_table(content: bytes, place_of: Callable[[str], str | None], pseudonyms: Pseudonyms) -> CleanTable:
    """The manifest with the new names of its images and patients, without columns that may identify.

    Kept are numbers and columns of few different texts, ages of 90 and more as `90+`.

    Args:
        content: the CSV.
        place_of: the new path of a file from its old one, None where it was left out.
        pseudonyms: of this run.

    Raises:
        CannotClean: it is no manifest.
    """
    header, rows, delimiter = _table(content)
    place = [name.lower() for name in header].index(IMAGE)
    staying = [row for row in rows if place_of(row[place].strip())]
    table = CleanTable("", len(staying), len(rows) - len(staying))
    columns: list[tuple[str, list[str]]] = []
    patients = {
        row[number].strip().casefold() for number, name in enumerate(header) if _PATIENT.fullmatch(name) for row in rows
    }
    patients = {patient for patient in patients if len(patient) >= SECRET_LENGTH and not _is_number(patient)}
    for number, name in enumerate(header, 1):
        values = [row[number - 1].strip() for row in staying]
        change, new = _column(name, values, place_of, pseudonyms)
        if change == "" and any(patient in value.casefold() for value in set(values) for patient in patients):
            change, new = "removed: a patient is named in it", None
        if change:
            table.columns[number] = change
        if new is not None:
            columns.append((name, new))
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows(zip(*(values for _, values in columns), strict=True))
    table.text = buffer.getvalue()
    return table


def _column(
    name: str, values: list[str], place_of: Callable[[str], str | None], pseudonyms: Pseudonyms
) -> tuple[str, list[str] | None]:
    """What is done with a column, "" where nothing, and its new values, None where it goes."""
    if name.lower() != IMAGE and (identifying_text(name) or not re.fullmatch(r"[\w .()%/-]{1,60}", name)):
        return "removed: its name may identify", None
    if _PATIENT.fullmatch(name):
        return "pseudonyms", [pseudonyms.patient(value) if value else "" for value in values]
    places = [place_of(value) if value else "" for value in values]
    if any(places) and (name.lower() == IMAGE or all(place is not None for place in places)):
        return "new file names", [place or "" for place in places]
    if _TELLING.search(name):
        return "removed: such columns tell who or when", None
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


def _table(content: bytes) -> tuple[list[str], list[list[str]], str]:
    try:
        text = content.decode("utf-8-sig")
        first = text.partition("\n")[0]
        for delimiter in ",;\t|":
            header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter), [])]
            if IMAGE in [name.lower() for name in header]:
                rows = [
                    row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row
                ]
                return header, _judged(header, rows[1:]), delimiter
    except (UnicodeDecodeError, csv.Error):
        pass
    raise CannotClean("is a table without a column of images")


def _judged(header: Sequence[str], rows: list[list[str]]) -> list[list[str]]:
    if any(len(row) != len(header) for row in rows) or len(set(header)) < len(header):
        raise CannotClean("is a table with rows of unequal length or two columns of one name")
    return rows
