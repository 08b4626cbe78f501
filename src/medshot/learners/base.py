"""The contract of a learner: how it turns a few labelled images into a classifier.

A learner writes `adapt_one` and `predict_one` for one task, as pure functions of tensors; `Learner` runs them over a
batch. This file is enough to write one; `medshot.learners.kinds` saves some lines; docs/your-own-learner.md shows one.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.learners.features import weighted_cross_entropy, weighted_mean
from medshot.learners.run import Trainable
from medshot.learners.seeding import Randomness, order_by_digest, sample_by_support
from medshot.tasks import Episodes, Support
from medshot.threads import threads_for, work_of

Adapted = dict[str, Tensor]


class Learner(Trainable, ABC):
    """An algorithm that adapts to a task; its parameters are what meta-training learns.

    *Padding.* Smaller tasks of a batch are padded with samples of weight 0. These must have no effect: take means and
    sums under `support.weights`.

    *Engine.* `adapt_one` and `predict_one` may run under `torch.func.vmap`: no branch or shape depends on a value.

    *Randomness.* All random numbers come from `sample_randomness`. Its generator is seeded by a SHA-256 hash of the
    support's images, which are first ordered by their own hashes: the same images give the same numbers in any order,
    under any labels and beside any other tasks.

    The laws (tests/learners/test_laws.py) hold for every learner, unless an attribute of its class switches one off.

    Attributes:
        name: the name on the command line: lower-case letters, digits and hyphens.
        family: "Meta-GD", "Meta-NN", "Meta-SVM", "Meta-RF", "choice" (between others), "baseline", or one of your own.
        summary, cost, paper: text for tables: what it does in one line, what `adapt` costs, where it was published.
        gradient: how `scores` is differentiated: "exact" (the law of finite differences holds), "first-order",
            "implicit" (both have tests of their own), or None if there is nothing to meta-train.
        inductive: False switches off the law that a prediction does not depend on the other queries. Such a learner
            also writes `predict_jointly` and has "transductive" in its name.
        randomised: True if `sample_randomness` samples anything, or if `adapt_one` depends on the support's order: the
            support is then ordered by hashes. It switches off no law.
        batchable: False switches off vmap and the law that all engines give the same: tasks run in a loop.
        relabels: False switches off the laws that relabelling the support relabels the output, and that one learner
            takes any number of classes.
        cross_validated: True to meta-train on METAL's L_cv folds and not on plain episodes. It switches off no law.
        encoders: the encoders that `create` uses if no `input_spec` is given, joined by "+".
        input_spec: what the learner takes of an image: `ImageInput` (pixels), `VolumeInput` (voxels), `EncodedInput`
            (an encoder's features) or `FeatureInput` (a table). It is the first argument of the constructor; the others
            are keyword arguments, kept in attributes of the same names, by which a folder builds the learner again.
    """

    family: ClassVar[str]
    summary: ClassVar[str]
    cost: ClassVar[str]
    paper: ClassVar[str]
    inductive: ClassVar[bool] = True
    randomised: ClassVar[bool] = False
    relabels: ClassVar[bool] = True
    encoders: ClassVar[str] = "lite0"

    @abstractmethod
    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Adapt to one task; return everything that `predict_one` needs, as named tensors.

        Args:
            support: `images (support, *embedded)` as `embed` gives them, `labels (support,)` from 0 to `ways - 1`,
                `weights (support,)`, `ways`, and `patients (support,)`, equal for images of one patient, or None.
            randomness: what `sample_randomness` returned for this task, padded as the support is.
        """

    @abstractmethod
    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """Return the logits of one task's queries, as `embed` gives them, from what `adapt_one` returned."""

    def predict_jointly(
        self, adapted: Adapted, images: Float[Tensor, "queries *image"], weights: Float[Tensor, " queries"]
    ) -> Float[Tensor, "queries ways"]:
        """Return logits of queries that may learn from each other; weight 0 marks padding."""
        return self.predict_one(adapted, images)

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """Sample what `adapt_one` needs, only from `generator`: tensors of one row per sample, or of equal length."""
        return {}

    def embed(self, images: Float[Tensor, "images *image"]) -> Float[Tensor, "images *embedded"]:
        """Return each image as adaptation takes it; computed once per batch, since adaptation does not change it."""
        return images

    def explain(self, adapted: Adapted, classes: Sequence[str] = ()) -> str:
        """Return a sentence on why the learner predicts as it does on the first task; empty if there is none."""
        return ""

    def adapt(self, support: Support) -> "Classifier":
        """Adapt to every task of a support with a leading task axis; differentiable as `gradient` states."""
        with threads_for(work_of(self, self.input_spec, support.weights.numel())):
            support = self._ordered(replace(support, images=self.embed_tasks(support.images)))
            return Classifier(self, self.engine.map(self.adapt_one, support, self._randomness(support)))

    def scores(self, episodes: Episodes) -> tuple[Float[Tensor, " tasks"], Float[Tensor, " tasks"]]:
        """Return the query loss and accuracy of each task, adapting and predicting in one pass of the engine."""
        episodes = replace(episodes, images=self.embed(episodes.images))
        support = self._ordered(episodes.support)
        return self.engine.map(self._score_one, support, self._randomness(support), episodes.query)

    def embed_tasks(self, images: Float[Tensor, "tasks samples *image"]) -> Float[Tensor, "tasks samples *embedded"]:
        """Return `embed` of images with a leading task axis."""
        return self.embed(images.contiguous().flatten(0, 1)).unflatten(0, images.shape[:2])

    def _score_one(self, support: Support, randomness: Randomness, query: Support) -> tuple[Tensor, Tensor]:
        logits = self.predict_jointly(self.adapt_one(support, randomness), query.images, query.weights)
        correct = (logits.argmax(1) == query.labels).to(logits)
        return weighted_cross_entropy(logits, query.labels, query.weights), weighted_mean(correct, query.weights)

    def _ordered(self, support: Support) -> Support:
        return order_by_digest(support) if self.randomised else support

    def _randomness(self, support: Support) -> Randomness:
        return sample_by_support(support, self.sample_randomness) if self.randomised else {}


@dataclass(frozen=True)
class Classifier:
    """A learner, and what its `adapt_one` returned, with a leading task axis."""

    learner: Learner
    adapted: Adapted

    def __call__(
        self, images: Float[Tensor, "tasks queries *image"], weights: Float[Tensor, "tasks queries"] | None = None
    ) -> Float[Tensor, "tasks queries ways"]:
        """Return the logits of each task's queries; weight 0 marks padding."""
        if weights is None:
            weights = images.new_ones(images.shape[:2])
        with threads_for(work_of(self.learner, self.learner.input_spec, weights.numel())):
            embedded = self.learner.embed_tasks(images)
            return self.learner.engine.map(self.learner.predict_jointly, self.adapted, embedded, weights)

    def probabilities(
        self, images: Float[Tensor, "tasks queries *image"], weights: Float[Tensor, "tasks queries"] | None = None
    ) -> Float[Tensor, "tasks queries ways"]:
        """Return the class probabilities of each task's queries."""
        with torch.no_grad():
            return self(images, weights).softmax(-1)
