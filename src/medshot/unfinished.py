"""Folders that training fills: made, resumed after a stop, and refused with the reason."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from medshot.errors import StorageError
from medshot.storage import read_metadata, refuse_existing

CHECKPOINT = "checkpoint.safetensors"
EVENTS = "events.jsonl"
RECORDS = {"run": "run.json", "model": "model.json", "encoder": "encoder.json"}
"""For each kind of folder, the JSON file that is written last."""
MADE_BY = {"run": "medshot meta-train", "encoder": "medshot train-encoder"}


def is_unfinished(folder: Path) -> bool:
    """Whether training began to fill this folder and has not finished; a folder with a record is finished.

    Training that was killed before its first checkpoint leaves a history, temporary files, or nothing.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:  # it does not exist, or is no folder
        return False
    if set(RECORDS.values()).intersection(names):
        return False
    return CHECKPOINT in names or all(name == EVENTS or name.endswith(".part") for name in names)


def describe_progress(folder: Path) -> str:
    """Return where unfinished training stopped, as a clause."""
    if not (folder / CHECKPOINT).exists():
        return "stopped before its first checkpoint"
    try:
        metadata = read_metadata(folder / CHECKPOINT)
        progress = json.loads(metadata["progress"])
        steps = progress.get("content", {}).get("steps")
        return f"stopped after step {progress['step']}" + (f" of {steps}" if steps else "")
    except (StorageError, KeyError, TypeError, ValueError):  # --resume names the damage
        return "stopped"


def check_unfinished(folder: Path, record: str, *, resume: bool) -> None:
    """Refuse a folder that training cannot fill.

    Args:
        folder: the folder that training is to fill.
        record: the JSON file that is written last, named by what it describes: run.json, encoder.json.
        resume: whether to continue unfinished training.

    Raises:
        StorageError: `folder` exists (without `resume`), is finished, or holds no unfinished training.
    """
    what = Path(record).stem
    if not resume:
        if is_unfinished(folder) and any(folder.iterdir()):
            raise StorageError(
                f"{folder} holds an unfinished {what}, {describe_progress(folder)}; give the same command with "
                "--resume to continue it, or choose another name."
            )
        refuse_existing(folder)
    elif (folder / record).exists():
        raise StorageError(f"{folder} is a finished {what}; leave --resume out and choose another folder.")
    elif not is_unfinished(folder):
        raise StorageError(f"{folder} holds no unfinished {what} to continue; leave --resume out.")


@contextmanager
def unfinished(folder: Path, *, resume: bool) -> Iterator[None]:
    """Make the folder that the block fills, and remove the checkpoint when the block ends well.

    A block that fails leaves the folder for `resume` if there is a checkpoint, and otherwise no folder.

    Raises:
        StorageError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=resume)
    except OSError as error:
        raise StorageError(f"{folder} could not be created ({error.strerror}); choose another place.") from error
    try:
        yield
    except BaseException:
        if not (folder / CHECKPOINT).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    (folder / CHECKPOINT).unlink()


def why_not(folder: Path, kind: str) -> str:
    """Return one sentence on a folder that is not a finished one of this kind: unfinished, of another kind, or neither.

    Args:
        folder: the folder.
        kind: a key of `RECORDS`.
    """
    if kind in MADE_BY and is_unfinished(folder) and any(folder.iterdir()):
        return (
            f"{folder} is an unfinished {kind}, {describe_progress(folder)}; give the {MADE_BY[kind]} command again "
            "with --resume to finish it."
        )
    others = [other for other, record in RECORDS.items() if other != kind and (folder / record).is_file()]
    if others == ["run"] and kind == "model":
        return f"{folder} is a run, not a model; adapt it first: medshot adapt DATA --from {folder} --out MODEL."
    if others:
        return f"{folder} is not a {kind} but {'an' if others[0] == 'encoder' else 'a'} {others[0]}; check the path."
    return f"{folder} is not a finished {kind} folder (it has no {RECORDS[kind]}); check the path."


def refuse_other_settings(checkpoint: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> NoReturn:
    """Raise StorageError for a checkpoint of other tasks or settings, and name those that differ.

    Args:
        checkpoint: the file.
        before: its settings by their names, and the digest of each task as "task NAME"; empty if it has none.
        now: the same of the present command.
    """
    found = []
    for name in dict.fromkeys([*before, *now] if before else []):
        old, new = before.get(name), json.loads(json.dumps(now.get(name)))
        if old == new:
            continue
        if not name.startswith("task "):
            found.append(f"{name} ({_written(old)} before, {_written(new)} now)")
        elif name not in now:
            found.append(f"{name} (missing now)")
        else:
            found.append(f"{name} ({'other images, labels or patients' if name in before else 'not there before'})")
    raise StorageError(
        f"{checkpoint} was made with other tasks or settings{': ' if found else ''}{', '.join(found)}; give the same "
        "ones to continue, or start again in another folder."
    )


def _written(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
