"""Names that differ only in how they are written, and words that stand for a missing value."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

MISSING_WORDS = frozenset(
    (
        "nan",
        "NaN",
        "NAN",
        "Nan",
        "na",
        "NA",
        "N/A",
        "n/a",
        "#N/A",
        "<NA>",
        "None",
        "NONE",
        "null",
        "Null",
        "NULL",
        "NaT",
    )
)
"""How programs write a missing value as text; `none` in small letters may be a class."""
JOIN_ADVICE = "To count such labels as one, and missing values as no label, give --join-labels."
_SHOWN = 3


def is_missing(name: str) -> bool:
    """Whether a value is empty, or a word for a missing one."""
    return not name or name in MISSING_WORDS


def spelling(name: str) -> str:
    """Return what names have in common that differ by capitals, blanks, Unicode form, invisible letters or `.0`."""
    text = unicodedata.normalize("NFKC", name)
    text = "".join(letter for letter in text if unicodedata.category(letter) not in ("Cf", "Cc") or letter.isspace())
    text = unicodedata.normalize("NFKC", " ".join(text.split()).casefold())
    return re.sub(r"^([+-]?\d+)[.,]0+$", r"\1", text)


def alike(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of two or more different names with the same spelling, sorted."""
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        groups.setdefault(spelling(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def joined(labels: Sequence[str]) -> list[str]:
    """Return the labels with each group of alike ones under its most common name."""
    counts = Counter(labels)
    name_of = {name: max(group, key=counts.__getitem__) for group in alike(counts) for name in group}
    return [name_of.get(label, label) for label in labels]


def visible(name: str) -> str:
    """Return a name in quotes with what cannot be seen written as an escape: `'ill\\u200b'`."""
    plain = all(
        (letter.isprintable() and unicodedata.category(letter) not in ("Cf", "Zs")) or letter == " " for letter in name
    )
    composed = unicodedata.normalize("NFC", name) == name
    return f"'{name}'" if plain and composed else ascii(name)


def label_remarks(labels: Iterable[str]) -> list[str]:
    """Return a sentence on labels that differ only in how they are written, and one on words for a missing value."""
    return [
        *(
            f"Labels that differ only in how they are written are classes of their own: {some}."
            for some in _alike(labels)
        ),
        *(
            f"The label {some} is how programs write a missing value, but counts as a class."
            for some in _missing(labels)
        ),
    ]


def patient_remarks(patients: Iterable[str]) -> list[str]:
    """Return a sentence on patients that differ only in how they are written, and one on words for a missing value."""
    return [
        *(f"Patients that differ only in how they are written count as several: {some}." for some in _alike(patients)),
        *(
            f"The patient {some} is how programs write a missing value, but counts as one patient."
            for some in _missing(patients)
        ),
    ]


def _alike(names: Iterable[str]) -> list[str]:
    groups = alike(names)
    some = "; ".join(" and ".join(map(visible, group)) for group in groups[:_SHOWN])
    more = f"; and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else ""
    return [some + more] if groups else []


def _missing(names: Iterable[str]) -> list[str]:
    missing = sorted(filter(is_missing, set(names)))
    return [" and ".join(map(visible, missing))] if missing else []
