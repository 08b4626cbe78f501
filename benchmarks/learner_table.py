"""Every learner on every held-out data set: meta-trained once per fold, scored with 1, 5 and 10 shots.

Usage: python benchmarks/learner_table.py [DATA] [--tasks 2d|3d] [--runs FOLDER] [--budget SHARE] [--jobs N]

benchmarks/table_plans.py says which tasks each fold holds out, and what learners take of their images. A learner is
meta-trained on the tasks of all other folds, and then scored on the held-out ones, the same episodes for all. What is
done is kept under --runs, also inside a learner, so the command goes on where it was stopped. At --budget 1 each
meta-training has four CPU-minutes and each cell 100 episodes; other budgets scale both, the episodes down to 50, or to
20 where images are volumes.
When all is there, the table is written to docs/results.md.
"""

import argparse
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from cells import read_cell, write_cell
from joblib import Parallel, delayed
from learner_table_report import write_report
from medshot.learners.runs import meta_train_into
from rich.progress import Progress, TimeElapsedColumn, TimeRemainingColumn
from table_plans import PLANS, Plan

from medshot.encoders import reader_of
from medshot.evaluation import Protocol, draw_episodes, refuse_overlap, run_episodes
from medshot.learners import Learner, create, load_learner
from medshot.storage import read_json, write_json
from medshot.tasks import Task
from medshot.training import OuterSettings

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 240
EPISODES = 100
PILOT = 8


@dataclass(frozen=True)
class Unit:
    """What one process does at a time: one learner on one fold, meta-trained and scored."""

    tasks: str
    kind: str
    fold: str
    learner: str
    data: Path
    runs: Path
    budget: float

    @property
    def plan(self) -> Plan:
        return PLANS[self.tasks]

    @property
    def folder(self) -> Path:
        return self.runs / self.kind / self.fold / self.learner

    @property
    def protocol(self) -> Protocol:
        episodes = max(self.plan.least_episodes, round(EPISODES * min(1.0, self.budget)))
        return Protocol(episodes=episodes, queries=self.plan.queries)

    def cell(self, name: str, shots: int) -> Path:
        return self.folder / f"{name}-{shots}.safetensors"

    def cells(self) -> Iterator[tuple[str, int]]:
        for name in self.plan.scored(self.fold):
            for shots in self.protocol.shots:
                yield name, shots

    def finished(self) -> bool:
        return all(self.cell(*cell).exists() for cell in self.cells())


def units(tasks: str, data: Path, runs: Path, budget: float) -> list[Unit]:
    """All work there is, the baseline first."""
    plan = PLANS[tasks]
    pairs = [(kind, name) for kind, of_kind in plan.kinds.items() for name in of_kind.learners]
    return [Unit(tasks, kind, fold, name, data, runs, budget) for kind, name in pairs for fold in plan.folds]


def work(unit: Unit) -> Unit:
    """Meta-train the unit's learner unless its run is there, then score what is not scored yet."""
    torch.set_num_threads(1)
    unit.folder.mkdir(parents=True, exist_ok=True)
    learner = trained(unit)
    tasks = {name: read_task(unit, name) for name in unit.plan.scored(unit.fold)}
    refuse_overlap(learner, list(tasks.values()))
    for name, shots in unit.cells():
        if not unit.cell(name, shots).exists():
            score(unit, learner, tasks[name], shots)
    return unit


def trained(unit: Unit) -> Learner:
    """The unit's learner, meta-trained on all tasks that its fold does not hold out."""
    learner = made(unit)
    if learner.gradient is None:
        return learner
    run = unit.folder / "run"
    if not (run / "run.json").exists():
        tasks = [read_task(unit, name) for name in unit.plan.sources(unit.fold)]
        meta_train_into(run, learner, tasks, settings_for(unit, tasks), resume=run.exists(), report=lambda event: None)
    return load_learner(run)


def made(unit: Unit) -> Learner:
    """The unit's learner as it is before meta-training."""
    return create(unit.learner, shape=unit.plan.kinds[unit.kind].shape)


def settings_for(unit: Unit, tasks: list[Task]) -> OuterSettings:
    """As many outer steps as the budget of CPU time allows; decided once, by a few steps, so that runs can resume."""
    path = unit.folder / "settings.json"
    if not path.exists():
        marks: list[float] = []
        pilot = made(unit)
        pilot.meta_fit(
            tasks,
            settings=OuterSettings(steps=PILOT, validate_every=PILOT, validation_batches=1, batch=unit.plan.batch),
            report=lambda event: marks.append(time.process_time()) if event["kind"] == "step" else None,
        )
        steps = int(0.8 * SECONDS * unit.budget / np.median(np.diff(marks)))
        write_json(path, {"steps": min(max(steps, 20), 3000)})
    return OuterSettings(**read_json(path), batch=unit.plan.batch)


def score(unit: Unit, learner: Learner, task: Task, shots: int) -> None:
    """One cell: what the learner says of every episode's queries, written to a file."""
    write_cell(unit.cell(task.name, shots), *run_episodes(learner, draw_episodes(task, shots, unit.protocol)))


def read_task(unit: Unit, name: str) -> Task:
    """A task of the unit's plan."""
    return unit.plan.read(unit.data, unit.runs / "tasks", name)


def check_plan(plan: Plan) -> None:
    """What must stand together is in one fold; nothing is held out twice."""
    for group in plan.together:
        assert any(set(group) <= set(fold) for fold in plan.folds.values()), group
    names = plan.names()
    assert len(names) == len(set(names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--tasks", choices=PLANS, default="2d", help="pictures or volumes")
    parser.add_argument("--runs", type=Path, help="where what is done is kept; runs/table or runs/table3d if left out")
    parser.add_argument("--budget", type=float, default=1.0, help="share of four CPU-minutes and of 100 episodes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    arguments = parser.parse_args()
    plan = PLANS[arguments.tasks]
    runs = arguments.runs or Path("runs/table" if arguments.tasks == "2d" else f"runs/table{arguments.tasks}")
    check_plan(plan)
    runs.mkdir(parents=True, exist_ok=True)
    note = runs / "budget.json"
    if not note.exists():
        write_json(note, {"budget": arguments.budget})
    budget = read_json(note)["budget"]
    if budget != arguments.budget:
        parser.error(f"{runs} was begun with --budget {budget}; give that, or another --runs")
    work_to_do = units(arguments.tasks, arguments.data, runs, budget)
    for name in plan.names():
        images = read_task(work_to_do[0], name).images
        for kind in plan.kinds.values():
            reader_of(kind.shape).prepare(images)
    with Progress(*Progress.get_default_columns()[:-1], TimeElapsedColumn(), TimeRemainingColumn(True)) as progress:
        bar = progress.add_task("learners × folds", total=len(work_to_do))
        done = [unit for unit in work_to_do if unit.finished()]
        progress.advance(bar, len(done))
        rest = [unit for unit in work_to_do if not unit.finished()]
        for unit in Parallel(arguments.jobs, return_as="generator_unordered")(delayed(work)(unit) for unit in rest):
            progress.advance(bar)
            progress.console.print(f"done: {unit.learner} on {unit.kind}, fold {unit.fold}")
    cells = [
        (unit.kind, unit.learner, name, shots, unit.cell(name, shots))
        for unit in work_to_do
        for name, shots in unit.cells()
    ]
    command = f"python benchmarks/learner_table.py --budget {budget}"
    if arguments.tasks != "2d":
        command += f" --tasks {arguments.tasks}"
    write_report(plan, cells, read_cell, ROOT / "docs", arguments.jobs, command, SECONDS * budget)


if __name__ == "__main__":
    main()
