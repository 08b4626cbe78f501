"""Linear baselines by scikit-learn: logistic regression and a support vector machine."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.features import BIAS, WEIGHT, apply_head, flatten_features, row_space
from medshot.learners.kinds import VectorLearner
from medshot.learners.seeding import Randomness, canonical_labels, sample_views, views_of
from medshot.tasks import Support


class Logistic(VectorLearner):
    """scikit-learn's `LogisticRegression` on features as they are, or on pixels with the support augmented.

    For pixels, each image is brought to mean 0 and standard deviation 1, shrunk to `pixels` a side, and used once as it
    is and `views - 1` times augmented. Inductive; nothing is meta-trained; `adapt` costs one fit of `support` rows, or
    `support · views` of pixels.

    Args:
        input_spec: what it takes of each image.
        pixels: side of the shrunken image, if it takes pixels or voxels.
        views: how often each support image is used.
        regularisation: scikit-learn's C on features scaled to unit mean square norm.
    """

    name = "logistic"
    summary = "logistic regression"
    paper = "Cox, 1958"
    cost = "one convex fit"
    randomised = True
    batchable = False

    def __init__(
        self,
        input_spec: InputSpec,
        *,
        pixels: int = 16,
        views: int = 8,
        regularisation: float = 1.0,
    ) -> None:
        super().__init__(input_spec, pixels=pixels)
        self.views, self.regularisation = views, regularisation

    def embed(self, images: Float[Tensor, "images *image"]) -> Float[Tensor, "images *embedded"]:
        """Return the images: views are augmented before they become vectors."""
        return images

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """Sample augmented views of the support."""
        return sample_views(support, self.input_spec, self.views, generator)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return coefficients and intercepts, one row per class."""
        from sklearn.linear_model import LogisticRegression  # slow to import

        views = views_of(support, randomness)
        real = (support.weights > 0).cpu().repeat(len(views))
        images = torch.cat([view.images for view in views])
        vectors = flatten_features(images, self.pixels).cpu()[real].double()
        basis = row_space(vectors)
        labels, weights = (side.cpu().repeat(len(views))[real].numpy() for side in (support.labels, support.weights))
        model = LogisticRegression(C=self.regularisation, tol=1e-6, max_iter=1000).fit(
            (vectors @ basis).numpy(), labels, weights / len(views)
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
        """Return the fitted model's logits."""
        return flatten_features(images, self.pixels) @ adapted["coefficients"].T + adapted["intercepts"]


class LinearSVM(VectorLearner):
    """scikit-learn's `LinearSVC`, one machine per class against the rest, on features as they are or shrunken pixels.

    The logits of a class are its machine's decision values. They were not fitted to be log-probabilities, so that the
    probabilities are crude: trust the ranking more than the numbers. Inductive; nothing is meta-trained; `adapt` costs
    one convex fit per class.

    Args:
        input_spec: what it takes of each image.
        pixels: side of the shrunken image, if it takes pixels or voxels.
        regularisation: scikit-learn's C.
    """

    name = "svm"
    summary = "linear support vector machine"
    paper = "Cortes and Vapnik, 1995"
    cost = "one convex fit per class"
    randomised = True  # scikit-learn visits coordinates in random order, so that the support's order matters
    batchable = False

    def __init__(
        self,
        input_spec: InputSpec,
        *,
        pixels: int = 16,
        regularisation: float = 1.0,
    ) -> None:
        super().__init__(input_spec, pixels=pixels)
        self.regularisation = regularisation

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return coefficients and intercepts, one row per class; of two classes, one row is the other's negative."""
        from sklearn.svm import LinearSVC  # slow to import

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
        """Return the decision values."""
        return apply_head(adapted, images)
