"""A task: one labelled problem with its images, classes and patients."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from medshot.encoders import reader_of
from medshot.errors import InputError
from medshot.imaging import ImageSource, InputSpec, hashes_of_each
from medshot.tasks.people import people_of


@dataclass(frozen=True)
class Task:
    """One labelled problem.

    Args:
        name: its name in tables and errors.
        images: the source of the pixels.
        labels: class of each sample, an index into `classes`.
        classes: class names, two or more, each with at least one sample.
        patients: the patient of each sample, who is never on both sides of a split.
        rows: the image of each sample, an index into `images`; all of them in order if left out.
        source: the data set that it is from; tasks of one source may share images and are left out together.
        flip: whether a left-right mirror image keeps its label.
        dropped: how many rows of the manifest had no label and were left out.
        remarks: sentences for the user on how it was read: whose images they are, what was left out.

    Raises:
        InputError: the lengths differ, a label lies outside the classes, or fewer than two classes have samples.
    """

    name: str
    images: ImageSource
    labels: Int[np.ndarray, " samples"]
    classes: tuple[str, ...]
    patients: Shaped[np.ndarray, " samples"]
    rows: Int[np.ndarray, " samples"] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    source: str = ""
    flip: bool = False
    dropped: int = 0
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rows.size == 0:
            object.__setattr__(self, "rows", np.arange(len(self.images)))
        if not self.source:
            object.__setattr__(self, "source", self.name)
        lengths = {len(self.rows), len(self.labels), len(self.patients)}
        if len(lengths) > 1:
            raise InputError(
                f"Task '{self.name}' has {len(self.rows)} images, {len(self.labels)} labels and "
                f"{len(self.patients)} patients; give one label and one patient for each image."
            )
        present = np.unique(self.labels)
        if present.size and (present[0] < 0 or present[-1] >= len(self.classes)):
            raise InputError(
                f"Task '{self.name}' has labels from {present[0]} to {present[-1]}, outside its "
                f"{len(self.classes)} classes; labels count from 0."
            )
        if present.size < 2 or present.size < len(self.classes):
            found = ", ".join(f"'{self.classes[c]}'" for c in present) or "none"
            raise InputError(
                f"Task '{self.name}' needs two or more classes with images, but has images only for {found}; "
                "add images of another class."
            )

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def patient_codes(self) -> Int[np.ndarray, " samples"]:
        """The patient of each sample as an integer; patients with an identical image are the same person."""
        names = np.unique(self.patients, return_inverse=True)[1].reshape(-1)
        digests = self.hashes_of_each()
        if len({digest for of_sample in digests for digest in of_sample}) == sum(map(len, digests)):
            return names  # without identical images, which is quick to find
        people = people_of(names.tolist(), digests)
        first = np.full(people.max() + 1, len(names))
        np.minimum.at(first, people, names)
        return np.unique(first[people], return_inverse=True)[1].reshape(-1)

    @cached_property
    def members(self) -> list[dict[int, Int[np.ndarray, " _"]]]:
        """The samples of each patient, for each class."""
        members: list[dict[int, list[int]]] = [{} for _ in self.classes]
        for sample, (label, patient) in enumerate(zip(self.labels, self.patient_codes, strict=True)):
            members[label].setdefault(int(patient), []).append(sample)
        return [{patient: np.array(of_one) for patient, of_one in of_class.items()} for of_class in members]

    def batch(self, samples: Int[np.ndarray, " samples"], shape: InputSpec) -> Float[Tensor, "samples *dimensions"]:
        """Return the images of `samples` as a learner with this input takes them, float32."""
        return reader_of(shape).read(self.images, self.rows[samples])

    def hashes(self) -> list[str]:
        """Return the content hash of each sample's image."""
        every = self.images.hashes()
        return [every[row] for row in self.rows]

    def hashes_of_each(self) -> list[list[str]]:
        """Return, for each sample, the content hashes of all its images."""
        every = hashes_of_each(self.images)
        return [every[row] for row in self.rows]

    def describe(self) -> str:
        """Describe in one line how many images and patients there are of each class."""
        counts = ", ".join(
            f"{name} {np.sum(self.labels == c)} ({len(np.unique(self.patients[self.labels == c]))} patients)"
            for c, name in enumerate(self.classes)
        )
        dropped = f"; {self.dropped} rows without a label were left out" if self.dropped else ""
        return f"{self.name}: {len(self)} images: {counts}{dropped}"

    def select(self, samples: Int[np.ndarray, " samples"], name: str | None = None) -> "Task":
        """Select these samples; InputError if a class is left without any."""
        return replace(
            self,
            name=name or self.name,
            labels=self.labels[samples],
            patients=self.patients[samples],
            rows=self.rows[samples],
        )


def keep_classes(task: Task, classes: Sequence[int]) -> Task:
    """Return the task with only these classes, in this order."""
    return merge_classes(task, [[c] for c in classes])


def merge_classes(task: Task, groups: Sequence[Sequence[int]]) -> Task:
    """Return the task whose classes are these groups of the old ones, without classes that are in no group.

    Raises:
        InputError: a class is in two groups.
    """
    members = [c for group in groups for c in group]
    if len(set(members)) < len(members):
        raise InputError(f"Groups {list(map(list, groups))} of task '{task.name}' share a class; name each class once.")
    new_label = np.full(len(task.classes), -1)
    for label, group in enumerate(groups):
        new_label[list(group)] = label
    kept = np.flatnonzero(new_label[task.labels] >= 0)
    names = tuple(" or ".join(task.classes[c] for c in group) for group in groups)
    return replace(
        task,
        name=f"{task.name} ({' vs '.join(names)})",
        labels=new_label[task.labels[kept]],
        classes=names,
        patients=task.patients[kept],
        rows=task.rows[kept],
    )


def random_variant(task: Task, ways: int, rng: np.random.Generator) -> Task:
    """Make a task of `ways` classes: half the time a random subset, half the time a random merge of all.

    Raises:
        InputError: `task` has fewer than `ways` classes.
    """
    count = len(task.classes)
    if ways > count:
        raise InputError(f"Task '{task.name}' has {count} classes; {ways} cannot be made from them.")
    order = rng.permutation(count)
    if ways == count or rng.random() < 0.5:
        return keep_classes(task, order[:ways].tolist())
    cuts = np.sort(rng.choice(np.arange(1, count), ways - 1, replace=False))
    return merge_classes(task, [group.tolist() for group in np.split(order, cuts)])
