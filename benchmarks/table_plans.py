"""What the tables of learners are made of: data sets dealt into folds, and what learners take of their images."""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from medshot.encoders import EncodedBagInput, EncodedInput
from medshot.imaging import ArrayImages, ImageInput, InputSpec, VolumeInput
from medshot.learners import LEARNERS
from medshot.simulated import simulate
from medshot.storage import read_arrays, read_json, write_arrays
from medshot.tasks import Task, load_tasks
from medshot.training import BatchSettings

BASELINE = "logistic"
FOLDS = read_json(Path(__file__).with_name("folds.json"))
EVERY_SHOT = BatchSettings(shots=(1, 2, 3, 5, 10))
EVERY = [BASELINE, *(name for name in LEARNERS if name not in (BASELINE, "metal-reference", "auto"))]
"""All but the reference, two classes only and minutes for one adaptation, and `auto`: see benchmarks/left_out.py."""


@dataclass(frozen=True)
class Kind:
    """One of the forms in which learners take images.

    Args:
        shape: that form.
        title: what it is called in headings.
        learners: those that are in the table, the baseline first.
    """

    shape: InputSpec
    title: str
    learners: Sequence[str]


@dataclass(frozen=True)
class Plan:
    """A table.

    Args:
        part: of docs/results.md; the files with its numbers and pictures begin with it.
        title: its heading.
        about: what its tasks are, a paragraph.
        kinds: by the name of each.
        folds: for each fold, the tasks that are held out together.
        read: the task of that name, from the folder of data sets; what is made for it is kept in the second folder.
        only_trained: tasks of a fold that are held out with it but not scored.
        together: tasks that share images and must be in one fold.
        queries: the most query patients per class and episode.
        least_episodes: of each cell, however small the budget.
        batch: what learners are trained on in one step.
    """

    part: str
    title: str
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
        """The tasks on which learners are scored that were trained on the other folds."""
        return [name for name in self.folds[fold] if name not in self.only_trained]

    def sources(self, fold: str) -> list[str]:
        """The tasks that learners are trained on before they are scored on that fold."""
        return [name for other, names in self.folds.items() if other != fold for name in names]

    def names(self) -> list[str]:
        """All tasks."""
        return [name for names in self.folds.values() for name in names]


def read_pictures(data: Path, made: Path, name: str) -> Task:
    """The data set's one task; a copy for each name, since two sets' files may share a folder name."""
    (task,) = load_tasks(data / name)
    return task


ADRENAL, ADRENALS = "adrenalmnist3d_64", 240
HOSPITALS = tuple(f"organ {seed}" for seed in range(1, 10))
GLIOMA, LEAST_PATIENTS = "lgg_mri_genomics", 12
LABELS = ("grade", "histology", "methylation_cluster", "rnaseq_cluster", "cn_cluster", "mirna_cluster", "gender")


def read_volumes(data: Path, made: Path, name: str) -> Task:
    """One of the tasks of volumes."""
    if name in HOSPITALS or name == ADRENAL:
        return _kept(made / f"{name}.safetensors", lambda: _organ(name) if name in HOSPITALS else _adrenals(data))
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
    """Some of them, drawn once: all would take most of the time of the table."""
    (task,) = load_tasks(data / ADRENAL / f"{ADRENAL}.npz")
    chosen = np.sort(np.random.default_rng(0).choice(len(task), ADRENALS, replace=False))
    images = task.images
    assert isinstance(images, ArrayImages)
    of_chosen = ArrayImages(images.array[task.rows[chosen]])
    return replace(
        task, images=of_chosen, rows=np.arange(ADRENALS), labels=task.labels[chosen], patients=task.patients[chosen]
    )


def _kept(path: Path, make: Callable[[], Task]) -> Task:
    """The task as it was made the first time: its volumes take seconds to make and none to read."""
    if not path.exists():
        made = make()
        assert isinstance(made.images, ArrayImages)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, {"images": made.images.array, "labels": made.labels, "patients": made.patient_codes})
    arrays = read_arrays(path)
    labels = arrays["labels"]
    return Task(
        name=path.stem,
        images=ArrayImages(arrays["images"]),
        labels=labels,
        classes=tuple(map(str, range(labels.max() + 1))),
        patients=arrays["patients"],
    )


PICTURES = Plan(
    part="learners",
    title="Every learner on every held-out data set",
    about="""These data sets are not untouched. The starting values of ridge, meta-svm, svm-prior, meta-forest and of
the head's rate, how fast block weights and the bottleneck learn, and the design of film and context were settled while
looking at scores on them, and logistic regression was left at C = 1: differences of a point in favour of a learner may
be owed to that.""",
    kinds={
        "features": Kind(EncodedInput("lite0"), "EfficientNet-Lite0 features", EVERY),
        "pixels": Kind(ImageInput(channels=1, size=64), "pixels, 64×64 grey", [BASELINE, *FOLDS["on_pixels"]]),
    },
    folds=FOLDS["folds"],
    together=FOLDS["together"],
    read=read_pictures,
)
OF_VOLUMES = (BASELINE, "ridge", "protonet", "metal", "meta-forest", "knn", "scratch")
VOLUMES = Plan(
    part="volumes",
    title="Learners of volumes",
    about=f"""Three sources of volumes are held out in turn: {ADRENALS} adrenal glands of AdrenalMNIST3D, drawn once (it
names no patients, so that each gland counts as one), {len(LABELS)} labels of FLAIR volumes of 110 patients with
lower-grade glioma (classes of {LEAST_PATIENTS} patients or more; two of the labels are scored, and all are one
source), and {len(HOSPITALS)} hospitals that simulate livers in CT (one of them is scored). Training on the two others
is training on little: where the hospitals are held out, two sources are left, and validation is on other patients of
the same tasks. Rarer classes have too few patients for episodes of 10 per class, so that learners are trained on up to
5.""",
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
