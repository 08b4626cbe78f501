"""Random forests and boosted trees by scikit-learn."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.features import log_frequencies
from medshot.learners.forest.trees import class_values, leaf_values, tree_tensors
from medshot.learners.kinds import VectorLearner
from medshot.learners.seeding import Randomness, canonical_labels
from medshot.tasks import Support


class TreeLearner(VectorLearner):
    """A learner that grows trees with a seed of its own for every support."""

    randomised = True
    batchable = False

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """Sample a seed for the trees."""
        return {"seed": torch.randint(2**31, (1,), generator=generator)}


Samples = tuple[Float[np.ndarray, "samples features"], Int[np.ndarray, " samples"], Int[Tensor, " present"]]


def samples_of(support: Support) -> Samples:
    """Return the vectors and labels of a support without padding, and the task's class for each label."""
    real = support.weights > 0
    labels, classes = canonical_labels(support.labels[real])
    return support.images[real].detach().cpu().float().numpy(), labels.cpu().numpy(), classes


class Forest(TreeLearner):
    """scikit-learn's `RandomForestClassifier`, on features as they are or shrunken pixels.

    One more tree finds all classes equally probable, so that no class is impossible. Inductive; nothing is
    meta-trained; `adapt` costs growing the trees.

    Args:
        input_spec: what it takes of each image.
        pixels: side of the shrunken image, if it takes pixels or voxels.
        trees: scikit-learn's n_estimators.
    """

    name = "forest"
    summary = "random forest"
    paper = "Breiman, Machine Learning 2001"
    cost = "growing 100 trees"

    def __init__(self, input_spec: InputSpec, *, pixels: int = 16, trees: int = 100) -> None:
        super().__init__(input_spec, pixels=pixels)
        self.trees = trees

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the trees, with the class probabilities at their leaves."""
        from sklearn.ensemble import RandomForestClassifier  # slow to import

        vectors, labels, classes = samples_of(support)
        forest = RandomForestClassifier(self.trees, random_state=int(randomness["seed"])).fit(vectors, labels)
        columns = [np.arange(vectors.shape[1])] * self.trees
        values = class_values(forest.estimators_, classes, support.ways)
        return tree_tensors(forest.estimators_, values, columns=columns, support=support.images)

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the logarithm of the trees' mean probability, smoothed by one more tree."""
        of_trees = leaf_values(adapted, images)
        trees, _, ways = of_trees.shape
        return ((of_trees.sum(0) + 1 / ways) / (trees + 1)).log()


DEPTH, RATE, CANDIDATES = 1, 0.05, "sqrt"
PRIOR = "prior"


class Boosting(TreeLearner):
    """scikit-learn's `GradientBoostingClassifier` with trees of one split, on features as they are or shrunken pixels.

    The logits are the logarithm of the classes' frequencies plus, in each round, 0.05 times a tree for every class that
    was fitted to the residuals of the earlier rounds. A split chooses from √d of the d features: with thousands of them
    and tens of samples, a choice from all would find the same few again and again. Inductive; nothing is meta-trained;
    `adapt` costs growing `rounds` trees for every class.

    Args:
        input_spec: what it takes of each image.
        pixels: side of the shrunken image, if it takes pixels or voxels.
        rounds: scikit-learn's n_estimators.
    """

    name = "boosting"
    summary = "gradient boosted trees of one split"
    paper = "Friedman, Annals of Statistics 2001"
    cost = "growing 80 trees per class"

    def __init__(self, input_spec: InputSpec, *, pixels: int = 16, rounds: int = 80) -> None:
        super().__init__(input_spec, pixels=pixels)
        self.rounds = rounds

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the trees, with the logits they add at their leaves, and the logits before the first of them."""
        from sklearn.ensemble import GradientBoostingClassifier  # slow to import

        vectors, labels, classes = samples_of(support)
        model = GradientBoostingClassifier(
            n_estimators=self.rounds,
            max_depth=DEPTH,
            learning_rate=RATE,
            max_features=CANDIDATES,
            random_state=int(randomness["seed"]),
        ).fit(vectors, labels)
        trees = list(model.estimators_.flat)
        # Of two classes scikit-learn boosts only the second.
        boosted = classes[-model.estimators_.shape[1] :].repeat(self.rounds)
        added = RATE * np.eye(support.ways)[boosted.cpu().numpy()]
        values = [tree.tree_.value[:, 0] * row for tree, row in zip(trees, added, strict=True)]
        columns = [np.arange(vectors.shape[1])] * len(trees)
        tensors = tree_tensors(trees, values, columns=columns, support=support.images)
        return tensors | {PRIOR: log_frequencies(support)}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the sum of the logits at each query's leaves."""
        return adapted[PRIOR] + leaf_values(adapted, images).sum(0)
