"""Tasks of random images or features, for timing."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from medshot.tasks import Support

WAYS, SHOTS, QUERIES = 5, 5, 15


@dataclass(frozen=True)
class Batch:
    """Tasks of equal size, every tensor with a leading axis over them."""

    support: Tensor
    labels: Tensor
    query: Tensor
    query_labels: Tensor

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        return zip(self.support, self.labels, self.query, self.query_labels, strict=True)

    def __len__(self) -> int:
        return len(self.support)

    def to(self, dtype: torch.dtype) -> "Batch":
        return Batch(self.support.to(dtype), self.labels, self.query.to(dtype), self.query_labels)

    def supports(self) -> Support:
        """Return the support as `Learner.adapt` takes it."""
        return Support(self.support, self.labels, torch.ones(self.labels.shape, dtype=self.support.dtype), WAYS)


def random_batch(tasks: int, *dimensions: int) -> Batch:
    """Return tasks with images or features of these dimensions, the same each time."""
    images = torch.rand(tasks, WAYS * (SHOTS + QUERIES), *dimensions, generator=torch.Generator().manual_seed(1))
    support, query = images.split([WAYS * SHOTS, WAYS * QUERIES], dim=1)
    labels, query_labels = (
        torch.arange(WAYS).repeat_interleave(count).expand(tasks, -1).contiguous() for count in (SHOTS, QUERIES)
    )
    return Batch(support.contiguous(), labels, query.contiguous(), query_labels)
