"""The finding that names what reading the images had to assume."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from medshot.audit.findings import Finding
from medshot.audit.sample import AuditedTask
from medshot.imaging.inspection import kind_of, summarise

_BLOCK = 10_000  # images in memory at a time


def assumption_findings(task: AuditedTask) -> Iterator[Finding]:
    """Find the images for which reading had to assume something; sentences that differ in numbers are of one kind.

    It is doubtful if the images differ in what was assumed, because they may then differ for that reason.
    """
    assumed = dict(_sentences(task))
    if not assumed:
        return
    counts = Counter(kind for sentences in assumed.values() for kind in {kind_of(sentence) for sentence in sentences})
    rarest = {sample: min(sentences, key=lambda text: counts[kind_of(text)]) for sample, sentences in assumed.items()}
    first = sorted(rarest, key=lambda sample: counts[kind_of(rarest[sample])])
    yield Finding(
        name="assumed-in-reading",
        task=task.name,
        harm="doubtful" if min(counts.values()) < len(task) else "note",
        sentence=summarise(assumed.get(sample, ()) for sample in range(len(task))),
        advice="Check these files; add what is missing, or leave them out if they differ from the others.",
        numbers={"images": len(assumed), "kinds": len(counts)},
        examples=task.examples(first, [rarest[sample] for sample in first]),
    )


def _sentences(task: AuditedTask) -> Iterator[tuple[int, list[str]]]:
    """Yield the samples for which something was assumed, with the sentences."""
    column = task.store.column("assumed")
    for start in range(0, len(task), _BLOCK):
        block = column[task.places[start : start + _BLOCK]]
        for place in np.flatnonzero(block != b""):
            yield start + int(place), bytes(block[place]).decode(errors="ignore").splitlines()
