"""Report meta-training by a progress bar on stderr and the history in `events.jsonl`."""

import json
from io import TextIOWrapper
from pathlib import Path
from types import TracebackType
from typing import Any

from medshot.errors import StorageError
from medshot.progress import Work, note, progress
from medshot.storage import read_bytes, write_bytes
from medshot.unfinished import EVENTS

FORGETTING = 0.95


class Reporter:
    """A reporter of the outer loop's events; use as a context.

    Args:
        steps: how many outer steps there will be at most.
        folder: where `events.jsonl` goes; if left out, no history is kept.
        show: whether to show progress on stderr.
    """

    def __init__(self, steps: int, folder: Path | None = None, *, show: bool = True) -> None:
        self._work = progress("meta-training", steps) if show else None
        self._advance: Work | None = None
        self._folder = folder
        self._file: TextIOWrapper | None = None
        self._smooth: dict[str, float] = {}

    def __enter__(self) -> "Reporter":
        self._advance = self._work.__enter__() if self._work else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._work:
            self._work.__exit__(kind, error, trace)
        if self._file:
            self._file.close()

    def __call__(self, event: dict[str, Any]) -> None:
        """Report one event."""
        if self._folder:
            self._write(self._folder / EVENTS, event)
        if self._advance is None:
            return
        if event["kind"] == "start" and event["step"]:
            self._advance.skip(event["step"])
        elif event["kind"] == "step":
            rate = event["episodes"] / event["seconds"]
            for name, value in {"loss": event["loss"], "accuracy": event["accuracy"], "rate": rate}.items():
                old = self._smooth.get(name, value)
                self._smooth[name] = FORGETTING * old + (1 - FORGETTING) * value
            self._advance(1, f"loss {self._smooth['loss']:.3f}, accuracy {self._smooth['accuracy']:.0%}")
        elif event["kind"] == "validation":
            rate_of_all = f", {self._smooth['rate']:.0f} episodes/s" if self._smooth else ""
            note(
                f"step {event['step']}: validation loss {event['loss']:.4f}, accuracy {event['accuracy']:.1%}"
                f"{rate_of_all}"
            )

    def _write(self, path: Path, event: dict[str, Any]) -> None:
        if event["kind"] == "start":
            _delete_after(path, event["step"])
        try:
            if self._file is None:
                self._file = path.open("a", encoding="utf-8")
            self._file.write(json.dumps(event) + "\n")
            self._file.flush()
        except OSError as error:
            raise StorageError(
                f"{path} could not be written ({error.strerror or error}); free some space there."
            ) from error


def _delete_after(path: Path, step: int) -> None:
    """Delete what a killed run wrote after its last checkpoint; those steps are made again.

    Raises:
        StorageError: a line is damaged, other than the last, which a kill may tear.
    """
    lines = read_bytes(path).splitlines() if path.exists() else []
    kept = []
    for number, line in enumerate(lines, start=1):
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except (ValueError, TypeError, KeyError) as error:
            if number < len(lines):
                raise StorageError(
                    f"{path} is damaged at line {number}; restore it, or start again in another folder."
                ) from error
    write_bytes(path, b"".join(line + b"\n" for line in kept))
