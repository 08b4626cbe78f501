"""A support vector machine whose kernel and settings for a new task are what earlier tasks taught about such tasks."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn
from medshot.learners.meta_features import META_FEATURES, meta_features
from medshot.learners.svm.dual import crammer_singer
from medshot.learners.svm.kernels import mixed_kernel, own_units
from medshot.learners.vectors import as_vectors
from medshot.tasks import Support

PRIOR_STRENGTH, GAMMA, MIX, PRIOR_SCALE = 3.0, 1.0, 0.7, 4.0
SPREAD = 0.01


class SVMPrior(Learner):
    """A kernel SVM on vectors as they are; nothing but its settings is meta-learned.

    With m the `meta_features` of the support, log C = a·m + a₀, log γ = b·m + b₀, logit mix = c·m + c₀ and the
    logarithm of the logits' scale likewise. C, γ and mix go into the multi-class SVM of Crammer and Singer (2001) with
    `mixed_kernel`; the lines are learned by the meta-loss, through the gradient that the dual has at its optimum
    (Chapelle et al., 2002, on the data of one task). a, b and c start near zero, a₀, b₀ and c₀ at settings that serve
    most tasks. A task's settings are among what `adapt_one` returns: C, gamma, mix and scale. Inductive; `adapt` costs
    the support's Gram matrix and 200 products of it.

    Args:
        shape: the images it takes.
        pixels: side of the shrunken image, where pixels are given.
    """

    name = "svm-prior"
    family = "Meta-SVM"
    summary = "a kernel SVM whose settings are predicted from the support by what earlier tasks taught"
    paper = "Crammer and Singer, JMLR 2001; Chapelle et al., Machine Learning 2002"
    cost = "one quadratic programme"
    gradient = "implicit"

    def __init__(self, shape: InputShape = ImageShape(channels=1, size=64), *, pixels: int = 16) -> None:
        super().__init__(shape)
        self.pixels = pixels
        self.prior = nn.Linear(len(META_FEATURES), 4)
        nn.init.normal_(self.prior.weight, std=SPREAD)
        start = [math.log(PRIOR_STRENGTH), math.log(GAMMA), math.log(MIX / (1 - MIX)), math.log(PRIOR_SCALE)]
        self.prior.bias = nn.Parameter(torch.tensor(start))

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"pixels": self.pixels}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The images as vectors."""
        return as_vectors(images, self.pixels)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """The predicted settings, the support's vectors in its own units, and their coefficients."""
        labelled = support.labels, support.weights, support.ways
        log_strength, log_gamma, mix, log_scale = self.prior(meta_features(support.images, *labelled)).unbind()
        predicted = {"C": log_strength.exp(), "gamma": log_gamma.exp(), "mix": mix.sigmoid(), "scale": log_scale.exp()}
        centre, size = own_units(support.images, support.weights)
        vectors = (support.images - centre) / size
        gram = mixed_kernel(vectors, vectors, predicted["gamma"], predicted["mix"])
        coefficients = crammer_singer(gram, support.labels, predicted["C"] * support.weights, support.ways)
        return predicted | {"vectors": vectors, "coefficients": coefficients, "centre": centre, "size": size}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """The scaled margin of each class."""
        vectors = (images - adapted["centre"]) / adapted["size"]
        kernel = mixed_kernel(vectors, adapted["vectors"], adapted["gamma"], adapted["mix"])
        return adapted["scale"] * kernel @ adapted["coefficients"]
