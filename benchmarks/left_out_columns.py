"""What benchmarks/left_out.py scores: columns of its tables, each made anew for every fold."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from encoder_sets import FREE
from left_out_shapes import FinalShape
from medshot.learners.runs import meta_train_into

from medshot.encoders import WHOLE, EncodedInput
from medshot.imaging import ImageInput, InputSpec, usual_cut
from medshot.learners import Learner, create, load_learner
from medshot.learners.closed_form.depth_ridge import DepthRidge
from medshot.selection.auto import Auto
from medshot.selection.candidates import LAST, Candidate, candidates_of, give_prior
from medshot.selection.outcomes import Outcome
from medshot.storage import read_json
from medshot.tasks import Task, load_tasks
from medshot.training import BatchSettings, OuterSettings

FOLDS: Mapping[str, Sequence[str]] = read_json(Path(__file__).with_name("folds.json"))["folds"]
LEARNED_FROM = tuple(name for names in FOLDS.values() for name in names if name in FREE)
"""By the start of depth-ridge that is shipped: sets of a free licence, all of which the encoder was trained on too."""
OUTCOMES = "outcomes.jsonl"
ECG = "ecg_12lead_images"
BASELINE = "logistic, last features"
AUTO = "auto, lite0+medical"
WHOLE_PAGES = "auto, lite0+medical, whole pages"
Make = Callable[["Setting", str, Task], Learner]
PRIOR = OuterSettings(
    steps=300,
    learning_rate=0.02,
    validate_every=300,
    validation_batches=1,
    batch=BatchSettings(ways=7, shots=(1, 2, 3, 5, 10)),
)
FROM_SCRATCH = OuterSettings(steps=2000, batch=BatchSettings(ways=5, shots=(1, 2, 3, 5, 10)))


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

    def shape(self, encoder: str, fold: str, cut: str = WHOLE) -> EncodedInput:
        """The features of an encoder, "medical" being that which was trained without the fold."""
        folder = str(self.encoders / "supervised-600" / fold)
        names = [folder if name == "medical" else name for name in encoder.split("+")]
        for number, name in enumerate(names):
            if ":" in name:
                names[number] = str(self.encoders / name.partition(":")[2] / fold)
        return EncodedInput("+".join(names), cut)


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
TRAININGS = (
    "supervised-100",
    "episodic-100",
    "self-supervised-100",
    "modulation-supervised-100",
    "low-rank-supervised-100",
    "episodic-600",
    "self-supervised-600",
)


def ablations(setting: Setting) -> dict[str, Make]:
    """On one fold: encoders trained in other ways, where they are there, and a small network trained from scratch."""
    trained = {
        f"logistic, medical ({name})": fixed("logistic", f"medical:{name}")
        for name in TRAININGS
        if (setting.encoders / name / ABLATED / "encoder.json").exists()
    }
    return {**trained, "protonet, pixels, from scratch": from_scratch}


def from_scratch(setting: Setting, fold: str, task: Task) -> Learner:
    """A prototypical network of four convolutions that learned on the other folds alone."""
    return meta_trained(setting, "protonet", fold, ImageInput(channels=3, size=64), FROM_SCRATCH)


def take_prior(each: Candidate, setting: Setting, fold: str) -> None:
    """Start from what was learned without the fold, where anything was."""
    if isinstance(each.learner, DepthRidge):
        learned = prior_of(setting, each.learner.name, fold)
        give_prior(each.learner, learned.state_dict(), learned.seen)
        each.seen = each.learner.seen


def prior_of(setting: Setting, name: str, fold: str) -> Learner:
    """A learner meta-trained on lite0's features of the other folds; for "free", of all sets of a free licence."""
    return meta_trained(setting, name, fold, EncodedInput("lite0"), PRIOR)


def meta_trained(setting: Setting, name: str, fold: str, shape: InputSpec, settings: OuterSettings) -> Learner:
    """A learner meta-trained without a fold, kept under the folder of runs."""
    folder = setting.runs / "prior" / name / fold
    if not (folder / "run.json").exists():
        names = LEARNED_FROM if fold == "free" else [name for other in FOLDS if other != fold for name in FOLDS[other]]
        tasks = [setting.task(name) for name in names]
        learner = create(name, shape=shape)
        meta_train_into(folder, learner, tasks, settings, resume=folder.exists(), report=lambda event: None)
    return load_learner(folder)
