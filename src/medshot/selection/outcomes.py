"""Outcomes of past evaluations, one row per learner and task: those that medshot ships and the user's own."""

import json
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import platformdirs
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field

from medshot.errors import StorageError
from medshot.storage import read_bytes, write_bytes
from medshot.tasks import MARKS, Task, marks_of

MANY = 10**6
LARGEST = 64 * 2**20
"""Most bytes of an outcome file: a quarter of a million rows."""
SHIPPED = Path(__file__).with_name("outcomes.jsonl")
OFF = "off"


class Outcome(BaseModel):
    """The result of one learner on one task with one number of labels.

    Attributes:
        source: name of the data set.
        task: name of the task.
        learner: name of the learner.
        takes: its input: encoders joined by "+", or pixels.
        shots: labelled patients per class.
        ways: number of classes.
        spread: mean over the supports of `SupportFeatures.spread`.
        loss: mean cross-entropy on queries, as a share of the cross-entropy of guessing.
        accuracy: mean balanced accuracy.
        episodes: how many supports were drawn.
        images: marks of the task's images, which identify it under another name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    task: str
    learner: str
    takes: str
    shots: int = Field(ge=1, le=MANY)
    ways: int = Field(ge=2, le=MANY)
    spread: float = Field(ge=0, le=1)
    loss: float = Field(ge=0, le=1000)
    accuracy: float = Field(ge=0, le=1)
    episodes: int = Field(ge=1, le=MANY)
    images: tuple[str, ...] = Field(default=(), max_length=MARKS)


def known_outcomes() -> tuple[Outcome, ...]:
    """Return the outcomes that medshot ships, followed by the user's own.

    Raises:
        StorageError: the user's file is damaged.
    """
    return _read(SHIPPED, 0) + users_outcomes()


def without(outcomes: Sequence[Outcome], tasks: Sequence[Task]) -> tuple[Outcome, ...]:
    """Remove the outcomes of the tasks' data sets, which are recognised by name or by their images."""
    sources = {task.source for task in tasks}
    marks = {mark for task in tasks for mark in marks_of(task)}
    return tuple(each for each in outcomes if each.source not in sources and not marks.intersection(each.images))


def sources_of(task: Task) -> set[str]:
    """Return the names of a task's data set: its own, and those under which shipped outcomes hold its images."""
    marks = set(marks_of(task))
    return {task.source} | {each.source for each in _read(SHIPPED, 0) if marks.intersection(each.images)}


def users_outcomes() -> tuple[Outcome, ...]:
    """Return the outcomes of the user's own evaluations.

    Raises:
        StorageError: the file is damaged.
    """
    path = users_file()
    return _read(path, path.stat().st_mtime_ns) if path is not None and path.is_file() else ()


def record_outcomes(outcomes: Sequence[Outcome]) -> None:
    """Append outcomes to the user's file, if there is to be one.

    Raises:
        StorageError: the file is damaged or cannot be written.
    """
    path = users_file()
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            known = read_bytes(path) if path.is_file() else b""
            known += b"" if known.endswith(b"\n") or not known else b"\n"
            lines = "".join(outcome.model_dump_json() + "\n" for outcome in outcomes)
            write_bytes(path, known + lines.encode())
    except OSError as error:
        raise StorageError(
            f"{path} could not be written ({error.strerror or error}); set MEDSHOT_OUTCOMES to another file."
        ) from error


def users_file() -> Path | None:
    """Return $MEDSHOT_OUTCOMES, or a file in the user's data folder of this operating system; None if it is "off"."""
    chosen = os.environ.get("MEDSHOT_OUTCOMES")
    if chosen == OFF:
        return None
    return Path(chosen) if chosen else platformdirs.user_data_path("medshot", appauthor=False) / "outcomes.jsonl"


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> tuple[Outcome, ...]:
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        return tuple(Outcome(**json.loads(line)) for line in read_bytes(path).splitlines())
    except (ValueError, TypeError, RecursionError, OSError) as error:
        raise StorageError(f"{path} is damaged; delete it to start a new one.") from error
