"""Identifying text in names of files and folders: names, ages, sexes, dates, and numbers that a hospital gave."""

import re
from pathlib import PurePath

from medshot.imaging.pseudonyms import PSEUDONYM, Identifying, Kind

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
_TWO_MONTH, _TWO_DAY = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_MONTH_NAME = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_AGE = r"(?:1[0-2]\d|\d?\d)"
_SEX = r"(?:[MF]|male|female|woman|man)"

_PATTERNS: tuple[tuple[Kind, str], ...] = (
    ("date", rf"(?<!\d){_YEAR}{_TWO_MONTH}{_TWO_DAY}(?!\d)"),
    ("date", rf"(?<!\d){_YEAR}{_TWO_MONTH}{_TWO_DAY}(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?(?!\d)"),
    ("date", rf"(?<!\d){_TWO_DAY}{_TWO_MONTH}{_YEAR}(?!\d)"),
    ("date", rf"(?<!\d){_TWO_MONTH}{_TWO_DAY}{_YEAR}(?!\d)"),
    ("date", rf"(?<!\d){_YEAR}([-_. ]){_MONTH}\1{_DAY}(?!\d)"),
    ("date", rf"(?<!\d)(?:{_DAY}([-_. ]){_MONTH}|{_MONTH}([-_. ]){_DAY})(?:\1|\2){_YEAR}(?!\d)"),
    ("date", rf"(?<![a-z\d]){_DAY}[-_. ]?{_MONTH_NAME}[-_. ,]{{0,2}}(?:{_YEAR}|\d\d)(?!\d)"),
    ("date", rf"(?<![a-z]){_MONTH_NAME}[-_. ]?{_DAY}[-_. ,]{{1,2}}{_YEAR}(?!\d)"),
    ("date", rf"(?<![a-z]){_MONTH_NAME}[-_. ]?{_YEAR}(?!\d)"),
    ("age, sex or body", rf"(?<![\d.]){_AGE}[-_ ]?(?:y|yo|yr|yrs|year|years|jahre|ans)(?![a-z])"),
    ("age, sex or body", r"(?<!\d)\d{3}[YMWD](?![a-z\d])"),
    ("age, sex or body", rf"(?<![a-z])(?:age|aged|alter)[-_ =]?{_AGE}(?!\d)"),
    ("age, sex or body", rf"(?<![a-z\d.]){_AGE}[,_\- ]{{1,2}}{_SEX}(?![a-z\d])"),
    ("age, sex or body", rf"(?<![a-z\d]){_SEX}[,. _\-]{{1,3}}{_AGE}(?!\d)"),
    ("age, sex or body", rf"(?<![a-z])(?:sex|gender)[-_ =]?{_SEX}(?![a-z])"),
    ("name", r"[^\W\d_]{2,}\^[^\W\d_]"),
    ("identifier", r"(?<![a-z])(?:mrn|acc|accession|pat(?:ient)?[-_ ]?id|ssn|case[-_ ]?no)[-_ #=]*\d{3,}"),
    ("identifier", r"(?<!\d)\d{9,16}(?!\d)"),
    ("identifier", r"(?<![a-z\d])[a-z]{1,3}\d{8,16}(?!\d)"),
    ("unique identifier", r"(?<!\d)\d+(?:\.\d+){5,}"),
)
_COMPILED = [(kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _PATTERNS]
_SURNAME_FIRST = re.compile(r"(?<![^\W_])[A-Z][a-zà-ÿ]{2,}, ?[A-Z][a-zà-ÿ]{2,}(?![^\W_])")


def identifying_name(path: PurePath | str) -> list[Identifying]:
    """Find what identifies a patient in the names of a path, as far as their form shows it.

    Dates in many forms, ages, a sex beside a number, accession-like numbers, DICOM identifiers, `Name^First` and
    `Name, First`. A name that is a plain word is not found: `baker.png` may be a person or a trade.

    Args:
        path: a path or a part of one; give it relative to the folder of the data.

    Returns:
        Each kind once for each part of the path.
    """
    found = []
    parts = PurePath(path).parts
    for depth, part in enumerate(parts, 1):
        where = "file name" if depth == len(parts) else f"folder {depth} of the path"
        found += [Identifying(where, kind) for kind in sorted(identifying_text(part))]
    return found


def identifying_text(text: str) -> set[Kind]:
    """Return the kinds of identifying forms in one name, label or cell."""
    text = re.sub(PSEUDONYM, "", text)
    found = {kind for kind, pattern in _COMPILED if pattern.search(text)}
    return found | {"name"} if _SURNAME_FIRST.search(text) else found
