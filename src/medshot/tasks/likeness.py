"""Columns of a table that look as if they named patients, though none has a usual name for that."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise

from medshot.tasks.columns import Roles, patient_columns

_PERSON = re.compile(
    "patient|patienten|pat|subject|subj|case|person|participant|mrn|pid|individual|donor|animal|specimen|proband|probe|"
    "ids?|uid|names?|surname|study|exam|accession|record|client|volunteer|number|nr|no|key|code|fall|who"
)
"""Words of names of columns that may name patients."""
_COVARIATE = re.compile(
    "age|sex|gender|site|hospital|centre|center|clinic|scanner|device|manufacturer|model|view|position|laterality|side|"
    "eye|split|fold|set|slice|frame|date|time|year|month|days?|visit|session|score|grade|stage|weight|height|bmi|"
    "finding|diagnosis|class|label|mask|density|source|locali[sz]ation|location|mag|magnification|race|ethnicity|"
    "country|city|zip|protocol|series|sequence|modality|dataset|cohort|reader|rater|radiologist|annotator|file|path|"
    "comment|report|dose|kvp|timepoint"
)
"""Words of names of columns that repeat for other reasons."""
_MOST = 50  # images of a patient, on average
_LONG = 5  # digits of a number that counts nothing


def patient_like_columns(columns: Mapping[str, Sequence[str]], roles: Roles) -> list[str]:
    """Return the columns that look like patients, the likeliest first, if no column of patients is used.

    If one is used, only columns with a usual name for patients count, that join what it keeps apart.
    """
    labels = columns[roles.label] if roles.label else ()
    others = [name for name in columns if name not in {*roles.images, roles.label, roles.patient}]
    if roles.patient is not None:
        return [name for name in patient_columns(others) if _joins(columns[name], columns[roles.patient])]
    return [name for name in others if looks_like_patients(name, columns[name], labels)]


def looks_like_patients(name: str, values: Sequence[str], labels: Sequence[str]) -> bool:
    """Whether the values repeat as patients do: more than there are classes, each in a few rows, as codes.

    Args:
        name: the name of the column.
        values: its values.
        labels: the label of each row.
    """
    filled = [value for value in values if value]
    distinct = set(filled)
    words = _words(name)
    if (
        not 3 <= len(distinct) < len(filled)
        or len(filled) > _MOST * len(distinct)
        or any(map(_COVARIATE.fullmatch, words))
    ):
        return False
    if labels and len(distinct) <= len(set(labels)) and len(set(zip(values, labels, strict=True))) <= len(distinct):
        return False  # it is the label in other words
    if any(map(_PERSON.fullmatch, words)) or patient_columns([name]):
        return True
    if 4 * len(distinct) > 3 * len(filled) or len(distinct) < 4:
        return False
    if all(re.fullmatch(r"\d+", value) for value in distinct):
        return min(map(len, distinct)) >= _LONG or _runs(filled) == len(distinct)
    coded = sum(bool(re.search(r"\d", value) and re.search(r"[^\W\d]", value)) for value in distinct)
    return 2 * coded > len(distinct)


def _words(name: str) -> set[str]:
    """Return the words of a name, split_member at capitals, `_` and blanks."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", name))
    return {word.casefold() for word in re.findall(r"[^\W\d_]+", text)}


def _runs(values: Sequence[str]) -> int:
    """Count the runs of equal values."""
    return 1 + sum(first != second for first, second in pairwise(values))


def _joins(values: Sequence[str], patients: Sequence[str]) -> bool:
    """Whether one value has rows of several patients."""
    pairs = {(value, patient) for value, patient in zip(values, patients, strict=True) if value}
    return len({value for value, _ in pairs}) < len(pairs)
