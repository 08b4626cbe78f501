"""What `medshot evaluate` does: runs and baselines, held-out tasks, a table and a report."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from medshot.cli.making import make_ready
from medshot.cli.options import note, write_out
from medshot.encoders import WHOLE, EncodedInput
from medshot.errors import InputError, StorageError
from medshot.evaluation import Cell, Protocol, Results, evaluate
from medshot.evaluation.outcome_log import outcomes_of
from medshot.imaging import InputSpec, usual_cut
from medshot.learners import Learner, load_learner
from medshot.reporting import results_table, write_evaluation
from medshot.selection.auto import Auto
from medshot.selection.outcomes import remember
from medshot.storage import new_folder, refuse_existing, shown
from medshot.tasks import Task, load_tasks
from medshot.training import resolve_device


def evaluate_paths(
    paths: Sequence[Path],
    runs: Sequence[Path],
    names: Sequence[str],
    protocol: Protocol,
    *,
    shape: InputSpec,
    label: str,
    keep: Mapping[str, Sequence[str]],
    device: str,
    out: Path | None,
) -> tuple[Results, list[Cell], dict[str, Learner]]:
    """Evaluate the learners of the runs and the named ones on every task at the paths."""
    if out is not None:
        refuse_existing(out)
    place = resolve_device(device)
    learners = load_learners(runs, names, shape)
    tasks = [task for path in paths for task in load_tasks(path, label=label, keep=keep)]
    for task in tasks:
        note(task.describe())
    for learner in learners.values():
        learner.to(place)
    command = shown(shlex.join(["medshot", *sys.argv[1:]]))
    _point_to_cut(learners, tasks)
    results, cells = evaluate(learners, tasks, protocol, device=place, command=command)
    return results, cells, learners


def load_learners(runs: Sequence[Path], names: Sequence[str], shape: InputSpec) -> dict[str, Learner]:
    """The learners by name; those that are named take what the first run takes, or `shape` where there is no run."""
    if not (runs or names):
        raise InputError("There is nothing to evaluate; give --learners, --from RUN, or both.")
    learners: dict[str, Learner] = {}
    for run in runs:
        learner = load_learner(run)
        name = learner.name if learner.name not in learners else f"{learner.name} ({shown(run)})"
        if name in learners:
            raise InputError(f"{run} is given twice; give each run once.")
        learners[name] = learner
    if learners:
        shape = next(iter(learners.values())).input_spec
    return learners | {_apart(name, learners): make_ready(name, shape) for name in names}


def _apart(name: str, learners: Mapping[str, Learner]) -> str:
    """What a named learner is called beside runs, of which one may be of the same learner."""
    return name if name not in learners else f"{name} (as it comes)"


def _point_to_cut(learners: Mapping[str, Learner], tasks: Sequence[Task]) -> None:
    """Say where `adapt` would have cut a task's images for `auto`, which here takes what all learners take."""
    shapes = [learner.input_spec for learner in learners.values() if isinstance(learner, Auto)]
    if any(isinstance(shape, EncodedInput) and shape.cut == WHOLE for shape in shapes):
        for task in tasks:
            if cut := usual_cut(task.images):
                note(f"Task '{task.name}' looks like ECG pages; medshot adapt would cut them for auto: --cut {cut}.")


def remember_for_auto(cells: Sequence[Cell], learners: Mapping[str, Learner]) -> None:
    """Add how each learner did to the user's outcomes; where that fails, the evaluation stands all the same."""
    try:
        remember(outcomes_of(cells, learners))
    except StorageError as error:
        note(f"This is not remembered for auto: {error}")


def report_on(results: Results, cells: Sequence[Cell], out: Path | None, *, as_json: bool) -> None:
    """Print the results, and write them to the folder `out` where one is given."""
    if out is not None:
        with new_folder(out) as folder:
            write_evaluation(folder, results, cells)
    if as_json:
        write_out(results.to_json())
    else:
        Console().print(results_table(results))
    if out is not None:
        note(f"The report is {out / 'report.html'}; open it in a browser.")
