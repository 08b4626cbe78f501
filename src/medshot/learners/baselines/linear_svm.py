"""The linear support vector machine as scikit-learn has it."""

from typing import Any

import torch
from jaxtyping import Float
from sklearn.svm import LinearSVC
from torch import Tensor

from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn, canonical_labels
from medshot.learners.head import BIAS, WEIGHT, apply_head
from medshot.learners.vectors import as_vectors, row_space
from medshot.tasks import Support


class LinearSVM(Learner):
    """scikit-learn's `LinearSVC`, one machine per class against the rest, on features as they are or shrunken pixels.

    The logits of a class are its machine's decision values. They were not fitted to be log-probabilities, so that the
    probabilities are crude: trust the ranking more than the numbers. Inductive; nothing is meta-trained; `adapt` costs
    one convex fit per class.

    Args:
        shape: the images it takes.
        pixels: side of the shrunken image, where pixels are given.
        regularisation: scikit-learn's C.
    """

    name = "svm"
    family = "baseline"
    summary = "linear support vector machine"
    paper = "Cortes and Vapnik, 1995"
    cost = "one convex fit per class"
    randomised = True  # in scikit-learn's order of coordinates; so the support is ordered by content
    batchable = False

    def __init__(
        self,
        shape: InputShape = ImageShape(channels=1, size=64),
        *,
        pixels: int = 16,
        regularisation: float = 1.0,
    ) -> None:
        super().__init__(shape)
        self.pixels, self.regularisation = pixels, regularisation

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"pixels": self.pixels, "regularisation": self.regularisation}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The images as vectors."""
        return as_vectors(images, self.pixels)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """Coefficients and intercepts, one row per class; of two classes, one row is the other's negative."""
        real = support.weights > 0
        labels, old = canonical_labels(support.labels[real])
        vectors, weights = (values[real].detach().cpu().double() for values in (support.images, support.weights))
        model = LinearSVC(C=self.regularisation, random_state=0, max_iter=100_000)
        basis = row_space(vectors)
        model.fit((vectors @ basis).numpy(), labels.cpu().numpy(), weights.numpy())
        machines = torch.from_numpy(model.coef_) @ basis.T, torch.from_numpy(model.intercept_)
        adapted = {}
        for name, of_machines in zip((WEIGHT, BIAS), machines, strict=True):
            rows = torch.cat([-of_machines, of_machines]) if len(of_machines) == 1 else of_machines
            adapted[name] = rows.new_zeros(support.ways, *rows.shape[1:]).to(support.images)
            adapted[name][old] = rows.to(support.images)
        return adapted

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """The decision values."""
        return apply_head(adapted, images)
