"""Meta-training into a run folder: the history and checkpoints while it lasts, the learner when it is done."""

from collections.abc import Sequence
from pathlib import Path

from medshot.errors import InputError
from medshot.learners.base import Learner
from medshot.tasks import Task
from medshot.training import OuterSettings, Report, check_unfinished, parse_engine, resolve_device, unfinished

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
    check_unfinished(folder, RECORD, resume=resume)
    resolve_device(device)
    if engine is not None:
        parse_engine(engine)
    for task in tasks:
        learner.input_spec.prepare(task.images)
    with unfinished(folder, resume=resume):
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
