"""Tasks of random images or features for timing, and the machine that they were timed on."""

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

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
        """What `Learner.adapt` takes."""
        return Support(self.support, self.labels, torch.ones(self.labels.shape, dtype=self.support.dtype), WAYS)


def random_batch(tasks: int, *dimensions: int) -> Batch:
    """Tasks whose images or features have these dimensions, always the same."""
    images = torch.rand(tasks, WAYS * (SHOTS + QUERIES), *dimensions, generator=torch.Generator().manual_seed(1))
    support, query = images.split([WAYS * SHOTS, WAYS * QUERIES], dim=1)
    labels, query_labels = (
        torch.arange(WAYS).repeat_interleave(count).expand(tasks, -1).contiguous() for count in (SHOTS, QUERIES)
    )
    return Batch(support.contiguous(), labels, query.contiguous(), query_labels)


def machine() -> str:
    """Date, processor, load and versions, as a sentence."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        cpu = next((text.partition(":")[2].strip() for text in lines if text.startswith("model name")), cpu)
    load = f" (load {os.getloadavg()[0]:.1f})" if hasattr(os, "getloadavg") else ""
    return (
        f"{datetime.now(UTC).date()}, {cpu}, {os.cpu_count()} cores{load}, Python {platform.python_version()}, "
        f"torch {torch.__version__} with {torch.get_num_threads()} threads."
    )
