"""Engines, which run a function of one task over a batch of tasks by a loop, by vmap, or by vmap in chunks."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import register_pytree_node, tree_flatten, tree_unflatten

from medshot.errors import InputError
from medshot.tasks import Support


def _flat(support: Support) -> tuple[list[Tensor], tuple[int, bool]]:
    """Return the tensors of a support, and its other parts."""
    tensors = [support.images, support.labels, support.weights]
    return tensors + ([] if support.patients is None else [support.patients]), (support.ways, support.patients is None)


def _support(tensors: Iterable[Tensor], rest: tuple[int, bool]) -> Support:
    images, labels, weights, *patients = tensors
    return Support(images, labels, weights, rest[0], None if rest[1] else patients[0])


register_pytree_node(Support, _flat, _support)  # so that an engine gives a function one task's support


@dataclass(frozen=True)
class Engine:
    """A way to run a function over a leading task axis; all ways give the same numbers up to rounding.

    Args:
        kind: "loop", "vmap" or "chunk".
        chunk: tasks at once if `kind` is "chunk".
    """

    kind: str = "loop"
    chunk: int | None = None

    def map(self, function: Callable[..., Any], *trees: Any) -> Any:
        """Return `function` of every task's slice of `trees`, stacked along a new leading axis.

        Args:
            function: takes one task's part of each tree and returns a tensor or a tree of tensors.
            trees: tensors `(tasks, ...)`, or supports, dictionaries or tuples of them.
        """
        tensors, tree = tree_flatten(trees)

        def of_tensors(*one_task: Tensor) -> Any:
            return function(*tree_unflatten(one_task, tree))

        if self.kind != "loop":
            return torch.func.vmap(of_tensors, chunk_size=self.chunk)(*tensors)
        results = [of_tensors(*one_task) for one_task in zip(*tensors, strict=True)]
        leaves = zip(*(tree_flatten(result)[0] for result in results), strict=True)
        return tree_unflatten([torch.stack(of_leaf) for of_leaf in leaves], tree_flatten(results[0])[1])

    def __str__(self) -> str:
        return f"chunk:{self.chunk}" if self.kind == "chunk" else self.kind


def parse_engine(text: str) -> Engine:
    """Return the engine named "loop", "vmap" or "chunk:N"; InputError for anything else."""
    kind, _, chunk = text.partition(":")
    if kind in ("loop", "vmap") and not chunk:
        return Engine(kind)
    if kind == "chunk" and chunk.isdecimal() and int(chunk) > 0:
        return Engine(kind, int(chunk))
    raise InputError(f"engine is '{text}', but must be loop, vmap or chunk:N, for example chunk:4.")


def fastest_engine(run: Callable[[Engine], object], tasks: int) -> Engine:
    """Return the engine under which `run` takes least time, each tried once after one warm-up.

    Args:
        run: does the work to be measured, with the engine it is given.
        tasks: tasks in the batch that `run` works on; decides the chunk that is tried.
    """
    candidates = [Engine("loop")]
    if tasks > 1:
        candidates.append(Engine("vmap"))
    if tasks > 3:
        candidates.append(Engine("chunk", (tasks + 1) // 2))
    seconds = {}
    for engine in candidates:
        run(engine)
        synchronize()
        start = time.perf_counter()
        run(engine)
        synchronize()
        seconds[engine] = time.perf_counter() - start
    return min(seconds, key=lambda engine: seconds[engine])


def synchronize() -> None:
    """Wait until the accelerator, if there is one, has finished, so that the time taken can be measured."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device of that name: "cpu", "cuda" (or "cuda:1"), "mps", or "auto" for the fastest there is.

    Raises:
        InputError: the name is unknown, or this machine has no such device.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device is '{name}', but must be auto, cpu, cuda or mps.") from error
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= counts.get(device.type, 0):
        raise InputError(f"device is '{name}', but this machine has no such device; use --device cpu or auto.")
    return device
