"""Every learner on every held-out data set: meta-trained once per fold, scored with 1, 5 and 10 shots.

plans.py lists the tasks that each fold holds out and the input of learners. A learner is meta-trained on the tasks of
all other folds and scored on the held-out ones, on the same episodes as all other learners. Finished cells are kept in
the --out folder. At --budget 1 each meta-training has four CPU-minutes and each cell 100 episodes; other budgets scale
both, the episodes down to 50, or to 20 for volumes.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from rich.progress import track

from benchmarks.accuracy.plans import BASELINE, PLANS, Plan, plan_of
from benchmarks.accuracy.report import write_report
from benchmarks.common.arguments import Places, make_parser, parse
from benchmarks.common.cells import measure_cells, write_cell
from benchmarks.common.results import metadata, save
from medshot.encoders import reader_of
from medshot.evaluation import Protocol, draw_episodes, refuse_overlap, run_episodes
from medshot.evaluation.results import collect
from medshot.learners import Learner, create, load_learner
from medshot.learners.run import meta_train
from medshot.storage import read_json, write_json
from medshot.tasks import Task
from medshot.training import OuterSettings

SECONDS = 240
EPISODES = 100
PILOT = 8


@dataclass(frozen=True)
class Unit:
    """The work of one process: one learner on one fold, meta-trained and scored."""

    tasks: str
    quick: bool
    kind: str
    fold: str
    learner: str
    data: Path
    runs: Path
    budget: float

    @property
    def plan(self) -> Plan:
        return plan_of(self.tasks, self.quick)

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


def units(tasks: str, quick: bool, data: Path, runs: Path, budget: float) -> list[Unit]:
    """Return all work, the baseline first."""
    plan = plan_of(tasks, quick)
    pairs = [(kind, name) for kind, of_kind in plan.kinds.items() for name in of_kind.learners]
    return [Unit(tasks, quick, kind, fold, name, data, runs, budget) for kind, name in pairs for fold in plan.folds]


def work(unit: Unit) -> Unit:
    """Meta-train the unit's learner unless it is trained, then score the cells that are missing."""
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
    """Return the unit's learner, meta-trained on all tasks that its fold does not hold out."""
    learner = made(unit)
    if learner.gradient is None:
        return learner
    run = unit.folder / "run"
    if not (run / "run.json").exists():
        tasks = [read_task(unit, name) for name in unit.plan.sources(unit.fold)]
        meta_train(
            learner,
            tasks,
            settings=settings_for(unit, tasks),
            folder=run,
            resume=run.exists(),
            report=lambda event: None,
        )
    return load_learner(run)


def made(unit: Unit) -> Learner:
    """Return the unit's learner before meta-training."""
    return create(unit.learner, input_spec=unit.plan.kinds[unit.kind].shape, pretrained=False)


def settings_for(unit: Unit, tasks: list[Task]) -> OuterSettings:
    """Return settings with as many outer steps as the CPU time allows; measured once, so that runs can resume."""
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
        write_json(path, {"steps": min(max(steps, 2 if unit.quick else 20), 3000)})
    return OuterSettings(**read_json(path), batch=unit.plan.batch)


def score(unit: Unit, learner: Learner, task: Task, shots: int) -> None:
    """Write one cell: the learner's predictions of every episode's queries."""
    write_cell(unit.cell(task.name, shots), *run_episodes(learner, draw_episodes(task, shots, unit.protocol)))


def read_task(unit: Unit, name: str) -> Task:
    """Return a task of the unit's plan."""
    return unit.plan.read(unit.data, unit.runs / "tasks", name)


def check_plan(plan: Plan) -> None:
    """Check that tasks that share images are in one fold and that none is held out twice."""
    for group in plan.together:
        assert any(set(group) <= set(fold) for fold in plan.folds.values()), group
    names = plan.names()
    assert len(names) == len(set(names))


def save_results(plan: Plan, units: list[Unit], places: Places, jobs: int, command: str) -> None:
    """Measure all cells of a plan and save the results of each kind of images."""
    for kind in plan.kinds:
        groups: dict[tuple[str, int], dict[str, Path]] = {}
        for unit in units:
            if unit.kind == kind:
                for name, shots in unit.cells():
                    groups.setdefault((name, shots), {})[unit.learner] = unit.cell(name, shots)
        measured = Parallel(jobs)(
            delayed(measure_cells)(paths, task=task, shots=shots, baseline=BASELINE)
            for (task, shots), paths in groups.items()
        )
        held_out = json.dumps({name: list(fold) for name, fold in plan.folds.items()})
        about = metadata(command, f"held out in each fold: {held_out}")
        results = collect([each for group in measured for each in group], baseline=BASELINE, metadata=about)
        save(places, f"{plan.part}-{kind}", results.to_json())


def main() -> None:
    parser = make_parser("accuracy", __doc__)
    parser.add_argument("--tasks", choices=PLANS, default="2d", help="images or volumes")
    parser.add_argument("--budget", type=float, default=1.0, help="share of four CPU-minutes and of 100 episodes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    arguments = parse(parser)
    budget = 0.01 if arguments.quick else arguments.budget
    plan = plan_of(arguments.tasks, arguments.quick)
    if arguments.report:
        write_report(plan, arguments.places)
        return
    check_plan(plan)
    note = arguments.out / f"budget-{arguments.tasks}.json"
    if not note.exists():
        write_json(note, {"budget": budget})
    if read_json(note)["budget"] != budget:
        parser.error(
            f"{arguments.out} was begun with --budget {read_json(note)['budget']}; give that, or another --out."
        )
    work_to_do = units(arguments.tasks, arguments.quick, arguments.data, arguments.out / arguments.tasks, budget)
    for name in plan.names():
        images = read_task(work_to_do[0], name).images
        for kind in plan.kinds.values():
            reader_of(kind.shape).prepare(images)
    rest = [unit for unit in work_to_do if not unit.finished()]
    finished = Parallel(arguments.jobs, return_as="generator_unordered")(delayed(work)(unit) for unit in rest)
    for unit in track(finished, "learners × folds", total=len(rest)):
        print(f"done: {unit.learner} on {unit.kind}, fold {unit.fold}", flush=True)
    command = f"python -m benchmarks.accuracy --tasks {arguments.tasks} --budget {budget}"
    save_results(plan, work_to_do, arguments.places, arguments.jobs, command)
    write_report(plan, arguments.places)


if __name__ == "__main__":
    main()
