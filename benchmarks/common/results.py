"""Raw numbers of the benchmarks: one compressed JSON file each, from which reports write their pages."""

import gzip
import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.common.arguments import Places
from medshot.evaluation import Results
from medshot.evaluation.results import Metadata
from medshot.storage import write_bytes


def save(places: Places, name: str, value: Any) -> None:
    """Write `value` as compressed JSON with floats of seven decimals."""
    text = json.dumps(rounded(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    places.results.mkdir(parents=True, exist_ok=True)
    write_bytes(places.results / f"{name}.json.gz", gzip.compress(text.encode(), 9, mtime=0))


def load(places: Places, name: str) -> Any:
    """Return what `save` wrote under this name."""
    return json.loads(gzip.decompress((places.results / f"{name}.json.gz").read_bytes()))


def exists(places: Places, name: str) -> bool:
    """Whether there are results of this name."""
    return (places.results / f"{name}.json.gz").exists()


def load_results(places: Places, name: str) -> Results:
    """Return the `Results` that were saved under this name."""
    return Results.from_json(load(places, name))


def rounded(value: Any) -> Any:
    """Return the same objects with floats of seven decimals."""
    match value:
        case float():
            return round(value, 7)
        case dict():
            return {name: rounded(inner) for name, inner in value.items()}
        case list() | tuple():
            return [rounded(inner) for inner in value]
        case _:
            return value


def metadata(command: str, *notes: str) -> Metadata:
    """Return when, where and by which command numbers were made."""
    return Metadata(
        seed=0,
        date=datetime.now(UTC).date().isoformat(),
        machine=f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        command=command,
        version=version("medshot"),
        notes=list(notes),
    )


def machine() -> str:
    """Return date, processor, load and versions as a sentence."""
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
