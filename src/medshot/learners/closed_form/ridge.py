"""Ridge regression as the head of a network, solved in closed form inside every episode."""

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.features import SMALLEST, learned_logarithm, log_frequencies, memberships
from medshot.learners.kinds import NetworkLearner
from medshot.learners.seeding import Randomness
from medshot.networks import BaseNetwork
from medshot.tasks import Support

PENALTY, SCALE = 1.0, 5.0


class Ridge(NetworkLearner):
    """R2D2 (Bertinetto et al., 2019): ridge regression of the labels on a network's features.

    W = (XᵀX + λI)⁻¹ XᵀY = Xᵀ (XXᵀ + λI)⁻¹ Y, equations 4 and 5, whichever is the smaller system; the logits of x are
    α xᵀW plus the logarithm of each class's share of the support. Rows of X are features less their mean, rows of Y
    one-hot labels less theirs, both times the root of the sample's weight; every class weighs the same, however many
    samples it has. λ and α are learned; the published additive β is common to all classes and would change nothing
    under a softmax. Inductive; `adapt` costs one forward pass over the support and one Cholesky factorisation.
    """

    name = "ridge"
    summary = "ridge regression on features that are learned for it"
    paper = "Bertinetto et al., ICLR 2019"
    cost = "one linear system"

    def __init__(self, input_spec: InputSpec, *, width: int = 64) -> None:
        super().__init__(input_spec, width=width)
        self.log_penalty, self.log_scale = learned_logarithm(PENALTY), learned_logarithm(SCALE)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the coefficients of a linear classifier and its intercepts."""
        coefficients, centre = ridge_regression(support.images, memberships(support), self.log_penalty.exp())
        return {"coefficients": coefficients, "centre": centre, "prior": log_frequencies(support)}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the linear classifier's logits."""
        return self.log_scale.exp() * (images - adapted["centre"]) @ adapted["coefficients"] + adapted["prior"]


def ridge_regression(
    features: Float[Tensor, "samples features"], members: Float[Tensor, "samples ways"], penalty: Float[Tensor, ""]
) -> tuple[Float[Tensor, "features ways"], Float[Tensor, " features"]]:
    """Return coefficients of the class memberships on the features, and the mean that centres the features.

    The weights within each class are scaled so that classes add up to the same, and the total stays as it is.

    Args:
        features: one row per sample.
        members: each sample's weight in the column of its class.
        penalty: λ.
    """
    members = balanced(members)
    weights = members.sum(1)
    roots = weights.clamp(min=SMALLEST).sqrt()[:, None] * (weights > 0)[:, None]
    centre = weights @ features / weights.sum()
    targets = (members > 0).to(features) - 1 / members.shape[1]
    return solve(roots * (features - centre), roots * targets, penalty), centre


def balanced(members: Float[Tensor, "samples ways"]) -> Float[Tensor, "samples ways"]:
    """Scale the weights within each class so that classes add up to the same, and the total stays as it is."""
    return members / members.sum(0).clamp(min=SMALLEST) * members.sum() / members.shape[1]


def solve(
    rows: Float[Tensor, "samples features"], targets: Float[Tensor, "samples ways"], penalty: Float[Tensor, ""]
) -> Float[Tensor, "features ways"]:
    """Return the W of least |rows · W - targets|² + penalty |W|², by Cholesky in the smaller of the two spaces."""
    samples, features = rows.shape
    if samples < features:
        gram = rows @ rows.T + penalty * torch.eye(samples).to(rows)
        return rows.T @ torch.cholesky_solve(targets, torch.linalg.cholesky(gram))
    gram = rows.T @ rows + penalty * torch.eye(features).to(rows)
    return torch.cholesky_solve(rows.T @ targets, torch.linalg.cholesky(gram))


def block_sizes(network: BaseNetwork) -> tuple[int, ...]:
    """Return how many of the network's features each block has."""
    return network.input_spec.blocks or (1,) * network.features


def block_sums(values: Float[Tensor, "*rows features"], sizes: tuple[int, ...]) -> Float[Tensor, "*rows blocks"]:
    """Return the sum of the values within each block."""
    block = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(values.device)
    return values.new_zeros(*values.shape[:-1], len(sizes)).index_add(-1, block, values)


def block_spread(
    features: Float[Tensor, "samples features"], weights: Float[Tensor, " samples"], sizes: tuple[int, ...]
) -> Float[Tensor, " features"]:
    """Return the weighted mean square norm of each feature's block."""
    spread = weights @ block_sums(features.square(), sizes) / weights.sum() + SMALLEST
    return torch.cat([of_block.expand(size) for of_block, size in zip(spread, sizes, strict=True)])


def block_products(
    queries: Float[Tensor, "queries features"], samples: Float[Tensor, "samples features"], sizes: tuple[int, ...]
) -> Float[Tensor, "blocks queries samples"]:
    """Return the inner product of each query and sample, block by block."""
    pairs = zip(queries.split(sizes, -1), samples.split(sizes, -1), strict=True)
    return torch.stack([of_queries @ of_samples.T for of_queries, of_samples in pairs])
