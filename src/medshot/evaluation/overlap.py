"""Refusing a test that a learner has seen: the same image, or nearly the same, on both sides."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from medshot.encoders import WHOLE, EncodedBagInput, EncodedInput, encoders_of
from medshot.errors import InputError
from medshot.imaging import InputSpec, near_duplicates
from medshot.learners import Learner
from medshot.tasks import Task


def refuse_overlap(learner: Learner, tasks: Sequence[Task]) -> None:
    """See to it that no test image is one that the learner was meta-trained on, or that its encoders were trained on.

    Identical images are found by content hash, nearly identical ones (resized, re-compressed) by perceptual
    fingerprint.

    Raises:
        InputError: a task shares an image with such training; the sentence says which and how many.
    """
    if learner.training_images:
        known = {row.tobytes() for row in learner.training_images["hashes"]}
        for task in tasks:
            identical = np.array(
                [any(bytes.fromhex(digest) in known for digest in of_sample) for of_sample in task.hashes_of_each()]
            )
            similar = np.zeros(len(task), dtype=bool)
            for input_spec in _shapes_of_prints(learner, task):
                prints = input_spec.fingerprints(task.images)[task.rows]
                similar[near_duplicates(prints, learner.training_images["fingerprints"])[:, 0]] = True
            _refuse(task, identical, similar, f"'{learner.name}' was meta-trained on", "meta-train without them")
    if isinstance(learner.input_spec, EncodedInput | EncodedBagInput):
        for task in tasks:
            for seen in learner.input_spec.seen(task.images):
                what = f"encoder '{seen.encoder}' of '{learner.name}' was trained on"
                _refuse(task, seen.identical[task.rows], seen.similar[task.rows], what, "take another encoder")


def _shapes_of_prints(learner: Learner, task: Task) -> list[InputSpec]:
    """How it may have seen images: as it takes them, and whole, as those that its start was learned from are known."""
    input_spec = learner.input_spec
    if isinstance(input_spec, EncodedInput) and input_spec.cut != WHOLE and task.images.axes == 2:
        return [input_spec, encoders_of(input_spec.encoder)[0].shape]
    return [input_spec]


def _refuse(
    task: Task, identical: Bool[np.ndarray, " samples"], similar: Bool[np.ndarray, " samples"], what: str, instead: str
) -> None:
    """InputError where any sample is identical or similar to one that something was trained on."""
    shared = int((identical | similar).sum())
    if shared:
        raise InputError(
            f"Task '{task.name}' shares {shared} of its {len(task)} images with what {what} ({identical.sum()} "
            f"identical, the others near-duplicates), so its score would be too good; test on other data or {instead}."
        )
