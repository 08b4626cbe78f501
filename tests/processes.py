"""Processes that tests start."""

from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import Any


def run_at_once(work: Callable[..., None], arguments: Sequence[tuple[Any, ...]]) -> None:
    """Call `work` in one new process for each tuple of arguments, and wait until all have ended.

    Each call gets a barrier as another argument, at which all of them can meet. If one process fails, the others are
    killed, because they may wait for it.
    """
    context = get_context("spawn")
    barrier = context.Barrier(len(arguments))
    running = [context.Process(target=work, args=(*each, barrier)) for each in arguments]
    for process in running:
        process.start()
    try:
        while running:
            wait([process.sentinel for process in running])
            for process in [process for process in running if process.exitcode is not None]:
                assert process.exitcode == 0, f"{process.name} ended with the exit code {process.exitcode}"
                running.remove(process)
    finally:
        for process in running:
            process.kill()
            process.join()
