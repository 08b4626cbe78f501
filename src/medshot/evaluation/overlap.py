"""The check that no test image, and no near-duplicate of one, was used in training."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from medshot.encoders import reader_of
from medshot.errors import InputError
from medshot.imaging import near_duplicates
from medshot.learners import Learner
from medshot.tasks import Task


def refuse_overlap(learner: Learner, tasks: Sequence[Task]) -> None:
    """Raise InputError if the learner was meta-trained, or one of its encoders trained, on an image of the tasks.

    Identical images are found by content hash, near-duplicates (resized or compressed again) by perceptual fingerprint.

    Raises:
        InputError: a task shares images with the training; the message names the task and the number of images.
    """
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
            _refuse(task, identical, similar, f"'{learner.name}' was meta-trained on", "meta-train without them")
    for task in tasks:
        for shared in reader.training_overlap(task.images):
            what = f"encoder '{shared.encoder}' of '{learner.name}' was trained on"
            _refuse(task, shared.identical[task.rows], shared.similar[task.rows], what, "take another encoder")


def _refuse(
    task: Task, identical: Bool[np.ndarray, " samples"], similar: Bool[np.ndarray, " samples"], what: str, instead: str
) -> None:
    """Raise InputError if any sample is identical or similar to an image of the training."""
    shared = int((identical | similar).sum())
    if shared:
        raise InputError(
            f"Task '{task.name}' shares {shared} of its {len(task)} images with what {what} ({identical.sum()} "
            f"identical, the others near-duplicates), so its score would be too good; test on other data or {instead}."
        )
