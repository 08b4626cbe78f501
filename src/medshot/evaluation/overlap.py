"""The check that no test image, and no near-duplicate of one, was used in training."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from medshot.encoders import WHOLE, EncodedBagInput, EncodedInput, encoders_of
from medshot.errors import InputError
from medshot.imaging import InputSpec, near_duplicates
from medshot.learners import Learner
from medshot.tasks import Task


def refuse_overlap(learner: Learner, tasks: Sequence[Task]) -> None:
    """Raise InputError if the learner was meta-trained, or one of its encoders trained, on an image of the tasks.

    Identical images are found by content hash, near-duplicates (resized or compressed again) by perceptual fingerprint.

    Raises:
        InputError: a task shares images with the training; the message names the task and the number of images.
    """
    if learner.seen:
        known = {row.tobytes() for row in learner.seen["hashes"]}
        for task in tasks:
            identical = np.array(
                [any(bytes.fromhex(digest) in known for digest in of_sample) for of_sample in task.hashes_of_each()]
            )
            similar = np.zeros(len(task), dtype=bool)
            for shape in _fingerprinted_inputs(learner, task):
                prints = shape.fingerprints(task.images)[task.rows]
                similar[near_duplicates(prints, learner.seen["fingerprints"])[:, 0]] = True
            _refuse(task, identical, similar, f"'{learner.name}' was meta-trained on", "meta-train without them")
    if isinstance(learner.shape, EncodedInput | EncodedBagInput):
        for task in tasks:
            for seen in learner.shape.seen(task.images):
                what = f"encoder '{seen.encoder}' of '{learner.name}' was trained on"
                _refuse(task, seen.identical[task.rows], seen.similar[task.rows], what, "take another encoder")


def _fingerprinted_inputs(learner: Learner, task: Task) -> list[InputSpec]:
    """Return the inputs whose fingerprints to compare: the learner's own and, if it cuts images, whole images too.

    The images that shipped weights were trained on are fingerprinted whole.
    """
    shape = learner.shape
    if isinstance(shape, EncodedInput) and shape.cut != WHOLE and task.images.axes == 2:
        return [shape, encoders_of(shape.encoder)[0].shape]
    return [shape]


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
