"""MetaOptNet: a support vector machine as the head of a network that is learned for it."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.imaging import ImageShape, InputShape
from medshot.learners.base import Adapted, Learner
from medshot.learners.content import Drawn
from medshot.learners.head import BIAS, WEIGHT, apply_head
from medshot.learners.svm.dual import crammer_singer
from medshot.learners.svm.kernels import linear_kernel, own_units
from medshot.networks import base_network
from medshot.tasks import Support

CENTRE = "centre"
STRENGTH, SCALE = 1.0, 4.0


class MetaSVM(Learner):
    """MetaOptNet (Lee et al., 2019): the multi-class SVM of Crammer and Singer on a network's features.

    Features are taken about the support's mean and divided by their root mean square distance to it, so that C means
    the same in every task; a constant 1 beside them gives an intercept. The logits of x are s Σ_i α_i k(x_i, x), with
    the α that `crammer_singer` finds, s the paper's learned scale and k the linear kernel. C is learned as well, and as
    the network is: by the gradient that α has at the optimum, not through the solver's steps. Inductive; `adapt` costs
    one forward pass over the support and 200 products of its Gram matrix.

    Args:
        shape: the images it takes.
        width: channels of the base network.
    """

    name = "meta-svm"
    family = "Meta-SVM"
    summary = "a support vector machine on features that are learned for it"
    paper = "Lee et al., CVPR 2019"
    cost = "one quadratic programme"
    gradient = "implicit"

    def __init__(self, shape: InputShape = ImageShape(channels=1, size=64), *, width: int = 64) -> None:
        super().__init__(shape)
        self.width = width
        self.network = base_network(shape, width)
        self.log_strength = nn.Parameter(torch.tensor(math.log(STRENGTH)))
        self.log_scale = nn.Parameter(torch.tensor(math.log(SCALE)))

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {"width": self.width}

    def embed(self, images: Float[Tensor, "images *shape"]) -> Float[Tensor, "images features"]:
        """The base network's features."""
        return self.network(images)

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """The linear head Σ_i α_i x_i, its intercept Σ_i α_i, and the support's mean feature."""
        centre, size = own_units(support.images, support.weights)
        vectors = (support.images - centre) / size
        strengths = self.log_strength.exp() * support.weights
        coefficients = crammer_singer(linear_kernel(vectors, vectors), support.labels, strengths, support.ways)
        scaled = self.log_scale.exp() * coefficients
        return {WEIGHT: scaled.T @ vectors / size, BIAS: scaled.sum(0), CENTRE: centre}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """The scaled margin of each class."""
        return apply_head(adapted, images - adapted[CENTRE])
