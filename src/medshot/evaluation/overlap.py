"""The check that no test image, and no near-duplicate of one, was used in training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from medshot.encoders import reader_of
from medshot.errors import InputError
from medshot.imaging import near_duplicates
from medshot.learners import Learner
from medshot.tasks import Task


@dataclass(frozen=True)
class SharedImages:
    """The samples of a task that a learner or one of its encoders was trained on.

    Args:
        task: the task.
        identical: by the content hash of an image.
        similar: by a perceptual fingerprint.
        what: who was trained on them, as the middle of a sentence.
        instead: what to do, as the end of a sentence.
    """

    task: Task
    identical: Bool[np.ndarray, " samples"]
    similar: Bool[np.ndarray, " samples"]
    what: str
    instead: str

    @property
    def count(self) -> int:
        """The number of samples."""
        return int((self.identical | self.similar).sum())


def refuse_overlap(learner: Learner, tasks: Sequence[Task]) -> None:
    """Raise InputError if the learner was meta-trained, or one of its encoders trained, on an image of the tasks.

    Identical images are found by content hash, near-duplicates (resized or compressed again) by perceptual fingerprint.

    Raises:
        InputError: a task shares images with the training; the message names the task and the number of images.
    """
    for shared in shared_images(learner, tasks):
        raise InputError(
            f"Task '{shared.task.name}' shares {shared.count} of its {len(shared.task)} images with what {shared.what} "
            f"({shared.identical.sum()} identical, the others near-duplicates), so its score would be too good; test "
            f"on other data or {shared.instead}."
        )


def shared_images(learner: Learner, tasks: Sequence[Task]) -> Iterator[SharedImages]:
    """Yield the samples that the learner, and those that each of its encoders, was trained on, if there are some."""
    reader = reader_of(learner.input_spec)
    if learner.training_images:
        known = {row.tobytes() for row in learner.training_images["hashes"]}
        for task in tasks:
            identical = np.array(
                [any(bytes.fromhex(digest) in known for digest in of_sample) for of_sample in task.hashes_of_each()]
            )
            similar = np.zeros(len(task), dtype=bool)
            for prints in reader.every_fingerprint(task.images):
                similar[near_duplicates(prints[task.rows], learner.training_images["fingerprints"])[:, 0]] = True
            found = SharedImages(
                task, identical, similar, f"'{learner.name}' was meta-trained on", "meta-train without them"
            )
            if found.count:
                yield found
    for task in tasks:
        for shared in reader.training_overlap(task.images):
            what = f"encoder '{shared.encoder}' of '{learner.name}' was trained on"
            found = SharedImages(
                task, shared.identical[task.rows], shared.similar[task.rows], what, "take another encoder"
            )
            if found.count:
                yield found
