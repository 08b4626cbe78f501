"""Ridge regression that weighs an encoder's depths for every task, from a prior that is learned across tasks."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from medshot.imaging import InputSpec
from medshot.learners.base import Adapted, Learner
from medshot.learners.closed_form.ridge import balanced, block_products, block_sums, solve
from medshot.learners.features import SMALLEST, log_frequencies, memberships, one_hot
from medshot.learners.gradient.base import Parameters, inner_loop
from medshot.learners.seeding import Randomness
from medshot.networks import base_network
from medshot.tasks import Support

USUAL_SHOTS = 5.0
SHOTS = (1.0, 10.0)
"""The settings depend on the number of images per class within this range; outside, those of the nearer end hold."""
LARGEST = 512
CONSTANT = 10.0
"""The intercept's kernel, large compared with that of features of norm 4: the intercept is hardly shrunk."""
LEAST_SCATTER = 1e-3
"""The least scatter as a share of a block's mean square; below it images count as equal in this block."""
WEIGHTS, PENALTY = "log_weights", "log_penalty"


class DepthRidge(Learner):
    """Kernel ridge regression with k = Σ_b w_b k_b over the blocks b of the features, w and λ fitted to the support.

    The depth of an encoder that serves best differs between tasks (Raghu et al., Transfusion, NeurIPS 2019). A support
    gives evidence on it: the error when each patient is left out, which has a closed form for ridge regression
    (Allen's PRESS, Technometrics 1974; by blocks of patients as in Rasmussen & Williams, 2006, section 5.4.2). The
    inner loop takes gradient steps from a start of log w and log λ on the cross-entropy of those predictions and a
    Gaussian prior around the start; few labels leave the prior as it is, and with one patient per class nothing moves.

    The images of one task are similar in most features of an encoder, in some depths far more than in others. So the
    start is w_b = exp(a_b) / r_b^γ, with a learned, r_b the block's scatter on this support as a share of its own mean
    square, and γ from 0 (the features as they are) to 1 (every depth has the same scatter).

    Learned across tasks: a; λ, γ and the scale of the logits as functions of the shots, between 1 and 10 of them; how
    firm the prior is; the step. Classes weigh the same. Samples of one patient are left out together; the support's
    mean, which features are centred by, keeps them. Supports of more than `LARGEST` samples keep the weights and λ
    that were learned, since kernels of all blocks would take too much memory. Inductive; `adapt` costs one kernel and
    `steps + 1` inversions of it.

    Args:
        input_spec: what it takes of each image.
        width: channels of the base network for pixels and voxels; features have none.
        steps: of the inner loop.
    """

    name = "depth-ridge"
    family = "Meta-NN"
    summary = "ridge regression that weighs depths by leaving patients out"
    paper = "after Allen, Technometrics 1974"
    cost = "one kernel, inverted nine times"
    gradient = "exact"

    def __init__(self, input_spec: InputSpec, *, width: int = 64, steps: int = 8) -> None:
        super().__init__(input_spec)
        self.width, self.steps = width, steps
        self.network: nn.Module = nn.Identity()
        if input_spec.blocks and not input_spec.is_bag:
            self.sizes = input_spec.blocks
        else:
            self.network = base_network(input_spec, width)
            self.sizes = (self.network.features,)
        self.log_weights = nn.Parameter(torch.zeros(len(self.sizes)))
        self.evenness: nn.Parameter | tuple[float, float] = nn.Parameter(torch.tensor([1.0, 0.0]))
        self.log_penalty = nn.Parameter(torch.zeros(2))
        self.log_scale = nn.Parameter(torch.tensor([1.6, 0.0]))
        self.log_precision = nn.Parameter(torch.tensor(1.0))
        self.log_step = nn.Parameter(torch.tensor(0.0))

    def embed(self, images: Float[Tensor, "images *image"]) -> Float[Tensor, "images features"]:
        """Return features as they are, and the base network's features of anything else."""
        return self.network(images)

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the coefficients of a linear classifier, its intercepts, and the weights of the blocks."""
        members = balanced(memberships(support))
        weights = members.sum(1)
        roots = weights.clamp(min=SMALLEST).sqrt()[:, None] * (weights > 0)[:, None]
        centre = weights @ support.images / weights.sum()
        rows = roots * (support.images - centre)
        targets = roots * ((members > 0).to(rows) - 1 / support.ways)
        shots = ((support.weights.sum() / support.ways).clamp(*SHOTS) / USUAL_SHOTS).log()
        scale = (self.log_scale[0] + self.log_scale[1] * shots).exp()
        start = self._start(rows, support, weights, shots)
        found = start
        if self.steps and len(rows) <= LARGEST:
            kernels = block_products(rows, rows, self.sizes)
            fit = _Fit(kernels, CONSTANT * roots * roots.T, targets, members, roots, self._same_patient(support))
            found = inner_loop(
                lambda values, step: self._loss(fit, values, start, scale, support),
                lambda gradients: {name: self.log_step.exp() * gradient for name, gradient in gradients.items()},
                start,
                steps=self.steps,
                order=2,
            )
        halves = (found[WEIGHTS] / 2).exp()
        factors = torch.cat([half.expand(size) for half, size in zip(halves, self.sizes, strict=True)])
        solved = solve(torch.cat([factors * rows, CONSTANT**0.5 * roots], dim=1), targets, found[PENALTY].exp())
        return {
            "coefficients": scale * factors[:, None] * solved[:-1],
            "intercepts": scale * CONSTANT**0.5 * solved[-1] + log_frequencies(support),
            "centre": centre,
            "log_weights": found[WEIGHTS],
        }

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the linear classifier's logits."""
        return (images - adapted["centre"]) @ adapted["coefficients"] + adapted["intercepts"]

    def _start(
        self,
        rows: Float[Tensor, "support features"],
        support: Support,
        weights: Float[Tensor, " support"],
        shots: Float[Tensor, ""],
    ) -> Parameters:
        """Return the prior's means; rows are centred and times the roots of the weights, shots are a logarithm."""
        scatter = block_sums(rows.square(), self.sizes).sum(0)
        length = weights @ block_sums(support.images.square(), self.sizes)
        differing = (scatter / length.clamp(min=SMALLEST)).clamp(min=LEAST_SCATTER)
        return {
            WEIGHTS: self.log_weights - (self.evenness[0] + self.evenness[1] * shots) * differing.log(),
            PENALTY: self.log_penalty[0] + self.log_penalty[1] * shots,
        }

    def _loss(
        self, fit: "_Fit", values: Parameters, start: Parameters, scale: Float[Tensor, ""], support: Support
    ) -> Float[Tensor, ""]:
        """Return the cross-entropy with patients left out and the prior, per sample that counts."""
        losses = functional.cross_entropy(scale * fit.left_out(values), support.labels, reduction="none")
        moved = sum((values[name] - start[name]).square().sum() for name in values)
        counts = fit.scored_weights(support)  # balanced, so that a frequent class does not dominate
        precision = self.log_precision.exp()
        return (counts @ losses + precision * moved / 2) / (counts.sum() + precision)

    @staticmethod
    def _same_patient(support: Support) -> Bool[Tensor, "support support"]:
        samples = len(support.labels)
        itself = torch.eye(samples, dtype=torch.bool, device=support.labels.device)
        if support.patients is None:
            return itself
        return itself | (support.patients[:, None] == support.patients)


class _Fit:
    """Kernel ridge regression of one support, as a function of the blocks' weights and the penalty.

    Args:
        kernels: `(blocks, support, support)`, of each block, rows and columns times the roots of the weights.
        constant: that of the intercept.
        targets: one-hot labels less their mean, times the roots.
        members: each sample's weight in the column of its class.
        roots: of the weights.
        same: which pairs are of one patient.
    """

    def __init__(
        self,
        kernels: Float[Tensor, "blocks support support"],
        constant: Float[Tensor, "support support"],
        targets: Float[Tensor, "support ways"],
        members: Float[Tensor, "support ways"],
        roots: Float[Tensor, "support 1"],
        same: Bool[Tensor, "support support"],
    ) -> None:
        self.kernels, self.constant, self.targets = kernels, constant, targets
        self.members, self.roots, self.same = members, roots, same

    def inverse(self, values: Parameters) -> Float[Tensor, "support support"]:
        """Return (Σ_b w_b K_b + constant + λ I)⁻¹."""
        kernel = torch.einsum("b,bij->ij", values[WEIGHTS].exp(), self.kernels) + self.constant
        return torch.linalg.inv(kernel + values[PENALTY].exp() * torch.eye(len(kernel)).to(kernel))

    def left_out(self, values: Parameters) -> Float[Tensor, "support ways"]:
        """Return each sample's prediction by the fit without its patient: y_P - (A_PP)⁻¹ (A y)_P, A the inverse."""
        inverse = self.inverse(values)
        residuals = torch.linalg.solve(inverse * self.same, inverse @ self.targets)
        return (self.targets - residuals) / self.roots.clamp(min=SMALLEST)

    def scored_weights(self, support: Support) -> Float[Tensor, " support"]:
        """Return the samples' balanced weights; 0 if no other patient has the sample's class."""
        others = (~self.same).to(self.members) @ self.members
        own = one_hot(support.labels, support.ways, self.members)
        return self.members.sum(1) * ((others * own).sum(1) > SMALLEST)


class EvenRidge(DepthRidge):
    """`DepthRidge` without an inner loop and with γ = 1: all depths count as if their scatter were the same.

    Learned across tasks: a; λ and the scale of the logits as functions of the shots. Inductive; `adapt` costs one
    linear system.

    Args:
        input_spec: what it takes of each image.
        width: channels of the base network for pixels and voxels; features have none.
    """

    name = "even-ridge"
    summary = "ridge regression in which all depths count equally"
    paper = "after Hoerl & Kennard, Technometrics 1970"
    cost = "one linear system"

    def __init__(self, input_spec: InputSpec, *, width: int = 64) -> None:
        super().__init__(input_spec, width=width, steps=0)
        del self.evenness, self.log_precision, self.log_step
        self.evenness = (1.0, 0.0)
