"""A random forest whose settings and calibration for a new task are learned from earlier tasks."""

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from medshot.imaging import InputSpec
from medshot.learners.base import Adapted
from medshot.learners.forest.trees import FittedTree, SettingsSpace, class_values, joint, leaf_values, tree_tensors
from medshot.learners.kinds import VectorLearner
from medshot.learners.meta_features import META_FEATURES, meta_features
from medshot.learners.seeding import Randomness, canonical_labels
from medshot.tasks import Support


def calibrated(
    probabilities: Float[Tensor, "queries ways"], temperature: Float[Tensor, ""], smoothing: Float[Tensor, ""]
) -> Float[Tensor, "queries ways"]:
    """Return logits τ log((p + ε) / (1 + K ε)) of the K classes.

    The order of the classes stays as it is. With ε no class is impossible, even if no tree has voted for it; the larger
    it is, the nearer are all classes to 1 / K. τ above 1 makes up for averaging, after which a forest is less confident
    than it should be (Niculescu-Mizil and Caruana, ICML 2005).

    Args:
        probabilities: of every query.
        temperature: τ, positive.
        smoothing: ε, positive.
    """
    return temperature * ((probabilities + smoothing) / (1 + probabilities.shape[1] * smoothing)).log()


TEMPERATURE, SMOOTHING = 2.0, 0.05
SPREAD = 0.01
PACE = 5.0
"""The factor by which the probabilities of settings learn faster than the calibration."""
WEIGHTS, SETTINGS = "trees.weights", "trees.settings"


class MetaForest(VectorLearner):
    """scikit-learn's `RandomForestClassifier` on vectors as they are; its settings and calibration are meta-learned.

    With m the `meta_features` of the support, the probability of each value of each setting (`SettingsSpace`) is
    softmax(A m + a) over the values of that setting, that of settings j together, p_j, their product. A forest grows
    its trees with settings j in proportion to p_j: it is the mixture Σ_j p_j f_j of forests f_j. Its probabilities are
    `calibrated` with log τ = b·m + b₀ and log ε = c·m + c₀. A and a, b and c are learned by the meta-loss; trees have
    no gradient and need none, since the mixture is linear in p. While meta-training, it is over `trials` settings drawn
    by the probabilities q_j that all tasks start with, each with a small forest of its own and the weight p_j / q_j:
    drawing does not depend on what is learned, so that the gradient of that loss is exact. (Settings drawn uniformly
    would teach to spread p, since a few small forests that count alike err less than one.) Otherwise all trees count
    alike and p decides how many of them have which settings, so that p has no gradient. The settings of each tree are
    among what `adapt_one` returns, with the probabilities of all values, τ and ε. Inductive; `adapt` costs growing
    `trees` trees, about a millisecond each.

    Args:
        input_spec: what it takes of each image.
        pixels: side of the shrunken image, if it takes pixels or voxels.
        trees: number of trees of an adapted forest.
        trials: settings drawn for a task while meta-training.
        trial_trees: number of trees grown with each of them.
    """

    name = "meta-forest"
    family = "Meta-RF"
    summary = "a random forest with settings and calibration learned across tasks"
    paper = "Breiman, Machine Learning 2001; settings learned across tasks here"
    cost = "growing 240 trees"
    gradient = "exact"
    randomised = True
    batchable = False

    def __init__(
        self,
        input_spec: InputSpec,
        *,
        pixels: int = 16,
        trees: int = 240,
        trials: int = 5,
        trial_trees: int = 25,
    ) -> None:
        super().__init__(input_spec, pixels=pixels)
        self.trees, self.trials, self.trial_trees = trees, trials, trial_trees
        self.space = SettingsSpace(input_spec)
        self.policy = _prior(self.space.start / PACE)
        self.calibration = _prior(torch.tensor([math.log(TEMPERATURE), math.log(SMOOTHING)]))

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """Sample the settings to try while meta-training, and a seed for the trees."""
        return {
            "trials": self.space.trials(self.trials, generator),
            "seed": torch.randint(2**31, (1,), generator=generator),
        }

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return the trees with their weights and settings, the probabilities of all settings, τ and ε."""
        real = support.weights > 0
        labels, classes = canonical_labels(support.labels[real])
        vectors = support.images[real].detach()
        meta = meta_features(Support(vectors, labels, torch.ones_like(vectors[:, 0]), support.ways))
        probable = self.space.log_probabilities(PACE * self.policy(meta))
        log_temperature, log_smoothing = self.calibration(meta)
        if self.training:
            of_tree = randomness["trials"].repeat_interleave(self.trial_trees, 0)
            start = self.space.log_probabilities(self.space.start.to(meta))
            weights = (joint(probable, of_tree) - joint(start, of_tree)).softmax(0)
        else:
            of_tree = self.space.shares(probable, self.trees)
            weights = vectors.new_full((self.trees,), 1 / self.trees)
        trees, columns = self._grow(of_tree, vectors, labels, int(randomness["seed"]))
        return {
            **tree_tensors(trees, class_values(trees, classes, support.ways), columns=columns, support=support.images),
            WEIGHTS: weights,
            SETTINGS: of_tree,
            **{f"probabilities.{name}": axis.exp() for name, axis in probable.items()},
            "temperature": log_temperature.exp(),
            "smoothing": log_smoothing.exp(),
        }

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries features"]) -> Float[Tensor, "queries ways"]:
        """Return the calibrated logits of the mixture of forests."""
        probabilities = torch.einsum("t,tqk->qk", adapted[WEIGHTS], leaf_values(adapted, images))
        return calibrated(probabilities, adapted["temperature"], adapted["smoothing"])

    def _grow(
        self,
        of_tree: Int[Tensor, "trees axes"],
        vectors: Float[Tensor, "support features"],
        labels: Int[Tensor, " support"],
        seed: int,
    ) -> tuple[list[FittedTree], list[Int[np.ndarray, " used"]]]:
        """Grow every tree; return it with the columns it uses. Trees of the same settings in a row are one forest."""
        rows, classes = vectors.cpu().float().numpy(), labels.cpu().numpy()
        forests = zip(*torch.unique_consecutive(of_tree, dim=0, return_counts=True), strict=True)
        trees: list[FittedTree] = []
        columns: list[Int[np.ndarray, " used"]] = []
        for number, (settings, count) in enumerate(forests):
            forest, used = self.space.grow(settings.tolist(), rows, classes, trees=int(count), seed=seed + number)
            trees += forest.estimators_
            columns += [used] * len(forest.estimators_)
        return trees, columns


def _prior(start: Float[Tensor, " values"]) -> nn.Linear:
    """Return a linear function of the meta-features that starts near `start` for all of them."""
    linear = nn.Linear(len(META_FEATURES), len(start))
    nn.init.normal_(linear.weight, std=SPREAD)
    linear.bias = nn.Parameter(start)
    return linear
