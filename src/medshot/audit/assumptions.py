"""What reading the images had to assume, as one finding."""

import re
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from medshot.audit.findings import Finding
from medshot.audit.sample import AuditedTask

_KINDS = 6
_BLOCK = 10_000  # images in memory at a time
_NUMBER = re.compile(r"-?\d[\d.,]*")


def assumption_findings(task: AuditedTask) -> Iterator[Finding]:
    """Find the images for which reading had to assume something; sentences that differ in numbers are of one kind.

    It is doubtful if the images differ in what was assumed, because they may then differ for that reason.
    """
    of_kind: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for sample, content in _texts(task):
        for sentence in content.decode(errors="ignore").splitlines():
            of_kind[_NUMBER.sub("#", sentence)].append((sample, sentence))
    if not of_kind:
        return
    kinds = sorted(of_kind.values(), key=len)  # what is rare is looked at first
    named = " ".join(f"{len(samples):,} × “{samples[0][1]}”" for samples in kinds[:_KINDS])
    more = f" And {len(kinds) - _KINDS} more kinds." if len(kinds) > _KINDS else ""
    captions: dict[int, str] = {}
    for samples in kinds:
        for sample, sentence in samples:
            captions.setdefault(sample, sentence)
    differ = any(len(samples) < len(task) for samples in kinds)
    yield Finding(
        name="assumed-in-reading",
        task=task.name,
        harm="doubtful" if differ else "note",
        sentence=f"Reading {len(captions):,} of {len(task):,} images needed assumptions: {named}{more}",
        advice="Check these files; add what is missing, or leave them out if they differ from the others.",
        numbers={"images": len(captions), "kinds": len(kinds)},
        examples=task.examples(list(captions), list(captions.values())),
    )


def _texts(task: AuditedTask) -> Iterator[tuple[int, bytes]]:
    """Yield the samples for which something was assumed, with the sentences."""
    column = task.store.column("assumed")
    for start in range(0, len(task), _BLOCK):
        block = column[task.places[start : start + _BLOCK]]
        for place in np.flatnonzero(block != b""):
            yield start + int(place), bytes(block[place])
