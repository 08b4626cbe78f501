"""One task with the facts of its readable images, which each part of the audit takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Int64, Shaped

from medshot.audit.facts import FactStore, numbers_by_name
from medshot.audit.findings import SHOWN, Example
from medshot.audit.listing import Categories, Listing


@dataclass(frozen=True)
class AuditedTask:
    """The readable samples of one task.

    Args:
        listing: the task as DATA names it, unreadable samples included.
        rows: the samples of the listing that are readable.
        places: the row of each sample in the store.
        store: the store of the facts.
    """

    listing: Listing
    rows: Int64[np.ndarray, " samples"]
    places: Int64[np.ndarray, " samples"]
    store: FactStore

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def name(self) -> str:
        """The name of the task."""
        return self.listing.name

    @cached_property
    def labels(self) -> Categories:
        """The class of each sample."""
        return self.listing.labels.select(self.rows)

    @cached_property
    def splits(self) -> Categories | None:
        """The split of each sample."""
        return self.listing.splits.select(self.rows) if self.listing.splits else None

    @cached_property
    def columns(self) -> dict[str, Categories]:
        """The other columns of the manifest."""
        return {name: column.select(self.rows) for name, column in self.listing.columns.items()}

    @cached_property
    def patients(self) -> Int64[np.ndarray, " samples"]:
        """A number for the patient of each sample; if patients have no names, identical files are one."""
        if self.listing.patients is not None:
            return self.listing.patients.codes[self.rows].astype(np.int64)
        return same(self.fact("file"))

    @cached_property
    def numbers(self) -> dict[str, Float32[np.ndarray, " samples"]]:
        """The measured numbers by name."""
        return numbers_by_name(self.fact("numbers"))

    def fact(self, name: str) -> Shaped[np.ndarray, "samples ..."]:
        """Return one fact of every sample."""
        return self.store.column(name)[self.places]

    def examples(
        self, samples: Sequence[int] | np.ndarray, captions: Sequence[str] | None = None, group: int = 0
    ) -> list[Example]:
        """Return some samples to show, each with its class as caption if none is given."""
        chosen = [int(sample) for sample in samples[:SHOWN]]
        texts = captions or [self.labels[sample] for sample in chosen]
        return [
            Example(self.name, int(self.rows[sample]), self.listing.named(int(self.rows[sample])), caption, group)
            for sample, caption in zip(chosen, texts, strict=False)
        ]


def same(digests: Shaped[np.ndarray, "rows bytes"]) -> Int64[np.ndarray, " rows"]:
    """Number rows of bytes, the same number for the same bytes."""
    words = np.ascontiguousarray(digests).view(np.uint64)
    order = np.lexsort(words.T)
    new = np.concatenate([[False], (words[order[1:]] != words[order[:-1]]).any(axis=1)])[: len(words)]
    codes = np.empty(len(words), np.int64)
    codes[order] = np.cumsum(new)
    return codes
