"""Meta-features: numbers that describe a support, from which learners predict settings for a new task."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from medshot.tasks import Support

META_FEATURES: tuple[str, ...] = (
    "log_support",
    "log_ways",
    "log_smallest_shots",
    "log_mean_shots",
    "imbalance",
    "within_spread",
    "between_spread",
    "separation",
    "cosine_similarity",
    "nearest_mean_accuracy",
    "nearest_neighbour_accuracy",
    "effective_dimension",
    "distance_variation",
    "alignment",
)
"""The names of the numbers that `meta_features` returns, in order."""

SOFTNESS = 0.01
FLOOR = 0.01
FAR = 1e6
TINY = 1e-12


def meta_features(support: Support) -> Float[Tensor, " meta"]:
    """Describe a support in `len(META_FEATURES)` numbers of about -2 to 2.

    The order of the support, the names of its classes, padding, and scale or rotations of the vectors change nothing.
    Vectors are first divided by their root mean square norm. SS_w and SS_b are the sums of squared distances of samples
    to their class's mean, and of these means, once per sample, to the mean of all; n is the number of samples, K of
    classes among them, T = (SS_w + SS_b) / (n - 1). Leave-one-out accuracies are means over classes of two samples or
    more; nearly equal distances count as half right.

    ==========================  =========================================================================
    log_support                 (ln n - 3.4) / 1.2: 0 at 30 samples
    log_ways                    (ln ways - 1.1) / 0.7: 0 at 3 classes
    log_smallest_shots          (ln (samples of the smallest class) - 1.6) / 0.8: 0 at 5
    log_mean_shots              (ln (n / ways) - 1.6) / 0.8
    imbalance                   ln (samples of the largest class / of the smallest)
    within_spread               ln (W + 0.01) + 2, W = (SS_w + T) / (n - K + 1)
    between_spread              ln (SS_b / n + 0.01) + 2
    separation                  ln ((SS_b / (K - 1) + T / 10) / (W + T / 10)) / 2: 0 at chance and with one shot
    cosine_similarity           mean over pairs of samples
    nearest_mean_accuracy       leave-one-out; 0 at chance, 1 if all are right
    nearest_neighbour_accuracy  likewise
    effective_dimension         ln (tr(G)² / tr(G²)) - 2, G the Gram matrix about the mean
    distance_variation          4 variance / mean² of the squared distances of pairs
    alignment                   2 correlation over pairs of nearness and being of one class: 0 with one shot
    ==========================  =========================================================================

    Args:
        support: of one task; weight 0 marks padding, and all other weights count alike.
    """
    real = support.weights > 0
    classes = torch.arange(support.ways, device=support.labels.device)
    member = (support.labels[:, None] == classes) & real[:, None]
    vectors = support.images * real[:, None]
    square = vectors.square().sum() / real.sum()
    vectors = vectors / square.clamp(min=torch.finfo(square.dtype).tiny).sqrt()
    centred = (vectors - vectors.sum(0) / real.sum()) * real[:, None]
    gram = centred @ centred.T
    return torch.stack(
        [
            *_sizes(member.sum(0).to(gram)),
            *_spreads(gram, member.to(gram)),
            _cosine_similarity(vectors),
            *_accuracies(gram, member),
            _effective_dimension(gram),
            *_of_pairs(gram, member),
        ]
    )


def _sizes(counts: Float[Tensor, " ways"]) -> list[Float[Tensor, ""]]:
    size, ways = counts.sum(), torch.full_like(counts[0], len(counts))
    smallest, largest = counts.amin().clamp(min=1), counts.amax()
    return [
        (size.log() - 3.4) / 1.2,
        (ways.log() - 1.1) / 0.7,
        (smallest.log() - 1.6) / 0.8,
        ((size / ways).log() - 1.6) / 0.8,
        (largest / smallest).log(),
    ]


def _spreads(gram: Float[Tensor, "support support"], member: Float[Tensor, "support ways"]) -> list[Float[Tensor, ""]]:
    counts = member.sum(0)
    size, present = counts.sum(), (counts > 0).sum()
    total = gram.diagonal().sum()
    between = ((member * (gram @ member)).sum(0) / counts.clamp(min=1)).sum()
    within = (total - between).clamp(min=0)
    average = total / (size - 1).clamp(min=1)
    noise = (within + average) / (size - present + 1)
    signal = between / (present - 1).clamp(min=1)
    separation = (signal + average / 10 + TINY).log() - (noise + average / 10 + TINY).log()
    return [(noise + FLOOR).log() + 2, (between / size + FLOOR).log() + 2, separation / 2]


def _cosine_similarity(vectors: Float[Tensor, "support features"]) -> Float[Tensor, ""]:
    """Return the mean over pairs of vectors that are not zero."""
    squares = vectors.square().sum(1)
    units = vectors / (squares + TINY).sqrt()[:, None]
    count = (squares > 0).sum()
    return (units.sum(0).square().sum() - units.square().sum()) / (count * (count - 1)).clamp(min=1)


def _accuracies(
    gram: Float[Tensor, "support support"], member: Bool[Tensor, "support ways"]
) -> list[Float[Tensor, ""]]:
    """Return the leave-one-out accuracies of the nearest mean and of the nearest neighbour."""
    counts, ones = member.sum(0), member.to(gram)
    averaging = ones / counts.clamp(min=1)
    to_means = _distances(gram.diagonal(), (averaging * (gram @ averaging)).sum(0), gram @ averaging)
    without = (counts / (counts - 1).clamp(min=1)).square()  # the distance to the mean of the others of its class
    own = (to_means * without * ones).sum(1)
    nearest_mean = _right(own, _smallest(to_means, ~member & (counts > 0)))

    others, same = _others(member.any(1)), _same_class(member)
    to_samples = _distances(gram.diagonal(), gram.diagonal(), gram)
    nearest_sample = _right(_smallest(to_samples, others & same), _smallest(to_samples, others & ~same))

    judged, chance = (counts > 1).to(gram), 1 / counts.numel()
    return [
        (((right @ averaging) - chance) * judged).sum() / judged.sum().clamp(min=1) / (1 - chance)
        for right in (nearest_mean, nearest_sample)
    ]


def _distances(
    one: Float[Tensor, " support"], other: Float[Tensor, " others"], products: Float[Tensor, "support others"]
) -> Float[Tensor, "support others"]:
    """Return squared distances from squared norms and inner products."""
    return (one[:, None] + other - 2 * products).clamp(min=0)


def _smallest(
    distances: Float[Tensor, "support others"], among: Bool[Tensor, "support others"]
) -> Float[Tensor, " support"]:
    return torch.where(among, distances, FAR).amin(1)


def _right(own: Float[Tensor, " support"], other: Float[Tensor, " support"]) -> Float[Tensor, " support"]:
    """Return 1 if the own class is nearer, 0 if another is, a number between if both are nearly as near."""
    return torch.sigmoid((other - own) / (other + own + TINY) / SOFTNESS)


def _effective_dimension(gram: Float[Tensor, "support support"]) -> Float[Tensor, ""]:
    """Return the participation ratio of the Gram matrix's eigenvalues."""
    return ((gram.diagonal().sum().square() + TINY) / (gram.square().sum() + TINY)).log() - 2


def _of_pairs(gram: Float[Tensor, "support support"], member: Bool[Tensor, "support ways"]) -> list[Float[Tensor, ""]]:
    """Return how much distances vary, and how much of that is due to the classes."""
    pairs, same = _others(member.any(1)).to(gram), _same_class(member).to(gram)
    distances = _distances(gram.diagonal(), gram.diagonal(), gram)
    count = pairs.sum().clamp(min=1)
    mean = (distances * pairs).sum() / count
    far = (distances - mean) * pairs
    unlike = ((same * pairs).sum() / count - same) * pairs
    variance = far.square().sum() / count
    correlation = (far * unlike).sum() / count / (variance * unlike.square().sum() / count + TINY).sqrt()
    return [4 * variance / (mean.square() + TINY), 2 * correlation]


def _others(real: Bool[Tensor, " support"]) -> Bool[Tensor, "support support"]:
    """Return which pairs are of two different samples."""
    return real[:, None] & real & ~torch.eye(len(real), dtype=torch.bool, device=real.device)


def _same_class(member: Bool[Tensor, "support ways"]) -> Bool[Tensor, "support support"]:
    return (member[:, None] & member).any(-1)
