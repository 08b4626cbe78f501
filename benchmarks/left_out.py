"""Features learned across medical tasks and the choice of learner, each on data sets that were left out of it.

Usage: python benchmarks/left_out.py [DATA] [--encoders FOLDER] [--runs FOLDER] [--episodes N] [--jobs N]

First train the encoders: `python benchmarks/medical_encoders.py one two three`, and for the ablation of objectives
`… three --steps 100 --objective episodic` and so on. For each fold of benchmarks/folds.json
this meta-trains depth-ridge on the other folds, scores every column of `COLUMNS` on the fold's own data sets, writes
down what the candidates of `auto` had, and scores `auto` with what they had on the other folds. What is done is kept
under --runs, so the command goes on where it was stopped. When all is there, the tables are written to docs/results.md
and the outcomes to src/medshot/selection, from which the installed `auto` takes them.
"""

import argparse
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from cells import read_cell, write_cell
from encoder_sets import FREE
from joblib import Parallel, delayed
from left_out_report import write_report
from left_out_shapes import FinalShape
from rich.progress import track

from medshot.errors import TooFewPatients
from medshot.evaluation import EpisodePredictions, Protocol, draw_episodes, refuse_overlap, run_episodes
from medshot.evaluation.metrics import balanced_accuracy
from medshot.evaluation.remembering import SUPPORTS, mean_loss, spread_of
from medshot.imaging import usual_cut
from medshot.learners import Learner, create, load_learner
from medshot.learners.neural.depth_ridge import DepthRidge
from medshot.learners.runs import meta_train_into
from medshot.networks.encoders import WHOLE, EncodedShape
from medshot.selection.auto import Auto
from medshot.selection.candidates import LAST, Candidate, candidates_of, give_prior, prior_file
from medshot.selection.outcomes import Outcome
from medshot.storage import read_json, write_arrays, write_bytes
from medshot.tasks import Task, load_tasks, marks_of
from medshot.training import BatchSettings, OuterSettings

ROOT = Path(__file__).resolve().parents[1]
SELECTION = ROOT / "src" / "medshot" / "selection"
FOLDS: Mapping[str, Sequence[str]] = read_json(Path(__file__).with_name("folds.json"))["folds"]
LEARNED_FROM = tuple(name for names in FOLDS.values() for name in names if name in FREE)
"""By the start of depth-ridge that is shipped: sets of a free licence, all of which the encoder was trained on too."""
LEARNED = ("depth-ridge", "even-ridge")
OUTCOMES = "outcomes.jsonl"
ECG = "ecg_12lead_images"
BASELINE = "logistic, last features"
AUTO = "auto, lite0+medical"
WHOLE_PAGES = "auto, lite0+medical, whole pages"
Make = Callable[["Setting", str, Task], Learner]
MORE_SHOTS = (2, 3, 15, 20, 30, 40)
PRIOR = OuterSettings(
    steps=300,
    learning_rate=0.02,
    validate_every=300,
    validation_batches=1,
    batch=BatchSettings(ways=7, shots=(1, 2, 3, 5, 10)),
)


@dataclass(frozen=True)
class Setting:
    """Where everything lies."""

    data: Path
    encoders: Path
    runs: Path
    episodes: int

    def cell(self, column: str, task: str, shots: int) -> Path:
        return self.runs / column.replace(" ", "-") / f"{task}-{shots}.safetensors"

    def task(self, name: str) -> Task:
        (task,) = load_tasks(self.data / name)
        return task

    def shape(self, encoder: str, fold: str, cut: str = WHOLE) -> EncodedShape:
        """The features of an encoder, "medical" being that which was trained without the fold."""
        folder = str(self.encoders / "supervised-600" / fold)
        names = [folder if name == "medical" else name for name in encoder.split("+")]
        for number, name in enumerate(names):
            if ":" in name:
                names[number] = str(self.encoders / name.partition(":")[2] / fold)
        return EncodedShape("+".join(names), cut)


def fixed(learner: str, encoder: str) -> Make:
    """A learner that is the same on every task, on an encoder's features."""
    return lambda setting, fold, task: create(learner, shape=setting.shape(encoder, fold))


def candidate(*key: str) -> Make:
    """One of those between which `auto` chooses, on both encoders or on Lite0 alone."""

    def make(setting: Setting, fold: str, task: Task) -> Learner:
        every = [each for encoder in (BOTH, "lite0") for each in candidates_of(setting.shape(encoder, fold))]
        found = next(each for each in every if lasting_key(each) == key)
        take_prior(found, setting, fold)
        return found

    return make


def automatic(encoder: str, *, cut: bool = True) -> Make:
    """`auto`, knowing of other folds alone, for the cut that images ask for by their looks."""

    def make(setting: Setting, fold: str, task: Task) -> Learner:
        lines = (setting.runs / OUTCOMES).read_text().splitlines()
        others = [row for row in (Outcome(**json.loads(line)) for line in lines) if row.source not in FOLDS[fold]]
        suited = usual_cut(task.images) if cut else None
        made = Auto(setting.shape(encoder, fold, suited or WHOLE), outcomes=others)
        made.keys = [lasting_key(each) for each in made.candidates]
        for each in made.candidates:
            take_prior(each, setting, fold)
            made.seen |= each.seen
        return made

    return make


def lasting_key(each: Candidate) -> tuple[str, str]:
    """A candidate's key, in which each fold's encoder stands for the one that is shipped."""
    learner, takes = each.key
    return learner, re.sub("medical-[0-9a-f]+", "medical", takes)


ENCODERS = ("lite0", "medical", "lite0+medical")
BOTH = "lite0+medical"
CANDIDATES = {
    **{f"depth-ridge, {encoder}": ("depth-ridge", encoder) for encoder in ENCODERS},
    f"even-ridge, {BOTH}": ("even-ridge", BOTH),
    f"logistic, last features, {BOTH}": ("logistic", f"{LAST}{BOTH}"),
}
CANDIDATES_OF_LITE0 = {
    "even-ridge, lite0": ("even-ridge", "lite0"),
    "logistic, last features, lite0": ("logistic", f"{LAST}lite0"),
}
TRIED = {**CANDIDATES, **CANDIDATES_OF_LITE0}
FIXED: dict[str, Make] = {
    BASELINE: lambda setting, fold, task: create("logistic", shape=FinalShape("lite0")),
    "logistic, last features, medical": lambda setting, fold, task: create(
        "logistic", shape=FinalShape(setting.shape("medical", fold).encoder)
    ),
    **{name: candidate(*key) for name, key in TRIED.items()},
    **{f"logistic, {encoder}": fixed("logistic", encoder) for encoder in ENCODERS},
    **{f"{learner}, {BOTH}": fixed(learner, BOTH) for learner in ("svm", "knn", "forest")},
    "logistic, medical after training alone": fixed("logistic", "medical:supervised-600-trained"),
}
CHOSEN: dict[str, Make] = {
    AUTO: automatic(BOTH),
    "auto, lite0": automatic("lite0"),
}
ABLATED = "three"
OBJECTIVES = ("supervised-100", "episodic-100", "self-supervised-100")


def ablations(setting: Setting) -> dict[str, Make]:
    """Encoders of one fold that were trained by each objective for fewer steps, where they are there."""
    return {
        f"logistic, medical ({name})": fixed("logistic", f"medical:{name}")
        for name in OBJECTIVES
        if (setting.encoders / name / ABLATED / "encoder.json").exists()
    }


def take_prior(each: Candidate, setting: Setting, fold: str) -> None:
    """Start from what was learned without the fold, where anything was."""
    if isinstance(each.learner, DepthRidge):
        learned = prior_of(setting, each.learner.name, fold)
        give_prior(each.learner, learned.state_dict(), learned.seen)
        each.seen = each.learner.seen


def prior_of(setting: Setting, name: str, fold: str) -> Learner:
    """A learner meta-trained on lite0's features of the other folds; for "free", of all sets of a free licence."""
    folder = setting.runs / "prior" / name / fold
    if not (folder / "run.json").exists():
        names = LEARNED_FROM if fold == "free" else [name for other in FOLDS if other != fold for name in FOLDS[other]]
        tasks = [setting.task(name) for name in names]
        learner = create(name, shape=EncodedShape("lite0"))
        meta_train_into(folder, learner, tasks, PRIOR, resume=folder.exists(), report=lambda event: None)
    return load_learner(folder)


def score(setting: Setting, column: str, make: Make, fold: str, shots: Sequence[int]) -> str:
    """One column on one fold: what it says of every episode's queries, written to files."""
    torch.set_num_threads(1)
    for name in [ECG] if column == WHOLE_PAGES else FOLDS[fold]:
        todo = [number for number in shots if not setting.cell(column, name, number).exists()]
        if not todo:
            continue
        task = setting.task(name)
        learner = make(setting, fold, task)
        refuse_overlap(learner, [task])
        for number in todo:
            protocol = Protocol(episodes=setting.episodes if number in Protocol.shots else setting.episodes // 2)
            try:
                episodes = draw_episodes(task, number, protocol)
            except TooFewPatients:
                continue
            path = setting.cell(column, name, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_cell(path, *run_episodes(learner, episodes))
    return f"{column}, fold {fold}"


def write_outcomes(setting: Setting) -> None:
    """Write down what each candidate of `auto` had on each data set, as lines of JSON."""
    rows = []
    for fold, names in FOLDS.items():
        for name in names:
            task = setting.task(name)
            tried = {column: candidate(*key)(setting, fold, task) for column, key in TRIED.items()}
            for shots in Protocol.shots:
                episodes = draw_episodes(task, shots, Protocol(episodes=SUPPORTS))
                for column, (learner, takes) in TRIED.items():
                    predictions, _ = read_cell(setting.cell(column, name, shots))
                    rows.append(
                        Outcome(
                            source=name,
                            task=name,
                            learner=learner,
                            takes=takes,
                            shots=shots,
                            ways=predictions[0].probabilities.shape[1],
                            spread=round(spread_of(episodes, tried[column]), 5),
                            loss=round(mean_loss(predictions), 5),
                            accuracy=round(accuracy_of(predictions), 5),
                            episodes=len(predictions),
                            images=marks_of(task),
                        )
                    )
    lines = "".join(row.model_dump_json() + "\n" for row in rows)
    write_bytes(setting.runs / OUTCOMES, lines.encode())


def accuracy_of(predictions: Sequence[EpisodePredictions]) -> float:
    """The mean balanced accuracy of the episodes."""
    return float(np.mean([balanced_accuracy(each.probabilities, each.labels) for each in predictions]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--encoders", type=Path, default=Path("runs/encoders"), help="where encoders were trained to")
    parser.add_argument("--runs", type=Path, default=Path("runs/left_out"), help="where what is done is kept")
    parser.add_argument("--episodes", type=int, default=100, help="of each cell")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    arguments = parser.parse_args()
    setting = Setting(arguments.data, arguments.encoders.absolute(), arguments.runs, arguments.episodes)
    run = Parallel(arguments.jobs, return_as="generator_unordered")
    torch.set_num_threads(1)  # its small steps are slower on more
    for name, fold in product(LEARNED, [*FOLDS, "free"]):
        prior_of(setting, name, fold)
    ablated = ablations(setting)
    stages = [
        [(name, make, fold, Protocol.shots) for name, make in FIXED.items() for fold in FOLDS]
        + [(name, make, ABLATED, Protocol.shots) for name, make in ablated.items()],
        [(BASELINE, FIXED[BASELINE], fold, MORE_SHOTS) for fold in FOLDS],
        [(name, make, fold, Protocol.shots) for name, make in CHOSEN.items() for fold in FOLDS]
        + [(WHOLE_PAGES, automatic(BOTH, cut=False), fold, Protocol.shots) for fold in FOLDS if ECG in FOLDS[fold]],
    ]
    for number, stage in enumerate(stages):
        if number == len(stages) - 1:
            write_outcomes(setting)
        work = run(delayed(score)(setting, *each) for each in stage)
        for done in track(work, "columns × folds", total=len(stage)):
            print("done:", done, flush=True)
    write_bytes(SELECTION / OUTCOMES, (setting.runs / OUTCOMES).read_bytes())
    for name in LEARNED:
        prior = prior_of(setting, name, "free").state_dict()
        write_arrays(prior_file(name), {key: value.numpy() for key, value in prior.items()})
    write_report(
        setting.cell,
        columns=[*FIXED, *CHOSEN],
        ablated=list(ablated),
        ablated_names=FOLDS[ABLATED],
        candidates=list(CANDIDATES),
        names=[name for names in FOLDS.values() for name in names],
        jobs=arguments.jobs,
        command=f"python benchmarks/left_out.py --episodes {arguments.episodes}",
    )


if __name__ == "__main__":
    main()
