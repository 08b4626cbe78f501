"""Meta-train a learner, and save it with a record of its training.

`Trainable` is what these functions need of a learner. `medshot.learners.base` adds how it adapts to a task.
"""

import hashlib
import inspect
import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from medshot.encoders import reader_of
from medshot.encoders.inputs import InputRecord
from medshot.errors import InputError
from medshot.imaging import InputSpec
from medshot.learners.serialization import (
    IMAGES,
    LEARNER,
    LearnerRecord,
    TrainingRecord,
    parameters_of,
    write_folder,
)
from medshot.storage import new_folder
from medshot.tasks import Episodes, Task, digest_of, draw_folds, task_records, training_images
from medshot.threads import threads_for, work_of
from medshot.training import (
    Batches,
    Engine,
    OuterLoop,
    OuterSettings,
    Report,
    Reporter,
    TaskSplit,
    check_unfinished,
    fastest_engine,
    parse_engine,
    resolve_device,
    split_tasks,
    to_tensors,
    unfinished,
)

RECORD = "run.json"
Gradient = Literal["exact", "first-order", "implicit"] | None


class Trainable(nn.Module):
    """A module that is meta-trained and saved in run folders.

    Attributes:
        training_record: how it was meta-trained; None if it was not.
        training_images: content hashes and fingerprints of the images that it was trained on; `evaluate` refuses them.
    """

    name: ClassVar[str]
    gradient: Gradient = None
    batchable: ClassVar[bool] = True
    cross_validated: ClassVar[bool] = False

    def __init__(self, input_spec: InputSpec) -> None:
        super().__init__()
        self.input_spec = input_spec
        self.engine = Engine("vmap")
        self.training_record: TrainingRecord | None = None
        self.training_images: dict[str, np.ndarray] = {}

    @abstractmethod
    def scores(self, episodes: Episodes) -> tuple[Tensor, Tensor]:
        """Return the query loss and accuracy of each task of a batch."""

    @property
    def engine(self) -> Engine:
        """Return how tasks are run: in a loop if the learner is not batchable."""
        return self._engine if self.batchable else Engine("loop")

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self._engine = engine

    def settings(self) -> dict[str, Any]:
        """Return the keyword arguments that build this learner again: its attributes named as its constructor's."""
        names = [name for name in inspect.signature(type(self)).parameters if name != "input_spec"]
        missing = [name for name in names if not hasattr(self, name)]
        if missing:
            raise AttributeError(
                f"Learner '{self.name}' has no attribute {', '.join(missing)}, so that no folder can hold it; set "
                "attributes of these names in __init__, or write settings()."
            )
        return {name: getattr(self, name) for name in names}

    def meta_fit(self: "AnyTrainable", tasks: Sequence[Task], **options: Any) -> "AnyTrainable":
        """Meta-train on tasks; `medshot.learners.run.meta_train` describes the options."""
        return meta_train(self, tasks, **options)

    def save(self, folder: str | Path) -> None:
        """Write a run folder, from which `FewShotClassifier` or `load_learner` read the learner again.

        Raises:
            StorageError: `folder` exists already or cannot be written.
        """
        with new_folder(Path(folder)) as filling:
            write_run(filling, self)

    def record(self) -> LearnerRecord:
        """Return how to build this learner again, and how it was trained."""
        return LearnerRecord(
            name=self.name,
            settings=self.settings(),
            input=cast(InputRecord, self.input_spec.to_record()),
            training=self.training_record,
        )


AnyTrainable = TypeVar("AnyTrainable", bound=Trainable)


def meta_train(
    learner: AnyTrainable,
    tasks: Sequence[Task],
    *,
    settings: OuterSettings | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    engine: str | None = None,
    report: Report | None = None,
) -> AnyTrainable:
    """Meta-train a learner in place and return it, with the parameters that did best on the validation tasks.

    Args:
        learner: what to train.
        tasks: split into training, new and validation tasks by `medshot.training.split_tasks`.
        settings: the settings of the outer loop.
        folder: becomes the run folder. Until it holds `run.json` the run is unfinished: it holds the history
            (`events.jsonl`) and the last checkpoint. A run that fails before its first checkpoint leaves no folder.
        resume: continue the unfinished run in `folder`.
        device: "cpu", "cuda", "mps" or "auto".
        engine: "loop", "vmap" or "chunk:N"; if left out, the fastest is measured.
        report: called with every event; if left out, a progress bar is shown on stderr.

    Raises:
        InputError: the learner has nothing to meta-train, the tasks cannot be used, or the machine has no such device.
        StorageError: `folder` exists (without `resume`), is finished, or cannot be written.
        Interrupted: Ctrl-C was pressed; the state is saved in `folder`.
    """
    if learner.gradient is None:
        raise InputError(f"Learner '{learner.name}' has nothing to meta-train; adapt or evaluate it directly.")
    settings, place, folder = settings or OuterSettings(), resolve_device(device), Path(folder) if folder else None
    if engine is not None:
        parse_engine(engine)
    if folder:
        check_unfinished(folder, RECORD, resume=resume)
    for task in tasks:
        reader_of(learner.input_spec).prepare(task.images)
    split = split_tasks(tasks, settings.seed)
    learner.to(place)
    batches = Batches(settings.batch, learner.input_spec, settings.seed, place, cross_validated=learner.cross_validated)
    work = work_of(learner, learner.input_spec, settings.batch.most_samples)
    with unfinished(folder, resume=resume) if folder else nullcontext(), threads_for(work):
        identity = _fingerprint(learner, split, settings), _content(learner, tasks, settings)
        loop = OuterLoop(learner, learner.scores, batches, split, settings, *identity)
        if resume and folder:
            loop.resume(folder)
        learner.train()
        progress, wanted = loop.progress, engine if learner.batchable else "loop"
        progress.engine = wanted or progress.engine or str(_fastest(learner, batches, split))
        learner.engine = parse_engine(progress.engine)
        with Reporter(settings.steps, folder, show=report is None) as reporter:
            loop.run(folder, [reporter, *([report] if report else [])])
        learner.training_record = TrainingRecord(
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=settings.seed,
            engine=progress.engine,
            threads=torch.get_num_threads(),
            device=str(place),
            torch=torch.__version__,
            steps=progress.step,
            best_step=progress.best_step,
            best_loss=progress.best_loss,
            by_patients=split.by_patients,
            settings=asdict(settings),
            tasks=task_records(tasks),
        )
        record_training_images(learner, tasks)
        learner.eval()
        if folder:
            write_run(folder, learner)
    return learner


@contextmanager
def evaluating(learner: nn.Module) -> Iterator[None]:
    """Put a learner into evaluation mode for a while, and back into the mode that it was in."""
    training = learner.training
    learner.eval()
    try:
        yield
    finally:
        learner.train(training)


def update_on(learner: Trainable, task: Task, *, shots: int, steps: int, learning_rate: float, seed: int) -> None:
    """Take Adam steps of `learner` on the cross-validation loss within one task, and record the task's images.

    Raises:
        TooFewPatients: a class has fewer than two patients, so that this loss is undefined.
    """
    optimizer = torch.optim.Adam(learner.parameters(), lr=learning_rate)
    learner.train()
    work = work_of(learner, learner.input_spec, 2 * shots * len(task.classes))
    try:
        for step in range(steps):
            rng = np.random.default_rng([seed, step])
            folds = draw_folds(task, shots=shots, queries=shots, rng=rng)
            batch = to_tensors(folds, learner.input_spec, next(learner.parameters()).device)
            with threads_for(work):
                optimizer.zero_grad()
                learner.scores(batch)[0].mean().backward()
                optimizer.step()
    finally:
        learner.eval()
    record_training_images(learner, [task])


def record_training_images(learner: Trainable, tasks: Sequence[Task]) -> None:
    """Add the hashes and fingerprints of the tasks' images to those that the learner was trained on."""
    known = learner.training_images
    found = training_images(tasks, learner.input_spec)
    learner.training_images = {name: np.concatenate([known.get(name, rows[:0]), rows]) for name, rows in found.items()}


def write_run(folder: Path, learner: Trainable) -> None:
    """Write the files of a run into an existing folder."""
    arrays = {LEARNER: parameters_of(learner), IMAGES: learner.training_images}
    write_folder(folder, "run", learner.record(), arrays)


def _fastest(learner: Trainable, batches: Batches, split: TaskSplit) -> Engine:
    """Return the fastest engine for one outer step, tried on the first batch."""
    batch, _ = batches.training(split.train, 0)

    def run(engine: Engine) -> None:
        learner.engine = engine
        torch.autograd.grad(learner.scores(batch)[0].mean(), list(learner.parameters()), allow_unused=True)

    return fastest_engine(run, len(batch))


def _content(learner: Trainable, tasks: Sequence[Task], settings: OuterSettings) -> dict[str, Any]:
    """Return all settings and the digest of each task by name; a refused resume lists those that differ."""
    outer, batch = asdict(settings), asdict(settings.batch)
    del outer["batch"]
    return {
        "learner": learner.name,
        "input": repr(learner.input_spec),
        **{f"setting {name}": value for name, value in learner.settings().items()},
        **outer,
        "batch": batch.pop("tasks"),
        **batch,
        **{f"task {task.name}": digest_of(task) for task in tasks},
    }


def _fingerprint(learner: Trainable, split: TaskSplit, settings: OuterSettings) -> str:
    """Return a digest of everything that decides the result; a checkpoint with another digest is refused."""
    parts = (split.train, split.new, split.validation)
    tasks = [
        [(task.name, task.hashes(), task.labels.tolist(), task.patient_codes.tolist(), task.flip) for task in part]
        for part in parts
    ]
    shapes = {name: list(value.shape) for name, value in learner.state_dict().items()}
    # Checkpoints hold the name that these classes had in version 0.1.0.
    taken = repr(learner.input_spec).replace("Input(", "Shape(")
    content = [type(learner).__name__, learner.settings(), taken, shapes, asdict(settings), tasks]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
