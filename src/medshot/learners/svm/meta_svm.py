"""Support vector machines with meta-learned features (MetaOptNet) or meta-learned settings."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.features import BIAS, WEIGHT, apply_head, learned_logarithm, squared_distances
from medshot.learners.kinds import NetworkLearner, VectorLearner
from medshot.learners.meta_features import META_FEATURES, meta_features
from medshot.learners.seeding import Randomness
from medshot.learners.svm.dual import crammer_singer
from medshot.tasks import Support

SMALLEST = 1e-12


def own_units(
    vectors: Float[Tensor, "support features"], weights: Float[Tensor, " support"]
) -> tuple[Float[Tensor, " features"], Float[Tensor, ""]]:
    """Return the mean of a support's vectors and their root mean square distance to it."""
    share = weights / weights.sum()
    centre = share @ vectors
    square = share @ (vectors - centre).square().sum(1)
    return centre, square.clamp(min=SMALLEST).sqrt()


def linear_kernel(
    one: Float[Tensor, "samples features"], other: Float[Tensor, "others features"]
) -> Float[Tensor, "samples others"]:
    """Return x·x' + 1, where the 1 is that of an intercept.

    Without it the Gram matrix of a centred support maps the vector of ones to zero, its dual has many solutions, and
    the gradient of the one that is found has no meaning.
    """
    return one @ other.T + 1


def mixed_kernel(
    one: Float[Tensor, "samples features"],
    other: Float[Tensor, "others features"],
    gamma: Float[Tensor, ""],
    mix: Float[Tensor, ""],
) -> Float[Tensor, "samples others"]:
    """Return (1 - mix) x·x' + mix exp(-γ |x - x'|² / 2) + 1; a mix of kernels is a kernel.

    In a support's own units the mean squared distance of its pairs is 2, so that γ is relative to that.
    """
    near = torch.exp(-gamma * squared_distances(one, other).clamp(min=0) / 2)
    return torch.lerp(linear_kernel(one, other), near + 1, mix)


CENTRE = "centre"
STRENGTH, SCALE = 1.0, 4.0


class MetaSVM(NetworkLearner):
    """MetaOptNet (Lee et al., 2019): the multi-class SVM of Crammer and Singer on a network's features.

    Features are centred at the support's mean and divided by their root mean square distance to it, so that C means
    the same in every task; a constant 1 beside them gives an intercept. The logits of x are s Σ_i α_i k(x_i, x), with
    the α that `crammer_singer` finds, s the paper's learned scale and k the linear kernel. C is learned as well, and as
    the network is: by the gradient that α has at the optimum, not through the solver's steps. Inductive; `adapt` costs
    one forward pass over the support and 200 products of its Gram matrix.
    """

    name = "meta-svm"
    family = "Meta-SVM"
    summary = "a support vector machine on features that are learned for it"
    paper = "Lee et al., CVPR 2019"
    cost = "one quadratic programme"
    gradient = "implicit"

    def __init__(self, input_spec: InputSpec, *, width: int = 64) -> None:
        super().__init__(input_spec, width=width)
        self.log_strength = learned_logarithm(STRENGTH)
        self.log_scale = learned_logarithm(SCALE)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the linear head Σ_i α_i x_i, its intercept Σ_i α_i, and the support's mean feature."""
        centre, size = own_units(support.images, support.weights)
        vectors = (support.images - centre) / size
        strengths = self.log_strength.exp() * support.weights
        coefficients = crammer_singer(linear_kernel(vectors, vectors), support.labels, strengths, support.ways)
        scaled = self.log_scale.exp() * coefficients
        return {WEIGHT: scaled.T @ vectors / size, BIAS: scaled.sum(0), CENTRE: centre}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the scaled margin of each class."""
        return apply_head(adapted, images - adapted[CENTRE])


PRIOR_STRENGTH, GAMMA, MIX, PRIOR_SCALE = 3.0, 1.0, 0.7, 4.0
SPREAD = 0.01


class SVMPrior(VectorLearner):
    """A kernel SVM on vectors as they are; only its settings are meta-learned.

    With m the `meta_features` of the support, log C = a·m + a₀, log γ = b·m + b₀, logit mix = c·m + c₀ and the
    logarithm of the logits' scale likewise. C, γ and mix go into the multi-class SVM of Crammer and Singer (2001) with
    `mixed_kernel`; the lines are learned by the meta-loss, through the gradient that the dual has at its optimum
    (Chapelle et al., 2002, on the data of one task). a, b and c start near zero, a₀, b₀ and c₀ at settings that serve
    most tasks. A task's settings are among what `adapt_one` returns: C, gamma, mix and scale. Inductive; `adapt` costs
    the support's Gram matrix and 200 products of it.
    """

    name = "svm-prior"
    family = "Meta-SVM"
    summary = "a kernel SVM with settings predicted from the support, as learned across tasks"
    paper = "Crammer and Singer, JMLR 2001; Chapelle et al., Machine Learning 2002"
    cost = "one quadratic programme"
    gradient = "implicit"

    def __init__(self, input_spec: InputSpec, *, pixels: int = 16) -> None:
        super().__init__(input_spec, pixels=pixels)
        self.prior = nn.Linear(len(META_FEATURES), 4)
        nn.init.normal_(self.prior.weight, std=SPREAD)
        start = [math.log(PRIOR_STRENGTH), math.log(GAMMA), math.log(MIX / (1 - MIX)), math.log(PRIOR_SCALE)]
        self.prior.bias = nn.Parameter(torch.tensor(start))

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the predicted settings, the support's vectors in its own units, and their coefficients."""
        log_strength, log_gamma, mix, log_scale = self.prior(meta_features(support)).unbind()
        predicted = {"C": log_strength.exp(), "gamma": log_gamma.exp(), "mix": mix.sigmoid(), "scale": log_scale.exp()}
        centre, size = own_units(support.images, support.weights)
        vectors = (support.images - centre) / size
        gram = mixed_kernel(vectors, vectors, predicted["gamma"], predicted["mix"])
        coefficients = crammer_singer(gram, support.labels, predicted["C"] * support.weights, support.ways)
        return predicted | {"vectors": vectors, "coefficients": coefficients, "centre": centre, "size": size}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the scaled margin of each class."""
        vectors = (images - adapted["centre"]) / adapted["size"]
        kernel = mixed_kernel(vectors, adapted["vectors"], adapted["gamma"], adapted["mix"])
        return adapted["scale"] * kernel @ adapted["coefficients"]
