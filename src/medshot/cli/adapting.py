"""What `medshot adapt` does: one task from disk, a learner, a model folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medshot.cli.making import CHOOSING, make_ready
from medshot.cli.options import note
from medshot.encoders import WHOLE, EncodedInput
from medshot.errors import InputError
from medshot.imaging import ArrayImages, FileImages, ImageSource, InputSpec, SeveralImages, usual_cut
from medshot.learners import FewShotClassifier, Learner, load_learner
from medshot.storage import read_json, refuse_existing
from medshot.tasks import Task, draw_episode, load_tasks


def adapt_to(
    data: Path,
    out: Path,
    run: Path | None,
    learner: str | None,
    preset: str | None,
    shots: int | None,
    *,
    shape: InputSpec,
    label: str,
    keep: Mapping[str, Sequence[str]],
    seed: int,
) -> dict[str, Any]:
    """Adapt to the task at `data`, write the model to `out`, and return what its record says.

    A learner that is named takes `shape`, and one of a run what it was trained on.
    """
    refuse_existing(out)
    made = _learner(run, learner, preset, shape, seed)
    task = one_task(data, label, keep, "adapt")
    if learner == CHOOSING:
        made = _suited(made, task, seed)
    samples = np.arange(len(task))
    if shots is not None:
        samples = np.sort(draw_episode(task, shots=shots, rng=np.random.default_rng(seed)).support)
    classifier = FewShotClassifier(made).fit(
        _images(task, samples),
        [task.classes[label] for label in task.labels[samples]],
        groups=task.patients[samples].tolist(),
    )
    classifier.save(out)
    if classifier.explanation_:
        note(classifier.explanation_)
    return read_json(out / "model.json")


def one_task(data: Path, label: str, keep: Mapping[str, Sequence[str]], command: str) -> Task:
    """The one labelled task at `data`, described on stderr; InputError where there are several."""
    tasks = load_tasks(data, label=label, keep=keep)
    if len(tasks) != 1:
        names = ", ".join(task.name for task in tasks)
        raise InputError(f"{data} holds {len(tasks)} tasks ({names}); {command} takes one, name it.")
    note(tasks[0].describe())
    return tasks[0]


def _learner(run: Path | None, learner: str | None, preset: str | None, shape: InputSpec, seed: int) -> Learner:
    if run is not None and learner is None:
        return load_learner(run)
    if learner is not None and run is None:
        return make_ready(learner, shape, preset=preset, seed=seed)
    raise InputError("Give either --from RUN or --learner NAME, and not both.")


def _suited(made: Learner, task: Task, seed: int) -> Learner:
    """The same learner for what the images look like, where that says how they are cut."""
    shape = made.input_spec
    if isinstance(shape, EncodedInput) and shape.cut == WHOLE and (cut := usual_cut(task.images)):
        note(f"These look like ECG pages, so that each is cut into its {cut} (as by --cut {cut}).")
        return make_ready(CHOOSING, EncodedInput(shape.encoder, cut), seed=seed)
    return made


def _images(task: Task, samples: np.ndarray) -> ImageSource:
    match task.images:
        case FileImages() | ArrayImages() | SeveralImages() as images:
            return images.take(task.rows[samples])
        case other:
            raise TypeError(f"{type(other).__name__} holds neither files nor an array")
