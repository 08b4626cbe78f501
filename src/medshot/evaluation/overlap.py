"""The check that no test image, and no near-duplicate of one, was used in training."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from medshot.encoders import EncodedBagInput, EncodedInput, reader_of
from medshot.encoders.registry import parts_of
from medshot.errors import InputError
from medshot.imaging import near_duplicates
from medshot.learners import Learner
from medshot.tasks import Task


@dataclass(frozen=True)
class Overlap:
    """The samples of a task that something was trained on.

    Args:
        what: the beginning of a clause that "them" ends, for example "'metal' was meta-trained on".
        instead: what the user may do instead.
        identical: by the content hash of an image.
        similar: by a perceptual fingerprint.
    """

    what: str
    instead: str
    identical: Bool[np.ndarray, " samples"]
    similar: Bool[np.ndarray, " samples"]

    @property
    def shared(self) -> Bool[np.ndarray, " samples"]:
        """The samples that are identical or similar."""
        return self.identical | self.similar


def refuse_identical(learners: Iterable[Learner], tasks: Sequence[Task]) -> None:
    """Raise InputError if a learner or one of its encoders was trained on an image of the tasks.

    Only content hashes are compared, so this takes little time; `refuse_overlap` also finds near-duplicates.
    """
    for learner in learners:
        for task in tasks:
            for overlap in _identical(learner, task):
                _refuse(task, overlap)


def refuse_overlap(learner: Learner, tasks: Sequence[Task]) -> None:
    """Raise InputError if the learner was meta-trained, or one of its encoders trained, on an image of the tasks.

    Identical images are found by content hash, near-duplicates (resized or compressed again) by perceptual fingerprint.

    Raises:
        InputError: a task shares images with the training; the message names the task and the number of images.
    """
    refuse_identical([learner], tasks)
    for task in tasks:
        for overlap in overlaps(learner, task):
            _refuse(task, overlap)


def leave_out_training_images(learners: Sequence[Learner], tasks: Sequence[Task]) -> tuple[list[Task], list[str]]:
    """Leave out patients with an image that a learner, or one of its encoders, was trained on.

    Returns:
        The tasks that are left, and a sentence for everything that was left out. A task that loses a class is left out.

    Raises:
        InputError: no task is left.
    """
    kept: list[Task] = []
    sentences: list[str] = []
    for task in tasks:
        found = [overlap for learner in learners for overlap in overlaps(learner, task) if overlap.shared.any()]
        if not found:
            kept.append(task)
            continue
        shared = np.any([overlap.shared for overlap in found], axis=0)
        left_out = np.isin(task.patient_codes, task.patient_codes[shared])
        what = " and ".join(dict.fromkeys(overlap.what for overlap in found))
        sentence = (
            f"Task '{task.name}': {left_out.sum()} of {len(task)} images are left out: {what} {shared.sum()} of them "
            f"or near-duplicates, {left_out.sum() - shared.sum()} more are of the same patients."
        )
        try:
            kept.append(task.select(np.flatnonzero(~left_out)))
        except InputError:
            sentence = f"{sentence} A class loses all its images, so the task is left out."
        sentences.append(sentence)
    if not kept:
        raise InputError(f"No task is left. {' '.join(sentences)} Test on other data.")
    return kept, sentences


def _identical(learner: Learner, task: Task) -> Iterator[Overlap]:
    """Yield the samples with an image whose content hash is that of a training image."""
    hashes = [[bytes.fromhex(digest) for digest in of_sample] for of_sample in task.hashes_of_each()]

    def among(rows: np.ndarray) -> Bool[np.ndarray, " samples"]:
        known = {row.tobytes() for row in rows}
        return np.array([not known.isdisjoint(of_sample) for of_sample in hashes])

    nothing, spec = np.zeros(len(task), dtype=bool), learner.input_spec
    if learner.training_images:
        yield _by_learner(learner, among(learner.training_images["hashes"]), nothing)
    if isinstance(spec, EncodedInput | EncodedBagInput):
        for name, encoder in zip(parts_of(spec.encoder), spec.encoders, strict=True):
            if encoder.training_images is not None:
                yield _by_encoder(learner, name, among(encoder.training_images()["hashes"]), nothing)


def overlaps(learner: Learner, task: Task) -> Iterator[Overlap]:
    """Yield the samples with an image that is identical or similar to a training image."""
    reader = reader_of(learner.input_spec)
    if learner.training_images:
        similar = np.zeros(len(task), dtype=bool)
        for prints in reader.every_fingerprint(task.images):
            similar[near_duplicates(prints[task.rows], learner.training_images["fingerprints"])[:, 0]] = True
        yield _by_learner(learner, next(_identical(learner, task)).identical, similar)
    for shared in reader.training_overlap(task.images):
        yield _by_encoder(learner, shared.encoder, shared.identical[task.rows], shared.similar[task.rows])


def _by_learner(learner: Learner, identical: np.ndarray, similar: np.ndarray) -> Overlap:
    return Overlap(f"'{learner.name}' was meta-trained on", "meta-train without them", identical, similar)


def _by_encoder(learner: Learner, encoder: str, identical: np.ndarray, similar: np.ndarray) -> Overlap:
    what = f"encoder '{encoder}' of '{learner.name}' was trained on"
    return Overlap(what, "take another encoder", identical, similar)


def _refuse(task: Task, overlap: Overlap) -> None:
    """Raise InputError if any sample is identical or similar to an image of the training."""
    shared, identical = int(overlap.shared.sum()), int(overlap.identical.sum())
    if shared:
        others = "" if shared == identical else f", {shared - identical} near-duplicates"
        raise InputError(
            f"Task '{task.name}' shares {shared} of its {len(task)} images with what {overlap.what} ({identical} "
            f"identical{others}), so its score would be too good; test on other data, {overlap.instead}, or leave "
            "these images out (medshot evaluate --without-seen)."
        )
