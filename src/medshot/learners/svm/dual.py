"""The multi-class support vector machine, solved in its dual by a fixed number of steps, with exact gradients."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from medshot.learners.features import one_hot

STEPS = 200
SQUARINGS = 5


def crammer_singer(
    gram: Float[Tensor, "support support"],
    labels: Int[Tensor, " support"],
    strengths: Float[Tensor, " support"],
    ways: int,
    steps: int = STEPS,
) -> Float[Tensor, "support ways"]:
    """Return the dual coefficients α of the multi-class SVM of Crammer and Singer (2001), as in Lee et al. (2019).

    The primal problem, over one w_k per class and without intercepts, is

        min ½ Σ_k |w_k|² + Σ_i c_i max_k (1 - [k = y_i] + w_k·φ(x_i) - w_{y_i}·φ(x_i)),

    where c_i is C times the weight of sample i. With G_ij = φ(x_i)·φ(x_j), D = diag(c) and α = D a, its dual is

        min ½ Σ_k a_kᵀ D G D a_k - Σ_i c_i a_{i,y_i}   where a_ik ≤ [k = y_i] and Σ_k a_ik = 0,

    w_k = Σ_i α_ik φ(x_i), and class k's margin at x is Σ_i α_ik φ(x_i)·φ(x). Each row of s = Y - a, with Y the one-hot
    labels, lies in the probability simplex. It is found from s = Y by accelerated projected gradients (FISTA; Beck and
    Teboulle, 2009) that restart their momentum if it points uphill (O'Donoghue and Candès, 2015). With φ as
    long as 4 and more dimensions than samples, 100 steps are within 1e-6 of the optimum, relative to it, for any C;
    classes that overlap in few dimensions with C of 10 and more need thousands.

    With two classes, w_1 = -w_2 at the optimum, and the difference v = w_1 - w_2 solves
    min ½|v|² + 2 Σ_i c_i max(0, 1 - y_i v·φ(x_i)): the binary SVM whose C is twice as large, at twice the objective.

    Differentiable in `gram` and `strengths` at the optimum, not through the steps: see `_attached`. This needs memory
    of (support · ways)²; under `torch.no_grad` it is left out.

    Args:
        gram: of any kernel.
        labels: 0 to ways - 1.
        strengths: c, C times the weight of each sample; a sample of 0 has no effect, with any row of `gram`.
        ways: the number of classes.
        steps: of the solver.
    """
    targets = one_hot(labels, ways, strengths)
    hessian = strengths[:, None] * gram * strengths
    linear = strengths[:, None] * targets
    shares = _solved(hessian.detach(), linear.detach(), targets, steps)
    actions = targets - shares
    if torch.is_grad_enabled():
        actions = _attached(actions, shares > 0, hessian, linear)
    return strengths[:, None] * actions


def dual_objective(
    gram: Float[Tensor, "support support"], labels: Int[Tensor, " support"], coefficients: Float[Tensor, "support ways"]
) -> Float[Tensor, ""]:
    """Return what `crammer_singer` maximises; at the optimum it equals the primal objective."""
    right = coefficients.gather(1, labels[:, None]).sum()
    return right - (coefficients * (gram @ coefficients)).sum() / 2


def _solved(
    hessian: Float[Tensor, "support support"],
    linear: Float[Tensor, "support ways"],
    targets: Float[Tensor, "support ways"],
    steps: int,
) -> Float[Tensor, "support ways"]:
    """Return the s of least ½ Σ_k (Y - s)_kᵀ Q (Y - s)_k + linear·s with rows in the simplex, Q being `hessian`."""
    rate = 1 / _largest_eigenvalue(hessian)
    start = (linear - hessian @ targets) * rate
    scaled = hessian * rate
    shares = point = targets
    age = torch.full_like(rate, -1)
    for _ in range(steps):
        moved = _onto_simplex(point - (scaled @ point + start))
        change = moved - shares
        downhill = ((point - moved) * change).sum() <= 0
        age = (age + 1) * downhill
        shares, point = moved, moved + age / (age + 3) * change
    return shares


def _onto_simplex(rows: Float[Tensor, "support ways"]) -> Float[Tensor, "support ways"]:
    """Return the nearest point of the probability simplex to each row, by sorting (Duchi et al., 2008, figure 1)."""
    ordered = rows.sort(1, descending=True).values
    counts = torch.arange(1, rows.shape[1] + 1, device=rows.device)
    thresholds = (ordered.cumsum(1) - 1) / counts
    return (rows - thresholds.amax(1, keepdim=True)).clamp(min=0)


def _largest_eigenvalue(matrix: Float[Tensor, "rows rows"]) -> Float[Tensor, ""]:
    """Return a bound λ ≤ (tr M^p)^(1/p), p = 2^SQUARINGS: at most 1.13 times λ for 50 rows, equal in any order."""
    bound = torch.ones_like(matrix[0, 0])
    for squaring in range(SQUARINGS):
        trace = matrix.diagonal().sum().clamp(min=torch.finfo(matrix.dtype).tiny)
        bound = bound * trace ** (0.5**squaring)
        matrix = matrix / trace
        matrix = matrix @ matrix
    return bound * matrix.diagonal().sum().clamp(min=torch.finfo(matrix.dtype).tiny) ** (0.5**SQUARINGS)


def _attached(
    actions: Float[Tensor, "support ways"],
    free: Bool[Tensor, "support ways"],
    hessian: Float[Tensor, "support support"],
    linear: Float[Tensor, "support ways"],
) -> Float[Tensor, "support ways"]:
    """Return the same a, with the gradient that the optimum has in Q (`hessian`) and b (`linear`).

    While the set of a_ik that lie on their bound stays as it is, a moves in the space of directions that are zero there
    and sum to zero in each sample. With P the projection onto it, P (Q a - b) = 0 at the optimum, so that
    da = -H⁻¹ P d(Q a - b), where H = P (Q ⊗ I) P + (I - P) and a little more, for directions in which Q is zero.
    """
    support, ways = actions.shape
    floor = torch.finfo(hessian.dtype).eps ** 0.5
    fixed = hessian.detach()
    size = fixed.diagonal().amax().clamp(min=torch.finfo(hessian.dtype).tiny)
    kept = free.to(fixed)
    onto = torch.diag_embed(kept) - kept[:, :, None] * kept[:, None, :] / kept.sum(1)[:, None, None]
    identity = torch.eye(ways, device=fixed.device).to(fixed)
    same_sample = torch.eye(support, device=fixed.device).to(fixed)[:, None, :, None]
    bound = same_sample * (identity - onto + floor * identity)[:, :, None, :]
    system = torch.einsum("ij,ikm,jml->ikjl", fixed / size, onto, onto) + bound
    slope = torch.einsum("ikl,il->ik", onto, hessian @ actions - linear) / size
    moved = torch.linalg.solve(system.reshape(support * ways, -1), (slope - slope.detach()).reshape(-1))
    return actions - moved.reshape(support, ways)
