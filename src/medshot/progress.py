"""Lines for people on stderr: notes, progress, and a line at least every ten seconds while a command works."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

PATIENCE = 2.0
"""Seconds of work before a bar appears on a terminal."""
PERIOD = 8.0
"""Seconds without a line after which one is printed; less than ten, because a busy processor may delay it."""


Item = TypeVar("Item")


class _State:
    """The state of printing: the verbosity, the time of the last line, and the current work, outermost first."""

    def __init__(self) -> None:
        self.quiet = False
        self.verbose = False
        self.printed = time.monotonic()
        self.work: list[Work] = []
        self.bars = 0


class Work:
    """A piece of work with a known number of items.

    Args:
        what: a few words for people, for example "reading images".
        total: the number of items.
    """

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total = what, total
        self.done = self._skipped = 0
        self.detail = ""
        self.began = time.monotonic()
        self._bar: Any = None
        self._decided = False

    def __call__(self, done: int = 1, detail: str = "") -> None:
        """Count items that were done; `detail` describes the state of the work."""
        self.done += done
        self.detail = detail or self.detail
        if not self._decided and time.monotonic() - self.began > PATIENCE:
            self._decided = True
            if _may_draw():
                self._bar = _bar_of(self)
                self._bar.start()
                _state.bars += 1
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.done, detail=self.detail)

    def skip(self, done: int) -> None:
        """Count items that were done before, which do not count in the estimate of the time left."""
        self.done += done
        self._skipped += done

    def end(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            _state.bars -= 1

    def describe(self) -> str:
        """Return one line: what is done, how many items, the time so far and the time left, and the detail."""
        passed = time.monotonic() - self.began
        parts = [f"{self.what}: {self.done} of {self.total}", f"{_clock(passed)} passed"]
        if self._skipped < self.done < self.total:
            left = passed / (self.done - self._skipped) * (self.total - self.done)
            parts.append(f"about {_clock(left)} left")
        return ", ".join([*parts, self.detail] if self.detail else parts)


_state = _State()


def note(text: str) -> None:
    """Print a line for people on stderr, with the time if `verbose`, unless `quiet`."""
    if not _state.quiet:
        stamp = f"{datetime.now().astimezone().isoformat(timespec='seconds')} " if _state.verbose else ""
        print(f"{stamp}{text}", file=sys.stderr, flush=True)
        _state.printed = time.monotonic()


@contextmanager
def progress(what: str, total: int) -> Iterator[Work]:
    """Show the progress of some work: a bar on a terminal once it has taken two seconds, otherwise lines.

    Args:
        what: a few words for people.
        total: the number of items.

    Returns:
        Called with the number of items that were done.
    """
    work = Work(what, total)
    _state.work.append(work)
    if _state.verbose:
        note(f"{what}: {total}")
    try:
        yield work
        if _state.verbose:
            note(f"{what}: done after {_clock(time.monotonic() - work.began)}")
    finally:
        work.end()
        _state.work.remove(work)


def tracked(items: Sequence[Item], what: str) -> Iterator[Item]:
    """Yield the items and show how many were used."""
    with progress(what, len(items)) as advance:
        for item in items:
            yield item
            advance()


@contextmanager
def printing(what: str = "medshot", *, quiet: bool = False, verbose: bool = False) -> Iterator[None]:
    """Print as asked within the block, and a line whenever nothing was printed for `PERIOD` seconds.

    Args:
        what: name of the command.
        quiet: print no notes and no progress.
        verbose: print the time before each line, and lines instead of bars.
    """
    before = _state.quiet, _state.verbose
    _state.quiet, _state.verbose, _state.printed = quiet, verbose, time.monotonic()
    ended = threading.Event()
    thread = threading.Thread(target=_print_signs_of_life, args=(what, ended), daemon=True)
    if not quiet:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if not quiet:
            thread.join()
        _state.quiet, _state.verbose = before
        for work in _state.work:  # of a generator that an error left open
            work.end()
        _state.work.clear()


def _print_signs_of_life(what: str, ended: threading.Event) -> None:
    began = time.monotonic()
    wait = PERIOD
    while not ended.wait(wait):
        wait = _state.printed + PERIOD - time.monotonic()
        if wait <= 0:
            if not _state.bars:
                passed = f"{what} is working, {_clock(time.monotonic() - began)} passed"
                note(_state.work[-1].describe() if _state.work else passed)
            wait = PERIOD


def _may_draw() -> bool:
    """Whether a bar may be drawn: on a terminal, one at a time."""
    from rich.console import Console

    return not (_state.quiet or _state.verbose or _state.bars) and Console(stderr=True).is_terminal


def _bar_of(work: Work) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),  # the last column, because it is cut first on a narrow terminal
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(work.what, total=work.total, completed=work.done, detail=work.detail)
    return bar


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes else f"{rest} s"
