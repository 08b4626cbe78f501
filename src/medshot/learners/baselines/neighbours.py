"""The k nearest neighbours."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn
from medshot.learners.prototypes import squared_distances
from medshot.learners.vectors import as_vectors
from medshot.tasks import Support

NEAREST = 1e-4


class Neighbours(Learner):
    """The nearest support images vote, each with one over its distance (Dudani, 1976), on features or shrunken pixels.

    As scikit-learn's `KNeighborsClassifier(weights="distance")`, with `neighbours` or all there are. The k shares of
    the vote count beside one more vote that goes to all classes alike, so that no class is impossible. Inductive;
    nothing is meta-trained; `adapt` only keeps the support.

    Args:
        shape: the images it takes.
        pixels: side of the shrunken image, where pixels are given.
        neighbours: k.
    """

    name = "knn"
    family = "baseline"
    summary = "the five nearest neighbours, nearer ones counting more"
    paper = "Cover and Hart, 1967; Dudani, 1976"
    cost = "nothing but features"

    def __init__(
        self, shape: InputShape = ImageShape(channels=1, size=64), *, pixels: int = 16, neighbours: int = 5
    ) -> None:
        super().__init__(shape)
        self.pixels, self.neighbours = pixels, neighbours

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"pixels": self.pixels, "neighbours": self.neighbours}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The images as vectors."""
        return as_vectors(images, self.pixels)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """The support's vectors, the class of each as a row of 0 and 1, and which are real."""
        classes = functional.one_hot(support.labels, support.ways).to(support.images)
        return {"vectors": support.images, "classes": classes, "real": (support.weights > 0).to(support.images)}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """The logarithm of each class's share of the vote, smoothed by one more vote."""
        distances = squared_distances(images, adapted["vectors"]).clamp(min=NEAREST**2).sqrt()
        distances = torch.where(adapted["real"] > 0, distances, torch.inf)
        count = min(self.neighbours, len(adapted["vectors"]))
        nearest, rows = distances.topk(count, largest=False)
        votes = adapted["real"][rows] / nearest
        shares = torch.einsum("qk,qkw->qw", votes / votes.sum(1, keepdim=True), adapted["classes"][rows])
        voters = adapted["real"].sum().clamp(max=count)
        return ((voters * shares + 1 / shares.shape[1]) / (voters + 1)).log()
