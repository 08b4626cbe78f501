"""Every learner on every held-out data set: meta-trained once per fold, scored with 1, 5 and 10 shots.

Usage: python benchmarks/learner_table.py [DATA] [--runs FOLDER] [--budget SHARE] [--jobs N]

benchmarks/folds.json says which data sets each fold holds out. A learner is meta-trained on all others, on cached
EfficientNet-Lite0 features (those of "on_pixels" on pixels at 64 px as well), and then scored on the held-out sets, the
same episodes for all. What is done is kept under --runs, also inside a learner, so the command goes on where it was
stopped. At --budget 1 each meta-training has four CPU-minutes and each cell 100 episodes; other budgets scale both, the
episodes down to 50.
When all is there, the table is written to docs/results.md.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from learner_table_report import write_report
from rich.progress import Progress, TimeElapsedColumn, TimeRemainingColumn

from medshot.evaluation import EpisodePredictions, Protocol, draw_episodes, refuse_overlap, run_episodes
from medshot.imaging import ImageShape, InputShape
from medshot.learners import LEARNERS, Learner, create, load_learner
from medshot.learners.runs import meta_train_into
from medshot.networks.encoders import EncodedShape
from medshot.storage import read_arrays, read_json, write_arrays, write_json
from medshot.tasks import Task, load_tasks
from medshot.training import BatchSettings, OuterSettings

ROOT = Path(__file__).resolve().parents[1]
PLAN = read_json(Path(__file__).with_name("folds.json"))
INPUTS: dict[str, InputShape] = {"features": EncodedShape("lite0"), "pixels": ImageShape(channels=1, size=64)}
BASELINE = "logistic"
LEFT_OUT = {"metal-reference"}  # two classes only, and minutes for one adaptation
SECONDS = 240
EPISODES = 100
PILOT = 8
OUTER = OuterSettings(batch=BatchSettings(shots=(1, 2, 3, 5, 10)))


@dataclass(frozen=True)
class Unit:
    """What one process does at a time: one learner on one fold, meta-trained and scored."""

    kind: str
    fold: str
    learner: str
    data: Path
    runs: Path
    budget: float

    @property
    def folder(self) -> Path:
        return self.runs / self.kind / self.fold / self.learner

    @property
    def protocol(self) -> Protocol:
        return Protocol(episodes=max(50, round(EPISODES * min(1.0, self.budget))))

    def cell(self, name: str, shots: int) -> Path:
        return self.folder / f"{name}-{shots}.safetensors"

    def cells(self) -> Iterator[tuple[str, int]]:
        for name in PLAN["folds"][self.fold]:
            for shots in self.protocol.shots:
                yield name, shots

    def finished(self) -> bool:
        return all(self.cell(*cell).exists() for cell in self.cells())


def units(data: Path, runs: Path, budget: float) -> list[Unit]:
    """All work there is, the baseline first."""
    names = [BASELINE, *(name for name in LEARNERS if name not in LEFT_OUT | {BASELINE})]
    pairs = [("features", name) for name in names]
    pairs += [("pixels", name) for name in (BASELINE, *PLAN["on_pixels"])]
    return [Unit(kind, fold, name, data, runs, budget) for kind, name in pairs for fold in PLAN["folds"]]


def work(unit: Unit) -> Unit:
    """Meta-train the unit's learner unless its run is there, then score what is not scored yet."""
    torch.set_num_threads(1)
    unit.folder.mkdir(parents=True, exist_ok=True)
    learner = trained(unit)
    tasks = {name: read_task(unit.data, name) for name in PLAN["folds"][unit.fold]}
    refuse_overlap(learner, list(tasks.values()))
    for name, shots in unit.cells():
        if not unit.cell(name, shots).exists():
            score(unit, learner, tasks[name], shots)
    return unit


def trained(unit: Unit) -> Learner:
    """The unit's learner, meta-trained on all sets that its fold does not hold out."""
    learner = create(unit.learner, shape=INPUTS[unit.kind])
    if learner.gradient is None:
        return learner
    run = unit.folder / "run"
    if not (run / "run.json").exists():
        held_out = set(PLAN["folds"][unit.fold])
        sources = [name for fold in PLAN["folds"].values() for name in fold if name not in held_out]
        tasks = [read_task(unit.data, name) for name in sources]
        meta_train_into(run, learner, tasks, settings_for(unit, tasks), resume=run.exists(), report=lambda event: None)
    return load_learner(run)


def settings_for(unit: Unit, tasks: list[Task]) -> OuterSettings:
    """As many outer steps as the budget of CPU time allows; decided once, by a few steps, so that runs can resume."""
    path = unit.folder / "settings.json"
    if not path.exists():
        marks: list[float] = []
        pilot = create(unit.learner, shape=INPUTS[unit.kind])
        pilot.meta_fit(
            tasks,
            settings=OuterSettings(steps=PILOT, validate_every=PILOT, validation_batches=1, batch=OUTER.batch),
            report=lambda event: marks.append(time.process_time()) if event["kind"] == "step" else None,
        )
        steps = int(0.8 * SECONDS * unit.budget / np.median(np.diff(marks)))
        write_json(path, {"steps": min(max(steps, 20), 3000)})
    return OuterSettings(**(asdict(OUTER) | read_json(path) | {"batch": OUTER.batch}))


def score(unit: Unit, learner: Learner, task: Task, shots: int) -> None:
    """One cell: what the learner says of every episode's queries, written to a file."""
    predictions, seconds = run_episodes(learner, draw_episodes(task, shots, unit.protocol))
    arrays = {
        name: np.concatenate([np.asarray(getattr(episode, name)) for episode in predictions])
        for name in ("probabilities", "labels", "patients", "images")
    }
    arrays["probabilities"] = arrays["probabilities"].astype(np.float32)
    arrays["lengths"] = np.array([len(episode.labels) for episode in predictions])
    write_arrays(unit.cell(task.name, shots), arrays | {"seconds": np.array(seconds)})


def read_cell(path: Path) -> tuple[list[EpisodePredictions], list[float]]:
    """The predictions that `score` wrote, and the seconds of each adaptation."""
    arrays = read_arrays(path)
    ends = np.cumsum(arrays["lengths"])[:-1]
    fields = ("probabilities", "labels", "patients", "images")
    parts = [np.split(arrays[name], ends) for name in fields]
    episodes = [EpisodePredictions(said.astype(np.float64), *rest) for said, *rest in zip(*parts, strict=True)]
    return episodes, arrays["seconds"].tolist()


def read_task(data: Path, name: str) -> Task:
    """The data set's one task; a copy for each name, since two sets' files may share a folder name."""
    (task,) = load_tasks(data / name)
    return task


def check_plan() -> None:
    """What must stand together is in one fold; nothing is held out twice."""
    for group in PLAN["together"]:
        assert any(set(group) <= set(fold) for fold in PLAN["folds"].values()), group
    names = [name for fold in PLAN["folds"].values() for name in fold]
    assert len(names) == len(set(names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--runs", type=Path, default=Path("runs/table"), help="where what is done is kept")
    parser.add_argument("--budget", type=float, default=1.0, help="share of four CPU-minutes and of 100 episodes")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    arguments = parser.parse_args()
    check_plan()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    note = arguments.runs / "budget.json"
    if not note.exists():
        write_json(note, {"budget": arguments.budget})
    budget = read_json(note)["budget"]
    if budget != arguments.budget:
        parser.error(f"{arguments.runs} was begun with --budget {budget}; give that, or another --runs")
    for name in (name for fold in PLAN["folds"].values() for name in fold):
        for shape in INPUTS.values():
            shape.prepare(read_task(arguments.data, name).images)
    work_to_do = units(arguments.data, arguments.runs, budget)
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
    write_report(cells, read_cell, ROOT / "docs", arguments.jobs, budget, json.dumps(PLAN["folds"]))


if __name__ == "__main__":
    main()
