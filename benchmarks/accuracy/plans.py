"""Plans of the tables of learners: which data sets each fold holds out, and what learners take of their images."""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.common.tasks import FOLDS, QUICK, TOGETHER, arrays_of, kept_task, read_task
from medshot.encoders import EncodedBagInput, EncodedInput
from medshot.imaging import ImageInput, InputSpec, VolumeInput
from medshot.learners import LEARNERS
from medshot.simulated import simulate
from medshot.tasks import Task, load_tasks
from medshot.training import BatchSettings

BASELINE = "logistic"
ON_PIXELS = ("metal", "fomaml", "protonet", "ridge", "finetune")
EVERY_SHOT = BatchSettings(shots=(1, 2, 3, 5, 10))
EVERY = [BASELINE, *(name for name in LEARNERS if name not in (BASELINE, "metal-reference", "auto"))]
"""All but `auto`, which has a benchmark of its own, and the reference (two classes, minutes for one adaptation)."""


@dataclass(frozen=True)
class Kind:
    """A kind of input that learners take of images.

    Args:
        shape: the input specification.
        title: its name in headings.
        learners: those in the table, the baseline first.
    """

    shape: InputSpec
    title: str
    learners: Sequence[str]


@dataclass(frozen=True)
class Plan:
    """A table of learners.

    Args:
        part: first part of the names of its result files and pictures.
        about: a paragraph on its tasks.
        kinds: the forms of images, by name.
        folds: for each fold, the tasks that are held out together.
        read: reads the task of a name from the folder of data sets, and keeps the files that it makes in the second.
        only_trained: tasks of a fold that are held out with it but not scored.
        together: tasks that share images and must be in one fold.
        queries: the most query patients per class and episode.
        least_episodes: of each cell, however small the budget.
        batch: training batch of one outer step.
    """

    part: str
    about: str
    kinds: Mapping[str, Kind]
    folds: Mapping[str, Sequence[str]]
    read: Callable[[Path, Path, str], Task]
    only_trained: frozenset[str] = field(default_factory=frozenset)
    together: Sequence[Sequence[str]] = ()
    queries: int = 25
    least_episodes: int = 50
    batch: BatchSettings = EVERY_SHOT

    def scored(self, fold: str) -> list[str]:
        """Return the tasks of a fold on which learners are scored that were trained on the other folds."""
        return [name for name in self.folds[fold] if name not in self.only_trained]

    def sources(self, fold: str) -> list[str]:
        """Return the tasks that learners are trained on before they are scored on that fold."""
        return [name for other, names in self.folds.items() if other != fold for name in names]

    def names(self) -> list[str]:
        """Return all tasks."""
        return [name for names in self.folds.values() for name in names]


ADRENAL, ADRENALS = "adrenalmnist3d_64", 240
HOSPITALS = tuple(f"organ {seed}" for seed in range(1, 10))
GLIOMA, LEAST_PATIENTS = "lgg_mri_genomics", 12
LABELS = ("grade", "histology", "methylation_cluster", "rnaseq_cluster", "cn_cluster", "mirna_cluster", "gender")


def read_volumes(data: Path, made: Path, name: str) -> Task:
    """Return one of the tasks of volumes."""
    if name in HOSPITALS or name == ADRENAL:
        make = (lambda: _organ(name)) if name in HOSPITALS else (lambda: _adrenals(data))
        return kept_task(made / f"{name}.safetensors", lambda: arrays_of(make()), name=name)
    label = name.removeprefix("glioma ")
    manifest = data / GLIOMA / "volumes.csv"
    with manifest.open(newline="") as file:
        patients = Counter(row[label] for row in csv.DictReader(file))
    values = [value for value, count in patients.items() if value and count >= LEAST_PATIENTS]
    (task,) = load_tasks(manifest, label=label, keep={label: values})
    return replace(task, name=name, source=GLIOMA)


def _organ(name: str) -> Task:
    return simulate("organ", seed=int(name.removeprefix("organ ")), patients=15, size=64)


def _adrenals(data: Path) -> Task:
    """Return some of the adrenal glands, sampled once: all would take most of the time of the table."""
    (task,) = load_tasks(data / ADRENAL / f"{ADRENAL}.npz")
    return task.select(np.sort(np.random.default_rng(0).choice(len(task), ADRENALS, replace=False)))


PICTURES = Plan(
    part="learners",
    about="""These data sets were looked at before: the initial values of ridge, meta-svm, svm-prior, meta-forest and
of the head's rate, how fast block weights and the bottleneck learn, and the design of film and context were chosen
while looking at scores on them, whereas logistic regression was left at C = 1. Differences of a point in favour of a
learner may come from that. The initial strength of regularisation of iMAML was also chosen with some of these data
sets in view.""",
    kinds={
        "features": Kind(EncodedInput("lite0"), "EfficientNet-Lite0 features", EVERY),
        "pixels": Kind(ImageInput(channels=1, size=64), "pixels, 64×64 grey", [BASELINE, *ON_PIXELS]),
    },
    folds=FOLDS,
    together=TOGETHER,
    read=lambda data, made, name: read_task(data, name),
)
OF_VOLUMES = (BASELINE, "ridge", "protonet", "metal", "meta-forest", "knn", "scratch")
VOLUMES = Plan(
    part="volumes",
    about=f"""Three sources of volumes are held out in turn: {ADRENALS} adrenal glands of AdrenalMNIST3D, sampled once
(it names no patients, so each gland counts as one); {len(LABELS)} labels of FLAIR volumes of 110 patients with
lower-grade glioma (classes of {LEAST_PATIENTS} patients or more; two of the labels are scored, and all are one
source); and {len(HOSPITALS)} simulated hospitals with livers in CT (one of them is scored). Training on two sources is
training on little: if the hospitals are held out, two real sources remain, and validation is on other patients of the
same tasks. Rare classes have too few patients for episodes of 10 per class, so learners are trained on up to 5.""",
    kinds={
        "slices": Kind(
            EncodedBagInput("lite0", cut="slices"),
            "EfficientNet-Lite0 features of 24 slices in three planes",
            OF_VOLUMES,
        ),
        "voxels": Kind(VolumeInput(size=32), "voxels, 32×32×32", OF_VOLUMES),
    },
    folds={"adrenal": [ADRENAL], "glioma": [f"glioma {label}" for label in LABELS], "organ": HOSPITALS},
    read=read_volumes,
    only_trained=frozenset({*(f"glioma {label}" for label in LABELS[2:]), *HOSPITALS[1:]}),
    queries=15,
    least_episodes=20,
    batch=BatchSettings(ways=3, shots=(1, 2, 3, 5)),
)
PLANS = {"2d": PICTURES, "3d": VOLUMES}


def plan_of(tasks: str, quick: bool) -> Plan:
    """Return a plan, or a small part of it."""
    plan = PLANS[tasks]
    if not quick:
        return plan
    folds = {"one": QUICK[:1], "two": QUICK[1:]} if tasks == "2d" else {"one": HOSPITALS[:1], "two": HOSPITALS[1:3]}
    kinds = {name: replace(kind, learners=kind.learners[:3]) for name, kind in plan.kinds.items()}
    return replace(plan, folds=folds, kinds=kinds, only_trained=frozenset(), together=(), least_episodes=2)
