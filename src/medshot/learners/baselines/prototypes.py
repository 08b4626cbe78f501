"""Baselines that keep the support or its class means: nearest neighbours, and transductive prototypes."""

import torch
from jaxtyping import Float
from torch import Tensor

from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.features import log_frequencies, memberships, one_hot, squared_distances
from medshot.learners.kinds import VectorLearner
from medshot.learners.seeding import Randomness
from medshot.tasks import Support

NEAREST = 1e-4


class Neighbours(VectorLearner):
    """Nearest neighbours that vote with weight 1 / distance (Dudani, 1976), on features or shrunken pixels.

    This is scikit-learn's `KNeighborsClassifier(weights="distance")` with `neighbours` neighbours, or with all images
    if there are fewer. One more vote is shared by all classes, so that no class is impossible. Inductive; nothing is
    meta-trained; `adapt` only keeps the support.

    Args:
        input_spec: what it takes of each image.
        pixels: side of the shrunken image, if it takes pixels or voxels.
        neighbours: k.
    """

    name = "knn"
    summary = "the five nearest neighbours, nearer ones counting more"
    paper = "Cover and Hart, 1967; Dudani, 1976"
    cost = "nothing but features"

    def __init__(self, input_spec: InputSpec, *, pixels: int = 16, neighbours: int = 5) -> None:
        super().__init__(input_spec, pixels=pixels)
        self.neighbours = neighbours

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the support's vectors, the class of each as a row of 0 and 1, and which are not padding."""
        classes = one_hot(support.labels, support.ways, support.images)
        return {"vectors": support.images, "classes": classes, "real": (support.weights > 0).to(support.images)}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the logarithm of each class's share of the vote, smoothed by one more vote."""
        distances = squared_distances(images, adapted["vectors"]).clamp(min=NEAREST**2).sqrt()
        distances = torch.where(adapted["real"] > 0, distances, torch.inf)
        count = min(self.neighbours, len(adapted["vectors"]))
        nearest, rows = distances.topk(count, largest=False)
        votes = adapted["real"][rows] / nearest
        shares = torch.einsum("qk,qkw->qw", votes / votes.sum(1, keepdim=True), adapted["classes"][rows])
        voters = adapted["real"].sum().clamp(max=count)
        return ((voters * shares + 1 / shares.shape[1]) / (voters + 1)).log()


STEPS = 10
SHARPNESS = 0.5
SHARE = 0.3


class TransductivePrototypes(VectorLearner):
    """Class means that take in all queries of a call by soft k-means, on features or shrunken pixels. **Transductive.**

    p(k | q) ∝ π_k exp(-s |q - c_k|²), where π_k is the class's share of the support. Each query belongs to each class
    in part, by this probability z; class means c are those of the support and of the queries, each query with weight
    w z; z follows from these, and so on for ten rounds (Ren et al., ICLR 2018, equation 4). A query is judged by means
    that it did not move itself, so that it cannot confirm itself: from the mean c of a class of weight M, the distance
    to the mean without it is |q - c| M / (M - w z).

    Nothing is assumed about how many queries a class has. A single query moves nothing: its class is that of the
    nearest mean. Predictions depend on the other images of a call, so give those of one source together; nothing is
    meta-trained; `adapt` costs one mean per class.
    """

    name = "transductive-prototypes"
    summary = "the nearest class mean, refined by all images of a call: transductive"
    paper = "Ren et al., ICLR 2018"
    cost = "one mean per class"
    inductive = False

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the sum of each class's vectors, its weight, and the logarithm of its share."""
        members = memberships(support)
        return {"sums": members.T @ support.images, "masses": members.sum(0), "prior": log_frequencies(support)}

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the nearness to the means of the support without the queries."""
        means = adapted["sums"] / adapted["masses"][:, None]
        return adapted["prior"] - SHARPNESS * squared_distances(images, means)

    def predict_jointly(
        self, adapted: Adapted, images: Float[Tensor, "queries features"], weights: Float[Tensor, " queries"]
    ) -> Float[Tensor, "queries ways"]:
        """Return the nearness to the means of the support and of the other queries."""
        share = SHARE * (weights > 0).to(images)[:, None]
        logits = self.predict_one(adapted, images)
        for _ in range(STEPS):
            belonging = share * logits.softmax(1)
            masses = adapted["masses"] + belonging.sum(0)
            means = (adapted["sums"] + belonging.T @ images) / masses[:, None]
            without_itself = squared_distances(images, means) * (masses / (masses - belonging)).square()
            logits = adapted["prior"] - SHARPNESS * without_itself
        return logits
