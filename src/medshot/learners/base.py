"""The contract of a learner: what is meta-trained, and how it turns a support into a classifier.

An algorithm writes `adapt_one` and `predict_one` for a single task, as pure functions of tensors. The base class gives
them a leading task axis through the engine, orders and seeds what is random by the content of the support, and derives
the meta-loss.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.imaging import InputSpec
from medshot.learners.features import weighted_cross_entropy, weighted_mean
from medshot.learners.meta_training import train_and_record
from medshot.learners.seeding import Randomness, order_by_digest, sample_by_support
from medshot.learners.serialization import (
    IMAGES,
    LEARNER,
    LearnerRecord,
    TrainingRecord,
    input_record,
    parameters_of,
    write_folder,
)
from medshot.storage import new_folder
from medshot.tasks import Episodes, Support, Task, training_images
from medshot.training import Engine, OuterSettings, Report, resolve_device

Adapted = dict[str, Tensor]
Gradient = Literal["exact", "first-order", "implicit"] | None


class Learner(nn.Module, ABC):
    """What is meta-trained. Registered by one line in `medshot.learners.registry`.

    Class attributes declare what the laws, the tables and the outer loop need to know:

    Attributes:
        name: what it is called on the command line.
        family: "Meta-GD", "Meta-NN", "Meta-SVM", "Meta-RF", "choice" (between the others) or "baseline".
        summary: one line for tables.
        cost: what `adapt` costs, in a few words for tables.
        paper: where it was published.
        gradient: how `loss` is differentiated: "exact", "first-order", "implicit", or None where nothing is learned.
        inductive: whether a query's prediction is independent of the other queries. A transductive learner writes
            `predict_jointly` beside `predict_one`, and says what it is in its name.
        randomised: whether `draw` draws random numbers.
        batchable: whether `adapt_one` and `predict_one` may run under vmap.
        cross_validated: whether it is trained on METAL's L_cv folds rather than on plain episodes.
        relabels: whether any number of classes works and relabelling the support relabels the output.
        input_spec: what it takes of each image: an `ImageInput` for pixels, a `VolumeInput` for voxels, an `EncodedInput`
            for features of an encoder.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    summary: ClassVar[str]
    cost: ClassVar[str]
    paper: ClassVar[str]
    gradient: Gradient = None
    inductive: ClassVar[bool] = True
    randomised: ClassVar[bool] = False
    batchable: ClassVar[bool] = True
    cross_validated: ClassVar[bool] = False
    relabels: ClassVar[bool] = True

    def __init__(self, input_spec: InputSpec) -> None:
        super().__init__()
        self.input_spec = input_spec
        self.engine = Engine("vmap")
        self.training_record: TrainingRecord | None = None
        self.training_images: dict[str, np.ndarray] = {}

    @abstractmethod
    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Adapt to one task.

        Args:
            support: without a task axis: `images (support, *embedded)` as `embed` gives them, `labels (support,)`,
                `weights (support,)`.
            randomness: what `draw` returned for this task.

        Returns:
            Everything `predict_one` needs, as named tensors.
        """

    @abstractmethod
    def predict_one(
        self, adapted: Adapted, images: Float[Tensor, "queries *embedded"]
    ) -> Float[Tensor, "queries ways"]:
        """Logits of one task's queries, as `embed` gives them, from what `adapt_one` returned."""

    def predict_jointly(
        self, adapted: Adapted, images: Float[Tensor, "queries *embedded"], weights: Float[Tensor, " queries"]
    ) -> Float[Tensor, "queries ways"]:
        """Logits of one task's queries that may learn from each other; weight 0 marks padding, which none may feel.

        An inductive learner predicts each of them by itself.
        """
        return self.predict_one(adapted, images)

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """The random numbers that `adapt_one` needs for one task; drawn outside vmap, from `generator` alone."""
        return {}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images *embedded"]:
        """What the inner loop sees of each image: the image itself, or features that adaptation leaves as they are.

        Computed once per image, however many tasks of a batch use it.
        """
        return images

    def embed_tasks(self, images: Float[Tensor, "tasks samples *shape"]) -> Float[Tensor, "tasks samples *embedded"]:
        """`embed` for images with a leading task axis."""
        return self.embed(images.contiguous().flatten(0, 1)).unflatten(0, images.shape[:2])

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again, JSON-able."""
        return {}

    def adapt(self, support: Support) -> "Classifier":
        """Adapt to every task of a support with a leading task axis.

        Differentiable in the learner's parameters where `gradient` says so.
        """
        support = self._ordered(replace(support, images=self.embed_tasks(support.images)))

        def one(images: Tensor, labels: Tensor, weights: Tensor, patients: Tensor, randomness: Randomness) -> Adapted:
            return self.adapt_one(Support(images, labels, weights, support.ways, patients), randomness)

        adapted = self._engine.map(
            one, support.images, support.labels, support.weights, _patients(support), self._draw(support)
        )
        return Classifier(self, adapted)

    def scores(self, episodes: Episodes) -> tuple[Float[Tensor, " tasks"], Float[Tensor, " tasks"]]:
        """The query loss and accuracy of each task, adapting and predicting within one pass of the engine."""
        episodes = replace(episodes, images=self.embed(episodes.images))
        support, query = self._ordered(episodes.support), episodes.query

        def one(
            images: Tensor,
            labels: Tensor,
            weights: Tensor,
            patients: Tensor,
            randomness: Randomness,
            query_images: Tensor,
            query_labels: Tensor,
            query_weights: Tensor,
        ) -> tuple[Tensor, Tensor]:
            adapted = self.adapt_one(Support(images, labels, weights, support.ways, patients), randomness)
            logits = self.predict_jointly(adapted, query_images, query_weights)
            correct = (logits.argmax(1) == query_labels).to(logits)
            return (
                weighted_cross_entropy(logits, query_labels, query_weights),
                weighted_mean(correct, query_weights),
            )

        return self._engine.map(
            one,
            support.images,
            support.labels,
            support.weights,
            _patients(support),
            self._draw(support),
            query.images,
            query.labels,
            query.weights,
        )

    def loss(self, episodes: Episodes) -> Float[Tensor, ""]:
        """The meta-loss of a batch of episodes: mean query cross-entropy after adaptation."""
        return self.scores(episodes)[0].mean()

    def meta_fit(
        self,
        tasks: Sequence[Task],
        *,
        settings: OuterSettings | None = None,
        folder: str | Path | None = None,
        resume: bool = False,
        device: str = "cpu",
        engine: str | None = None,
        report: Report | None = None,
    ) -> "Learner":
        """Meta-train on tasks; returns the learner itself, with the parameters that did best on the validation part.

        Args:
            tasks: dealt into training, new and validation tasks by `medshot.training.split_tasks`.
            settings: of the outer loop.
            folder: where checkpoints and the history (`events.jsonl`) go while it lasts.
            resume: go on from the checkpoint in `folder`.
            device: "cpu", "cuda", "mps" or "auto".
            engine: "loop", "vmap" or "chunk:N"; measured where it is left out.
            report: called with every event; a progress bar on stderr where it is left out.

        Raises:
            InputError: the tasks cannot be used, or this machine has no such device.
            Interrupted: Ctrl-C was pressed; the state is saved in `folder`.
        """
        self.training_record = train_and_record(
            self,
            tasks,
            settings or OuterSettings(),
            folder=Path(folder) if folder else None,
            resume=resume,
            device=resolve_device(device),
            engine=engine if self.batchable else "loop",
            report=report,
        )
        self.remember(tasks)
        self.eval()
        return self

    def remember(self, tasks: Sequence[Task]) -> None:
        """Keep the hashes and fingerprints of images that were learned from, by which `evaluate` refuses them."""
        images = training_images(tasks, self.input_spec)
        self.training_images = {
            name: np.concatenate([self.training_images.get(name, rows[:0]), rows]) for name, rows in images.items()
        }

    def save(self, folder: str | Path) -> None:
        """Write a run folder from which `medshot.load` or `FewShotClassifier` take the learner again.

        Raises:
            StorageError: `folder` exists already or cannot be written.
        """
        with new_folder(Path(folder)) as filling:
            self.write(filling)

    def write(self, folder: Path) -> None:
        """Write the files of a run into an existing folder."""
        write_folder(folder, "run", self.record(), {LEARNER: parameters_of(self), IMAGES: self.training_images})

    def explain(self, adapted: Adapted) -> str:
        """Why it predicts as it does on the first task, in a sentence for whoever uses it; empty where it has none."""
        return ""

    def record(self) -> LearnerRecord:
        """How to build this learner again, and how it was trained."""
        return LearnerRecord(
            name=self.name,
            settings=self.settings(),
            input=input_record(self.input_spec),
            training=self.training_record,
        )

    @property
    def _engine(self) -> Engine:
        return self.engine if self.batchable else Engine("loop")

    def _ordered(self, support: Support) -> Support:
        return order_by_digest(support) if self.randomised else support

    def _draw(self, support: Support) -> Randomness:
        return sample_by_support(support, self.sample_randomness) if self.randomised else {}


@dataclass(frozen=True)
class Classifier:
    """A learner adapted to tasks: for each of them, images in, logits out.

    Args:
        learner: what adapted.
        adapted: named tensors with a leading task axis.
    """

    learner: Learner
    adapted: Adapted

    def __call__(
        self,
        images: Float[Tensor, "tasks queries *image"],
        weights: Float[Tensor, "tasks queries"] | None = None,
    ) -> Float[Tensor, "tasks queries ways"]:
        """Logits of each task's queries; weight 0 marks padding, and there is none where weights are left out."""
        if weights is None:
            weights = torch.ones(images.shape[:2], dtype=images.dtype, device=images.device)
        embedded = self.learner.embed_tasks(images)
        return self.learner._engine.map(self.learner.predict_jointly, self.adapted, embedded, weights)

    def probabilities(
        self,
        images: Float[Tensor, "tasks queries *image"],
        weights: Float[Tensor, "tasks queries"] | None = None,
    ) -> Float[Tensor, "tasks queries ways"]:
        """Class probabilities of each task's queries, with weights as for a call."""
        with torch.no_grad():
            return self(images, weights).softmax(-1)


def _patients(support: Support) -> Int[Tensor, "tasks support"]:
    """Who each sample is of; everyone different where that is not known."""
    if support.patients is not None:
        return support.patients
    return torch.arange(support.labels.shape[1], device=support.labels.device).expand_as(support.labels)
