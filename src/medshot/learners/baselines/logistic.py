"""Logistic regression: the baseline that any claim needs."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from medshot.imaging import Augmentation, GridShape, ImageShape, InputShape, augment
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn
from medshot.learners.vectors import as_vectors, row_space
from medshot.tasks import Support


class Logistic(Learner):
    """scikit-learn's `LogisticRegression` on features as they are, or on pixels with the support augmented.

    For pixels, each image is brought to mean 0 and standard deviation 1, shrunk to `pixels` a side, and seen once as it
    is and `views - 1` times augmented. Inductive; nothing is meta-trained; `adapt` costs one fit of `support` rows, or
    `support · views` of pixels.

    Args:
        shape: the images it takes.
        pixels: side of the shrunken image.
        views: how often each support image is seen.
        regularisation: scikit-learn's C on features scaled to unit mean square norm.
    """

    name = "logistic"
    family = "baseline"
    summary = "logistic regression"
    paper = "Cox, 1958"
    cost = "one convex fit"
    randomised = True
    batchable = False

    def __init__(
        self,
        shape: InputShape = ImageShape(channels=1, size=64),
        *,
        pixels: int = 16,
        views: int = 8,
        regularisation: float = 1.0,
    ) -> None:
        super().__init__(shape)
        self.pixels, self.views, self.regularisation = pixels, views, regularisation

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"pixels": self.pixels, "views": self.views, "regularisation": self.regularisation}

    def draw(self, support: Support, generator: torch.Generator) -> Drawn:
        """The support and its augmented views, with their labels and weights."""
        return augmented_views(support, self._views, generator)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """Coefficients and intercepts, one row per class."""
        real = (drawn["weights"] > 0).cpu()
        vectors = as_vectors(drawn["images"], self.pixels).cpu()[real].double()
        basis = row_space(vectors)
        labels, weights = drawn["labels"].cpu()[real].numpy(), drawn["weights"].cpu()[real].numpy()
        model = LogisticRegression(C=self.regularisation, tol=1e-6, max_iter=1000).fit(
            (vectors @ basis).numpy(), labels, weights / self._views
        )
        coefficients = np.zeros((support.ways, basis.shape[1]))
        intercepts = np.zeros(support.ways)
        if len(model.classes_) == 2:
            coefficients[model.classes_[1]] = model.coef_[0]
            intercepts[model.classes_[1]] = model.intercept_[0]
        else:
            coefficients[model.classes_], intercepts[model.classes_] = model.coef_, model.intercept_
        return {
            "coefficients": (torch.from_numpy(coefficients) @ basis.T).to(support.images),
            "intercepts": torch.from_numpy(intercepts).to(support.images),
        }

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """The fitted model's logits."""
        return as_vectors(images, self.pixels) @ adapted["coefficients"].T + adapted["intercepts"]

    @property
    def _views(self) -> int:
        return self.views if isinstance(self.shape, GridShape) else 1


def augmented_views(support: Support, views: int, generator: torch.Generator) -> Drawn:
    """Each image of one task's support as it is and `views - 1` times augmented, view after view."""
    seen = support.images
    if views > 1:
        others = torch.cat([support.images] * (views - 1))
        seen = torch.cat([seen, augment(others, Augmentation(), flip=False, generator=generator)])
    return {
        "images": seen,
        "labels": support.labels.repeat(views),
        "weights": support.weights.repeat(views),
    }
