"""Facts about an evaluation for a methods paragraph: the data, the learners and the protocol."""

from dataclasses import dataclass, field

from medshot.learners import Learner
from medshot.tasks import Task


@dataclass(frozen=True)
class StudiedTask:
    """The size of one task; `classes` holds the number of patients of each class."""

    name: str
    images: int
    patients: int
    classes: dict[str, int]


@dataclass(frozen=True)
class StudiedLearner:
    """One learner of the table.

    Args:
        name: name in the table.
        learner: name of the algorithm.
        takes: what it takes of each image, in words.
        encoder_sha256: hash of the encoder that computes the features, or None if there is no encoder.
        meta_trained: whether the user meta-trained it.
    """

    name: str
    learner: str
    takes: str
    encoder_sha256: str | None
    meta_trained: bool


@dataclass(frozen=True)
class Study:
    """The data, the learners and the settings of an evaluation; the settings are those of `Protocol`."""

    tasks: list[StudiedTask]
    learners: list[StudiedLearner]
    shots: list[int]
    episodes: int
    queries: int
    sensitivity: float | None = None
    prevalence: dict[str, float] = field(default_factory=dict)


def describe_task(task: Task) -> StudiedTask:
    """Return the size of a task."""
    classes = {name: len(members) for name, members in zip(task.classes, task.members, strict=True)}
    return StudiedTask(task.name, len(task), int(task.patient_codes.max()) + 1, classes)


def describe_learner(name: str, learner: Learner) -> StudiedLearner:
    """Return what a reader of a table must know of a learner."""
    sha256 = getattr(learner.input_spec, "sha256", None)
    takes = learner.input_spec.describe()
    return StudiedLearner(name, learner.name, takes, sha256, learner.training_record is not None)
