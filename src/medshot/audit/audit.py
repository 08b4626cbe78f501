"""The audit: one pass over all images, then each part in turn, then a verdict."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from medshot.audit.assumptions import assumption_findings
from medshot.audit.balance import balance_findings, split_findings
from medshot.audit.compression import compression_between, compression_findings
from medshot.audit.cues import SampleImages
from medshot.audit.duplicates import duplicate_findings
from medshot.audit.facts import FactStore
from medshot.audit.findings import Counts, Finding, Verdict, sorted_by_harm
from medshot.audit.groups import CROP_WORK, Groups, grouped
from medshot.audit.label_noise import label_findings
from medshot.audit.listing import Listing, UnusableImage, listings, unusable_findings
from medshot.audit.measuring import measure_all
from medshot.audit.odd_images import mixture_findings, odd_findings
from medshot.audit.patients import patient_findings, spelling_findings, with_header_patients
from medshot.audit.privacy import privacy_findings
from medshot.audit.sample import AuditedTask
from medshot.audit.shortcuts import shortcut_findings
from medshot.errors import InputError
from medshot.imaging import ImageSource
from medshot.storage import printable_path
from medshot.tasks.columns import DataOptions
from medshot.tasks.spelling import JOIN_ADVICE

ENCODED = 20_000  # most images that are given to an encoder

Embed = Callable[[ImageSource], Float[np.ndarray, "images features"]]


@dataclass(frozen=True)
class Audit:
    """A verdict with the tasks that it was made from, whose images may be shown."""

    verdict: Verdict
    tasks: Mapping[str, AuditedTask]


def audit(
    paths: str | Path | Sequence[str | Path],
    *,
    label: str = "label",
    split: str = "split",
    keep: Mapping[str, Sequence[str]] | None = None,
    image: str | None = None,
    patient: str | None = None,
    join_labels: bool = False,
    table: str | Path | None = None,
    embed: Embed | None = None,
    seed: int = 0,
) -> Audit:
    """Find what is wrong with labelled data before anything is trained on it; the data is not changed.

    Args:
        paths: what `load_tasks` takes, or several of these, which are then compared with each other.
        label: the manifest column to take labels from.
        split: the manifest column to take a given split from; a MedMNIST archive has its own.
        keep: for a manifest column, the values whose rows are kept.
        image, patient, join_labels, table: as for `load_tasks`.
        embed: features of images, by which labels are suspected; labels are not judged if left out.
        seed: of folds and permutations.

    Raises:
        InputError: there is no task at a path, none of its images can be read, or a manifest cannot be read as a table.
        StorageError: the cache folder cannot be written to.
    """
    places = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if table is not None and len(places) > 1:
        raise InputError(f"--table labels the patients of one folder, but {len(places)} are given; give one.")
    options = DataOptions(label, keep or {}, image, patient, join_labels, None if table is None else Path(table))
    named, store = ", ".join(map(printable_path, places)), FactStore()
    listed = _named_apart([one for path in places for one in listings(path, options, split=split)])
    tasks, findings, counts = list[AuditedTask](), list[Finding](), list[Counts]()
    for listing in listed:
        measured = measure_all(listing, store)
        listing = with_header_patients(listing, measured.rows, store)
        readable = np.flatnonzero(measured.rows >= 0)
        findings += spelling_findings(listing)
        findings += unusable_findings(listing, measured.problems)
        counts.append(_counts(listing, measured.problems))
        if len(readable):
            tasks.append(AuditedTask(listing, readable, measured.rows[readable], store))
    if not tasks:
        first = next((finding for finding in findings if finding.examples), None)
        why = f" ({first.examples[0].image}: {first.examples[0].caption})" if first else ""
        raise InputError(f"{named} holds no image that can be read{why}; check the path and the files.")
    groups = grouped(tasks)
    findings += duplicate_findings(groups)
    findings += compression_between(tasks, seed)
    for task in tasks:
        findings += _of_task(task, embed if sum(map(len, tasks)) <= ENCODED else None, seed)
    left_out = list(_left_out(groups, embed, sum(map(len, tasks))))
    found = {JOIN_ADVICE, *(finding.sentence for finding in findings)}
    remarks = [f"{one.name}: {remark}" for one in listed for remark in one.remarks if remark not in found]
    verdict = Verdict(named, counts, sorted_by_harm(findings), left_out, remarks)
    return Audit(verdict, {task.name: task for task in tasks})


def _of_task(task: AuditedTask, embed: Embed | None, seed: int) -> Iterator[Finding]:
    yield from patient_findings(task)
    yield from split_findings(task)
    yield from balance_findings(task)
    yield from shortcut_findings(task, seed)
    yield from compression_findings(task, seed)
    yield from odd_findings(task)
    yield from mixture_findings(task)
    yield from assumption_findings(task)
    yield from privacy_findings(task)
    if embed is not None:
        yield from label_findings(task, embed(SampleImages(task)), seed)


def _left_out(groups: Groups, embed: Embed | None, images: int) -> Iterator[str]:
    """Yield what was not looked for, and why."""
    if embed is None:
        yield "Suspect labels were not looked for: no encoder was asked for."
    elif images > ENCODED:
        yield f"Suspect labels were not looked for: there are more than {ENCODED:,} images."
    if not groups.crops:
        yield f"Crops were not looked for: there are more than {int(CROP_WORK**0.5):,} different images."


def _counts(listing: Listing, unreadable: Sequence[UnusableImage]) -> Counts:
    def by_name(codes: np.ndarray, names: Sequence[str]) -> dict[str, int]:
        return dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True))

    return Counts(
        task=listing.name,
        images=len(listing),
        unreadable=len(unreadable),
        patients=len(listing.patients.names) if listing.patients else None,
        classes=by_name(listing.labels.codes, listing.labels.names),
        splits=by_name(listing.splits.codes, listing.splits.names) if listing.splits else {},
    )


def _named_apart(listed: Sequence[Listing]) -> list[Listing]:
    """Return the listings with names that differ."""
    names: dict[str, int] = {}
    apart = []
    for listing in listed:
        names[listing.name] = names.get(listing.name, 0) + 1
        number = names[listing.name]
        apart.append(replace(listing, name=f"{listing.name} ({number})") if number > 1 else listing)
    return apart
