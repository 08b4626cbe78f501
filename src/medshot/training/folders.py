"""Folders that training fills: refused where they exist, gone on with where they are unfinished."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medshot.errors import StorageError
from medshot.storage import refuse_existing
from medshot.training.checkpoint import CHECKPOINT


def check_unfinished(folder: Path, record: str, *, resume: bool) -> None:
    """See to it that there is nothing at `folder`, or, to resume, unfinished training alone.

    Args:
        folder: where training is to go.
        record: the JSON file that is written last, named by what it describes: run.json, encoder.json.
        resume: whether unfinished training is gone on with.

    Raises:
        StorageError: `folder` exists (without `resume`), is finished, or holds nothing to go on with.
    """
    what = Path(record).stem
    if not resume:
        refuse_existing(folder)
    elif (folder / record).exists():
        raise StorageError(f"{folder} is a finished {what}; leave --resume out and choose another folder.")
    elif not (folder / CHECKPOINT).exists():
        raise StorageError(f"{folder} holds no unfinished {what} to go on with; leave --resume out.")


@contextmanager
def unfinished(folder: Path, *, resume: bool) -> Iterator[None]:
    """Make the folder that the block fills, and remove the checkpoint when it ends well.

    A block that fails leaves the folder for `resume`, or no folder where there was no checkpoint yet.

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
