"""The random forest as scikit-learn has it."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from torch import Tensor

from medshot.imaging import ImageInput, InputSpec
from medshot.learners.base import Adapted, Learner
from medshot.learners.features import as_vectors, log_frequencies
from medshot.learners.forest.trees import class_values, leaf_values, tree_tensors
from medshot.learners.seeding import Randomness, canonical_labels
from medshot.tasks import Support


class Forest(Learner):
    """scikit-learn's `RandomForestClassifier`, on features as they are or shrunken pixels.

    Its probabilities count beside one more tree that finds all classes equally probable, so that none is impossible.
    Inductive; nothing is meta-trained; `adapt` costs growing the trees.

    Args:
        input_spec: the images it takes.
        pixels: side of the shrunken image, where pixels are given.
        trees: scikit-learn's n_estimators.
    """

    name = "forest"
    family = "baseline"
    summary = "random forest"
    paper = "Breiman, Machine Learning 2001"
    cost = "growing 100 trees"
    randomised = True
    batchable = False

    def __init__(
        self, input_spec: InputSpec = ImageInput(channels=1, size=64), *, pixels: int = 16, trees: int = 100
    ) -> None:
        super().__init__(input_spec)
        self.pixels, self.trees = pixels, trees

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"pixels": self.pixels, "trees": self.trees}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The images as vectors."""
        return as_vectors(images, self.pixels)

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """A seed for the trees."""
        return {"seed": torch.randint(2**31, (1,), generator=generator)}

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """The trees, with the class probabilities at their leaves."""
        real = support.weights > 0
        labels, classes = canonical_labels(support.labels[real])
        vectors = support.images[real].detach().cpu().float().numpy()
        forest = RandomForestClassifier(self.trees, random_state=int(randomness["seed"])).fit(
            vectors, labels.cpu().numpy()
        )
        columns = [np.arange(vectors.shape[1])] * self.trees
        values = class_values(forest.estimators_, classes, support.ways)
        return tree_tensors(forest.estimators_, values, columns=columns, support=support.images)

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """The logarithm of the trees' mean probability, smoothed by one more tree."""
        of_trees = leaf_values(adapted, images)
        trees, _, ways = of_trees.shape
        return ((of_trees.sum(0) + 1 / ways) / (trees + 1)).log()


DEPTH, RATE, CANDIDATES = 1, 0.05, "sqrt"
PRIOR = "prior"


class Boosting(Learner):
    """scikit-learn's `GradientBoostingClassifier` with trees of one split, on features as they are or shrunken pixels.

    The logits are the logarithm of the classes' frequencies and, in each round, 0.05 times a tree for every class that
    was fitted to what the rounds before left over. A split chooses from √d of the d features: with thousands of them
    and tens of samples, any more would only find the same few again and again. Inductive; nothing is meta-trained;
    `adapt` costs growing `rounds` trees for every class.

    Args:
        input_spec: the images it takes.
        pixels: side of the shrunken image, where pixels are given.
        rounds: scikit-learn's n_estimators.
    """

    name = "boosting"
    family = "baseline"
    summary = "gradient boosted trees of one split"
    paper = "Friedman, Annals of Statistics 2001"
    cost = "growing 80 trees per class"
    randomised = True
    batchable = False

    def __init__(
        self, input_spec: InputSpec = ImageInput(channels=1, size=64), *, pixels: int = 16, rounds: int = 80
    ) -> None:
        super().__init__(input_spec)
        self.pixels, self.rounds = pixels, rounds

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"pixels": self.pixels, "rounds": self.rounds}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The images as vectors."""
        return as_vectors(images, self.pixels)

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """A seed for the trees."""
        return {"seed": torch.randint(2**31, (1,), generator=generator)}

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """The trees, with the logits they add at their leaves, and the logits before the first of them."""
        real = support.weights > 0
        labels, classes = canonical_labels(support.labels[real])
        vectors = support.images[real].detach().cpu().float().numpy()
        model = GradientBoostingClassifier(
            n_estimators=self.rounds,
            max_depth=DEPTH,
            learning_rate=RATE,
            max_features=CANDIDATES,
            random_state=int(randomness["seed"]),
        ).fit(vectors, labels.cpu().numpy())
        trees = list(model.estimators_.flat)
        # Of two classes scikit-learn boosts the second alone.
        boosted = classes[-model.estimators_.shape[1] :].repeat(self.rounds)
        added = RATE * np.eye(support.ways)[boosted.cpu().numpy()]
        values = [tree.tree_.value[:, 0] * row for tree, row in zip(trees, added, strict=True)]
        columns = [np.arange(vectors.shape[1])] * len(trees)
        prior = log_frequencies(support.labels, support.weights, support.ways)
        return {**tree_tensors(trees, values, columns=columns, support=support.images), PRIOR: prior}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """The sum of the logits at each query's leaves."""
        return adapted[PRIOR] + leaf_values(adapted, images).sum(0)
