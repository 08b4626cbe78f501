"""The columns of a table that name images, labels and patients: chosen by the user, or by their usual names."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medshot.errors import InputError

IMAGE, LABEL, PATIENT = "image", "label", "patient"
_OF_PERSON = re.compile(
    r"(?:patient(?:en|s)?|subject|subj|participant|person|pat)"
    r"(?:id|no|nr|num|number|nummer|key|code|name|identifier|uid)?|mrn|pid|ptid|usubjid|medicalrecord(?:no|number)?"
)


@dataclass(frozen=True)
class DataOptions:
    """The user's choices for reading data.

    Args:
        label: the column of labels; None if labels are not asked for.
        keep: for a column, the values whose rows are kept.
        image: the column of images; `image`, or all `image:NAME`, if left out.
        patient: the column of patients; one with a usual name if left out.
        join_labels: whether labels that differ only in how they are written are one, and `nan` or `None` counts as no
            label.
        table: a table of patients with their labels, for a folder that holds their images.
    """

    label: str | None = LABEL
    keep: Mapping[str, Sequence[str]] = field(default_factory=dict)
    image: str | None = None
    patient: str | None = None
    join_labels: bool = False
    table: Path | None = None


DEFAULT_OPTIONS = DataOptions()


@dataclass(frozen=True)
class Roles:
    """The columns of a table by what they hold; those that are missing are empty or None."""

    images: tuple[str, ...] = ()
    label: str | None = None
    patient: str | None = None


def roles_of(header: Sequence[str], options: DataOptions) -> Roles:
    """Return which columns of the header hold images, labels and patients."""
    patient = same_column(header, options.patient) if options.patient else patient_column(header, options)
    return Roles(
        tuple(image_columns(header, options.image)),
        None if options.label is None else same_column(header, options.label),
        patient,
    )


def same_column(header: Iterable[str], wanted: str) -> str | None:
    """Return the column of that name, or else the only one that differs by capitals, blanks, `_` or `-`."""
    header = list(header)
    if wanted in header:
        return wanted
    alike = [name for name in header if plain_name(name) == plain_name(wanted)]
    return alike[0] if len(alike) == 1 else None


def patient_column(header: Iterable[str], options: DataOptions) -> str | None:
    """Return the column that names patients by its usual name: `patient` first, then names like it, then others."""
    names = [name for name in patient_columns(header) if name not in (options.label, options.image)]
    plain = [plain_name(name) for name in names]
    rank = [(name != PATIENT, not name.startswith(PATIENT), number) for number, name in enumerate(plain)]
    return names[min(range(len(names)), key=rank.__getitem__)] if names else None


def patient_columns(header: Iterable[str]) -> list[str]:
    """Return the columns with a usual name for patients, such as `patient_id`, `Subject` or `MRN`."""
    return [name for name in header if _OF_PERSON.fullmatch(plain_name(name))]


def image_columns(columns: Iterable[str], chosen: str | None = None) -> list[str]:
    """Return the columns that name images: the chosen one, or `image`, or else all `image:NAME`."""
    columns = list(columns)
    column = same_column(columns, chosen or IMAGE)
    if chosen or column:
        return [column] if column else []
    return [name for name in columns if ":" in name and plain_name(name.partition(":")[0]) == IMAGE]


def image_name(column: str) -> str:
    """Return the name after `image:`, "" for a column without one."""
    before, _, after = column.partition(":")
    return after.strip() if plain_name(before) == IMAGE else ""


def plain_name(name: str) -> str:
    """Return a name without capitals, blanks, `_`, `-` and `.`, in one Unicode form."""
    return re.sub(r"[\s_.\-]+", "", unicodedata.normalize("NFKC", name)).casefold()


def without_columns(
    path: Path, header: Sequence[str], options: DataOptions, *, of_patients: bool = False
) -> InputError:
    """Return the error that names the missing columns and lists those that there are.

    Args:
        path: the table.
        header: its columns.
        options: what was asked for.
        of_patients: whether it has to name patients, and no images.
    """
    roles = roles_of(header, options)
    wanted = {} if of_patients or roles.images else {"--image": options.image or IMAGE}
    if options.label is not None and roles.label is None:
        wanted["--label"] = options.label
    if roles.patient is None and (of_patients or options.patient):
        wanted["--patient"] = options.patient or PATIENT
    named = " and ".join(f"'{name}'" for name in wanted.values())
    there = f"has {', '.join(name or 'an empty name' for name in header)}" if any(header) else "is empty"
    advice = f"choose with {' and '.join(wanted)}, or name the columns there"
    if not roles.images and roles.patient and not of_patients:
        advice += "; or, if it lists patients, give the folder of their images and this file with --table"
    return InputError(
        f"{path} has no column{'s' if len(wanted) > 1 else ''} {named} in its first line, which {there}; {advice}."
    )
