"""Logistic regression whose queries learn from each other: they move the class means by which they are judged."""

from jaxtyping import Float
from torch import Tensor

from medshot.learners.base import Adapted
from medshot.learners.baselines.logistic import Logistic
from medshot.learners.content import Drawn
from medshot.learners.prototypes import memberships, squared_distances
from medshot.learners.vectors import as_vectors
from medshot.tasks import Support

STEPS = 10
SHARPNESS = 0.5
SHARE = 0.3


class TransductiveLogistic(Logistic):
    """Logistic regression, and soft k-means over all queries of a call that corrects it. **Transductive.**

    Each query belongs to each class in part, by its probability z; class means are those of the support and of the
    queries, each with weight `SHARE` · z (Ren et al., ICLR 2018, equation 4). A query is judged by means that it did
    not move itself, so that it cannot confirm itself: with the mean c of a class of weight M, its distance to the mean
    without it is |q - c| M / (M - SHARE · z). What these distances add to those from the support's means alone is added
    to the logits, z follows from these, and so on for `STEPS` rounds.

    Nothing is assumed of how many queries a class has. A single query moves nothing and is classified by logistic
    regression. Predictions depend on the other images of a call, so give those of one source together; nothing is
    meta-trained; `adapt` costs a fit of logistic regression.
    """

    name = "transductive-logistic"
    summary = "logistic regression, corrected by soft k-means over all images to be classified: transductive"
    paper = "Ren et al., ICLR 2018"
    cost = "one convex fit"
    inductive = False

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """The fit of logistic regression, and of each class the sum of its support's vectors and its weight."""
        members = memberships(support.labels, support.weights, support.ways)
        return super().adapt_one(support, drawn) | {
            "sums": members.T @ as_vectors(support.images, self.pixels),
            "masses": members.sum(0),
        }

    def predict_among(
        self, adapted: Adapted, images: Float[Tensor, "queries *image"], weights: Float[Tensor, " queries"]
    ) -> Float[Tensor, "queries ways"]:
        """The fitted model's logits and what the other queries add to them."""
        logits, queries = self.predict_one(adapted, images), as_vectors(images, self.pixels)
        share = SHARE * (weights > 0).to(queries)[:, None]
        alone = squared_distances(queries, adapted["sums"] / adapted["masses"][:, None])
        corrected = logits
        for _ in range(STEPS):
            belonging = share * corrected.softmax(1)
            masses = adapted["masses"] + belonging.sum(0)
            means = (adapted["sums"] + belonging.T @ queries) / masses[:, None]
            among = squared_distances(queries, means) * (masses / (masses - belonging)).square()
            corrected = logits + SHARPNESS * (alone - among)
        return corrected
