"""Meta-training into a run folder: the history and checkpoints while it lasts, the learner when it is done."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from medshot.errors import InputError, StorageError
from medshot.learners.base import Learner
from medshot.storage import refuse_existing
from medshot.tasks import Task
from medshot.training import CHECKPOINT, OuterSettings, Report, parse_engine, resolve_device

RECORD = "run.json"


def meta_train_into(
    folder: Path,
    learner: Learner,
    tasks: Sequence[Task],
    settings: OuterSettings,
    *,
    resume: bool = False,
    device: str = "cpu",
    engine: str | None = None,
    report: Report | None = None,
) -> None:
    """Meta-train `learner` and make `folder` its run folder.

    Until `run.json` is there, the run is unfinished: the folder holds the history and the last checkpoint, from which
    the same call with `resume` goes on. A run that fails before its first checkpoint leaves no folder.

    Raises:
        InputError: the learner has nothing to meta-train, or the tasks cannot be used.
        StorageError: `folder` exists (without `resume`), is finished, or cannot be written.
        Interrupted: Ctrl-C was pressed; the state is saved in `folder`.
    """
    if learner.gradient is None:
        raise InputError(f"Learner '{learner.name}' has nothing to meta-train; adapt or evaluate it directly.")
    if not resume:
        refuse_existing(folder)
    elif (folder / RECORD).exists():
        raise StorageError(f"{folder} is a finished run; leave --resume out and choose another folder.")
    elif not (folder / CHECKPOINT).exists():
        raise StorageError(f"{folder} holds no unfinished run to go on with; leave --resume out.")
    resolve_device(device)
    if engine is not None:
        parse_engine(engine)
    for task in tasks:
        learner.shape.prepare(task.images)
    try:
        folder.mkdir(parents=True, exist_ok=resume)
    except OSError as error:
        raise StorageError(f"{folder} could not be created ({error.strerror}); choose another place.") from error
    try:
        learner.meta_fit(
            tasks,
            settings=settings,
            folder=folder,
            resume=resume,
            device=device,
            engine=engine,
            report=report,
        )
        learner.write(folder)
    except BaseException:
        if not (folder / CHECKPOINT).exists():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    (folder / CHECKPOINT).unlink()
