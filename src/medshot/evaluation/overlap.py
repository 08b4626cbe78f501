"""Refusing a test that a learner has seen: the same image, or nearly the same, on both sides."""

from collections.abc import Sequence

import numpy as np

from medshot.errors import InputError
from medshot.imaging import near_duplicates
from medshot.learners import Learner
from medshot.tasks import Task


def refuse_overlap(learner: Learner, tasks: Sequence[Task]) -> None:
    """See to it that no test image is one that the learner was meta-trained on.

    Identical images are found by content hash, nearly identical ones (resized, re-compressed) by perceptual
    fingerprint.

    Raises:
        InputError: a task shares an image with the learner's training; the sentence says which and how many.
    """
    if not learner.seen:
        return
    known = {row.tobytes() for row in learner.seen["hashes"]}
    for task in tasks:
        identical = np.array(
            [any(bytes.fromhex(digest) in known for digest in of_sample) for of_sample in task.hashes_of_each()]
        )
        prints = learner.shape.fingerprints(task.images)[task.rows]
        similar = near_duplicates(prints, learner.seen["fingerprints"])[:, 0]
        shared = np.union1d(np.flatnonzero(identical), similar)
        if shared.size:
            raise InputError(
                f"Task '{task.name}' shares {shared.size} of its {len(task)} images with what '{learner.name}' was "
                f"meta-trained on ({identical.sum()} identical, the others near-duplicates), so its score would be too "
                "good; test on other data or meta-train without them."
            )
