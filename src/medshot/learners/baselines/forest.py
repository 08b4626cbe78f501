"""The random forest as scikit-learn has it."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor

from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn, canonical_labels
from medshot.learners.forest.trees import class_values, leaf_values, tree_tensors
from medshot.learners.vectors import as_vectors
from medshot.tasks import Support


class Forest(Learner):
    """scikit-learn's `RandomForestClassifier`, on features as they are or shrunken pixels.

    Its probabilities count beside one more tree that finds all classes equally probable, so that none is impossible.
    Inductive; nothing is meta-trained; `adapt` costs growing the trees.

    Args:
        shape: the images it takes.
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
        self, shape: InputShape = ImageShape(channels=1, size=64), *, pixels: int = 16, trees: int = 100
    ) -> None:
        super().__init__(shape)
        self.pixels, self.trees = pixels, trees

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"pixels": self.pixels, "trees": self.trees}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The images as vectors."""
        return as_vectors(images, self.pixels)

    def draw(self, support: Support, generator: torch.Generator) -> Drawn:
        """A seed for the trees."""
        return {"seed": torch.randint(2**31, (1,), generator=generator)}

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """The trees, with the class probabilities at their leaves."""
        real = support.weights > 0
        labels, classes = canonical_labels(support.labels[real])
        vectors = support.images[real].detach().cpu().float().numpy()
        forest = RandomForestClassifier(self.trees, random_state=int(drawn["seed"])).fit(vectors, labels.cpu().numpy())
        columns = [np.arange(vectors.shape[1])] * self.trees
        values = class_values(forest.estimators_, classes, support.ways)
        return tree_tensors(forest.estimators_, values, columns=columns, support=support.images)

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """The logarithm of the trees' mean probability, smoothed by one more tree."""
        of_trees = leaf_values(adapted, images)
        trees, _, ways = of_trees.shape
        return ((of_trees.sum(0) + 1 / ways) / (trees + 1)).log()
