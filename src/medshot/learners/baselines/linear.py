"""Logistic regression: the baseline that any claim needs."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from torch import Tensor

from medshot.imaging import Augmentation, GridInput, ImageInput, InputSpec, augment
from medshot.learners.base import Adapted, Learner
from medshot.learners.features import BIAS, WEIGHT, apply_head, as_vectors, row_space
from medshot.learners.seeding import Randomness, canonical_labels
from medshot.tasks import Support


class Logistic(Learner):
    """scikit-learn's `LogisticRegression` on features as they are, or on pixels with the support augmented.

    For pixels, each image is brought to mean 0 and standard deviation 1, shrunk to `pixels` a side, and seen once as it
    is and `views - 1` times augmented. Inductive; nothing is meta-trained; `adapt` costs one fit of `support` rows, or
    `support · views` of pixels.

    Args:
        input_spec: the images it takes.
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
        input_spec: InputSpec = ImageInput(channels=1, size=64),
        *,
        pixels: int = 16,
        views: int = 8,
        regularisation: float = 1.0,
    ) -> None:
        super().__init__(input_spec)
        self.pixels, self.views, self.regularisation = pixels, views, regularisation

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"pixels": self.pixels, "views": self.views, "regularisation": self.regularisation}

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """The support and its augmented views, with their labels and weights."""
        return augmented_views(support, self._views, generator)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Coefficients and intercepts, one row per class."""
        real = (randomness["weights"] > 0).cpu()
        vectors = as_vectors(randomness["images"], self.pixels).cpu()[real].double()
        basis = row_space(vectors)
        labels, weights = randomness["labels"].cpu()[real].numpy(), randomness["weights"].cpu()[real].numpy()
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
        return self.views if isinstance(self.input_spec, GridInput) else 1


def augmented_views(support: Support, views: int, generator: torch.Generator) -> Randomness:
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


class LinearSVM(Learner):
    """scikit-learn's `LinearSVC`, one machine per class against the rest, on features as they are or shrunken pixels.

    The logits of a class are its machine's decision values. They were not fitted to be log-probabilities, so that the
    probabilities are crude: trust the ranking more than the numbers. Inductive; nothing is meta-trained; `adapt` costs
    one convex fit per class.

    Args:
        input_spec: the images it takes.
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
        input_spec: InputSpec = ImageInput(channels=1, size=64),
        *,
        pixels: int = 16,
        regularisation: float = 1.0,
    ) -> None:
        super().__init__(input_spec)
        self.pixels, self.regularisation = pixels, regularisation

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"pixels": self.pixels, "regularisation": self.regularisation}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The images as vectors."""
        return as_vectors(images, self.pixels)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
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


VIEWS = "views"


def draw_views(support: Support, input_spec: InputSpec, count: int, generator: torch.Generator) -> Randomness:
    """That many views of one task's support as `(support, views, channels, *spatial)`; of features one."""
    count = count if isinstance(input_spec, GridInput) else 1
    images = augmented_views(support, count, generator)["images"]
    return {VIEWS: images.unflatten(0, (count, -1)).transpose(0, 1)}


def views_of(support: Support, randomness: Randomness) -> list[Support]:
    """The support with each of the views that were drawn."""
    return [replace(support, images=images) for images in randomness[VIEWS].unbind(1)]
