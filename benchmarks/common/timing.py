"""Time and memory; functions to compare take turns, so that a busy machine slows all of them."""

import resource
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def take_turns(
    works: Sequence[Callable[[], object]],
    repeats: int,
    *,
    before: Callable[[], object] = lambda: None,
    timed: Callable[[Callable[[], object]], float] = seconds,
) -> np.ndarray:
    """Return the times of all works, one after the other in each turn.

    Args:
        works: the functions to compare.
        repeats: number of turns.
        before: runs before each turn.
        timed: measures one work.
    """
    turns = []
    for _ in range(repeats):
        before()
        turns.append([timed(work) for work in works])
    return np.array(turns)


def peak_memory() -> float:
    """Return the peak memory of this process so far, in MB; macOS counts it in bytes, Linux in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
