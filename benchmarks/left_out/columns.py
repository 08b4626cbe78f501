"""Columns of the tables of left-out data sets: learners that are made for every fold without its data sets."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.common.tasks import FOLDS, FREE, read_task
from benchmarks.left_out.shapes import FinalShape
from medshot.encoders import WHOLE, EncodedInput
from medshot.imaging import ImageInput, InputSpec, usual_cut
from medshot.learners import Learner, create, load_learner
from medshot.learners.closed_form.depth_ridge import DepthRidge
from medshot.learners.creation import give_weights
from medshot.learners.run import meta_train
from medshot.selection.auto import Auto
from medshot.selection.candidates import LAST, Candidate, candidates_of
from medshot.selection.outcomes import Outcome
from medshot.tasks import Task
from medshot.training import BatchSettings, OuterSettings

QUICK_FOLDS = {"one": ["head_ct_hemorrhage"], "two": ["cxr_jsrt_nodule_lungmask", "mammo_mias_lesion"]}
"""Data sets that the shipped encoder was not trained on."""
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
    """The folders of data, encoders and work, and how much of it is run.

    Args:
        data: folder of the data sets.
        encoders: folder of trained encoders.
        runs: folder of finished work.
        episodes: of each cell.
        quick: whether to run a small part, with the shipped encoder in place of those that left data sets out.
    """

    data: Path
    encoders: Path
    runs: Path
    episodes: int
    quick: bool = False

    @property
    def folds(self) -> Mapping[str, Sequence[str]]:
        return QUICK_FOLDS if self.quick else FOLDS

    @property
    def ablated(self) -> str:
        """Return the fold on which encoders that were trained in other ways are compared."""
        return list(self.folds)[-1]

    def cell(self, column: str, task: str, shots: int) -> Path:
        return self.runs / column.replace(" ", "-") / f"{task}-{shots}.safetensors"

    def task(self, name: str) -> Task:
        return read_task(self.data, name)

    def shape(self, encoder: str, fold: str, cut: str = WHOLE) -> EncodedInput:
        """Return features of an encoder; "medical" is the encoder that was trained without the fold."""
        names = encoder.split("+")
        for number, name in enumerate(names):
            kind, _, training = name.partition(":")
            if kind == "medical" and not self.quick:
                names[number] = str(self.encoders / (training or "supervised-600") / fold)
            elif kind == "medical":
                names[number] = kind
        return EncodedInput("+".join(names), cut)


def fixed(learner: str, encoder: str) -> Make:
    """Return a learner that is the same on every task, on an encoder's features."""
    return lambda setting, fold, task: create(learner, input_spec=setting.shape(encoder, fold), pretrained=False)


def candidate(*key: str) -> Make:
    """Return one of the candidates of `auto`, on both encoders or on Lite0 alone."""

    def make(setting: Setting, fold: str, task: Task) -> Learner:
        every = [each for encoder in (BOTH, "lite0") for each in candidates_of(setting.shape(encoder, fold))]
        found = next(each for each in every if shipped_key(each) == key)
        take_prior(found, setting, fold)
        return found

    return make


def automatic(encoder: str, *, cut: bool = True) -> Make:
    """Return `auto` with outcomes of other folds only; with `cut` it cuts images of a usual layout."""

    def make(setting: Setting, fold: str, task: Task) -> Learner:
        lines = (setting.runs / OUTCOMES).read_text().splitlines()
        others = [
            row for row in (Outcome(**json.loads(line)) for line in lines) if row.source not in setting.folds[fold]
        ]
        suited = usual_cut(task.images) if cut else None
        made = Auto(setting.shape(encoder, fold, suited or WHOLE), outcomes=others)
        made.keys = [shipped_key(each) for each in made.candidates]
        for each in made.candidates:
            take_prior(each, setting, fold)
            made.training_images |= each.training_images
        return made

    return make


def shipped_key(each: Candidate) -> tuple[str, str]:
    """Return a candidate's key, with the name of the shipped encoder for that of each fold."""
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
    BASELINE: lambda setting, fold, task: create("logistic", input_spec=FinalShape("lite0")),
    "logistic, last features, medical": lambda setting, fold, task: create(
        "logistic", input_spec=FinalShape(setting.shape("medical", fold).encoder)
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
    """Return columns for one fold: encoders trained in other ways, if they exist, and a small network from scratch."""
    trained = {
        f"logistic, medical ({name})": fixed("logistic", f"medical:{name}")
        for name in TRAININGS
        if (setting.encoders / name / setting.ablated / "encoder.json").exists()
    }
    return {**trained, "protonet, pixels, from scratch": from_scratch}


def from_scratch(setting: Setting, fold: str, task: Task) -> Learner:
    """Return a prototypical network of four convolutions, trained on the other folds only."""
    return meta_trained(setting, "protonet", fold, ImageInput(channels=3, size=64), FROM_SCRATCH)


def take_prior(each: Candidate, setting: Setting, fold: str) -> None:
    """Give a candidate the meta-trained initial values of the other folds, if it has any."""
    if isinstance(each.learner, DepthRidge):
        learned = prior_of(setting, each.learner.name, fold)
        give_weights(each.learner, learned.state_dict(), learned.training_images)
        each.training_images = each.learner.training_images


def prior_of(setting: Setting, name: str, fold: str) -> Learner:
    """Return a learner meta-trained on lite0's features of the other folds; "free": of all sets of a free licence."""
    return meta_trained(setting, name, fold, EncodedInput("lite0"), PRIOR)


def meta_trained(setting: Setting, name: str, fold: str, shape: InputSpec, settings: OuterSettings) -> Learner:
    """Return a learner meta-trained without a fold, kept in the folder of runs."""
    folder = setting.runs / "prior" / name / fold
    if not (folder / "run.json").exists():
        others = [name for other, names in setting.folds.items() if other != fold for name in names]
        # the encoder that is shipped was trained on all sets of a free licence too
        tasks = [setting.task(name) for name in others if fold != "free" or name in FREE or setting.quick]
        if setting.quick:
            settings = replace(settings, steps=4, validate_every=4, validation_batches=1)
        learner = create(name, input_spec=shape, pretrained=False)
        meta_train(learner, tasks, settings=settings, folder=folder, resume=folder.exists(), report=lambda event: None)
    return load_learner(folder)
