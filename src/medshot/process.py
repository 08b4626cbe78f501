"""Threads and child processes, and the one place that changes the state of the process: warnings, loggers, stderr.

Files are read in many threads at once, so a change of this state must not reach another thread, or must be undone
only after the last thread that needs it has ended.
"""

import atexit
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import cv2

_AHEAD = 4  # items in work for each thread

Item = TypeVar("Item")
Result = TypeVar("Result")

_lock = threading.RLock()


class _Captures(threading.local):
    """The open captures of one thread, the innermost last."""

    def __init__(self) -> None:
        self.lists: list[list[str]] = []


class _CapturingThread:
    """A message pattern and a log filter that apply only to threads inside `capture_warnings`."""

    captures = _Captures()

    def match(self, message: str) -> bool:
        """Whether this thread captures its warnings; if so, record `message`."""
        if not self.captures.lists:
            return False
        self.captures.lists[-1].append(str(message))
        return True

    def filter(self, _record: logging.LogRecord) -> bool:
        """Whether a log record passes: only outside of captures."""
        return not self.captures.lists


class _CapturedWarning(Warning):
    """A category that nobody raises."""


_CAPTURING = _CapturingThread()
# The interpreter asks the pattern of a filter by its method `match`, so a filter can depend on the thread.
_FILTER = cast(Any, ("ignore", _CAPTURING, Warning, None, 0))
_LOGGER = "pydicom"
_users = 0  # open captures of all threads
_changed: list[list[Any]] = []  # the lists of filters that hold `_FILTER`; others replace the list as a whole


@contextmanager
def capture_warnings() -> Iterator[list[str]]:
    """Collect the warnings that this thread raises, and hide them and pydicom's log from the user.

    Warnings and log records of other threads pass as if nothing had happened. Captures may be nested; the innermost
    collects. After the last capture has ended, filters and loggers are as before.
    """
    found: list[str] = []
    with _lock:
        _install_filter()
        _CAPTURING.captures.lists.append(found)
    try:
        yield found
    finally:
        with _lock:
            _CAPTURING.captures.lists.pop()
            _remove_filter()


def _install_filter() -> None:
    global _users
    filters = cast(list[Any], warnings.filters)
    if not any(item is _FILTER for item in filters):
        # The public function also resets the modules' records of warnings that were shown already.
        warnings.simplefilter("ignore", _CapturedWarning)
        filters[:] = [_FILTER if item[2] is _CapturedWarning else item for item in filters]
        _changed.append(filters)
    if _users == 0:
        logging.getLogger(_LOGGER).addFilter(_CAPTURING)
    _users += 1


def _remove_filter() -> None:
    global _users
    _users -= 1
    if _users == 0:
        logging.getLogger(_LOGGER).removeFilter(_CAPTURING)
        for filters in (*_changed, cast(list[Any], warnings.filters)):
            filters[:] = [item for item in filters if item is not _FILTER]
        _changed.clear()


@contextmanager
def capture_stderr() -> Iterator[list[str]]:
    """Collect the lines that C libraries print on stderr.

    File descriptor 2 belongs to the whole process, so this is for processes of a single thread such as those of
    `ChildProcess`: output of other threads would be captured too.
    """
    lines: list[str] = []
    with tempfile.TemporaryFile() as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            printed = file.read(10_000).decode(errors="replace").splitlines()
            lines += [line.strip() for line in printed if line.strip()]


class ChildProcess:
    """A script that runs in a process of its own, started once, and answers one request after another.

    The script calls `answer_requests`. A process that died is started again at the next request, and each process
    that was forked from this one starts its own. The child ends when its stdin is closed, at the latest when
    this process ends.

    Args:
        script: the file.
    """

    def __init__(self, script: Path) -> None:
        self._script = script
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        atexit.register(self.close)

    def ask(self, request: bytes) -> tuple[dict[str, Any], bytes]:
        """Return the header and the content of the script's answer to `request`.

        Raises:
            ChildProcessError: the process died, as a C library may crash on a damaged file.
        """
        with self._lock:
            process = self._running()
            try:
                _send(cast(IO[bytes], process.stdin), {}, request)
                return _receive(cast(IO[bytes], process.stdout))
            except (OSError, EOFError):
                self._end()
                raise ChildProcessError("the decoder crashed") from None
            except BaseException:  # an answer that nobody takes would be taken for that of the next request
                self._end()
                raise

    def close(self) -> None:
        """End the process, if this one started it."""
        with self._lock:
            if self._owner == os.getpid():
                self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            command = [sys.executable, "-P", str(self._script), *sys.path]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._owner = os.getpid()
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):  # a request that was not sent whole
                    cast(IO[bytes], pipe).close()
            self._process.wait()
            self._process = None


def answer_requests(answer: Callable[[bytes], tuple[dict[str, Any], bytes]]) -> None:
    """Answer the requests of the `ChildProcess` that started this process, until it closes the pipe."""
    while True:
        try:
            _, request = _receive(sys.stdin.buffer)
        except EOFError:
            return
        _send(sys.stdout.buffer, *answer(request))


def _send(pipe: IO[bytes], header: dict[str, Any], content: bytes) -> None:
    encoded = json.dumps(header).encode()
    pipe.write(len(encoded).to_bytes(8) + len(content).to_bytes(8) + encoded)
    pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> tuple[dict[str, Any], bytes]:
    sizes = _exactly(pipe, 16)
    return json.loads(_exactly(pipe, int.from_bytes(sizes[:8]))), _exactly(pipe, int.from_bytes(sizes[8:]))


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return content


class _Shared:
    """A setting of the process that is changed for as long as any thread needs it, then put back.

    Args:
        read: returns the setting.
        write: changes it.
        value: what it is changed to.
    """

    def __init__(self, read: Callable[[], int], write: Callable[[int], object], value: int) -> None:
        self._read, self._write, self._value = read, write, value
        self._users, self._before = 0, 0

    @contextmanager
    def changed(self) -> Iterator[None]:
        """Change the setting until the last thread has left its block."""
        with _lock:
            if self._users == 0:
                self._before = self._read()
                self._write(self._value)
            self._users += 1
        try:
            yield
        finally:
            with _lock:
                self._users -= 1
                if self._users == 0:
                    self._write(self._before)


_log = cv2.utils.logging
opencv_silent = _Shared(_log.getLogLevel, _log.setLogLevel, _log.LOG_LEVEL_SILENT).changed
opencv_single_threaded = _Shared(cv2.getNumThreads, cv2.setNumThreads, 1).changed


def in_threads(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield `work` of each item in order; threads run only a few items ahead, which bounds memory."""
    pending: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) == _AHEAD * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
