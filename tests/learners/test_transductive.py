"""The transductive learner: what its queries tell each other, and what they must not."""

import numpy as np
import torch
from featuring import BLOCKS, support_of, vectors
from learning import SMALL

from medshot.imaging import ArrayImages, FeatureShape
from medshot.learners import FewShotClassifier, create

WAYS, PER_CLASS = 2, 40


def problem(seed: int) -> tuple:
    """One labelled vector per class, and many more of the same two clouds."""
    centres = 1.5 * vectors(seed, WAYS, sum(BLOCKS))
    support = support_of([0, 1], centres + 1.2 * vectors(seed + 1000, WAYS, sum(BLOCKS)))
    queries = centres[:, None] + 0.7 * vectors(seed + 2000, WAYS, PER_CLASS, sum(BLOCKS))
    return support, queries


def recall(counts: tuple[int, int], name: str) -> float:
    """Balanced accuracy over many problems with that many queries of each class."""
    found = []
    for seed in range(30):
        support, clouds = problem(seed)
        queries = torch.cat([cloud[:count] for cloud, count in zip(clouds, counts, strict=True)])
        learner = create(name, shape=FeatureShape(BLOCKS)).double().eval()
        said = learner.adapt(support).probabilities(queries[None])[0].argmax(1)
        truth = torch.arange(WAYS).repeat_interleave(torch.tensor(counts))
        found.append(np.mean([(said[truth == c] == c).double().mean() for c in range(WAYS)]))
    return float(np.mean(found))


def test_queries_in_clusters_help_balanced_or_not():
    for counts in ((40, 40), (40, 4), (4, 40)):
        assert recall(counts, "transductive-logistic") > recall(counts, "logistic") - 0.005, counts
    assert recall((40, 40), "transductive-logistic") > recall((40, 40), "logistic") + 0.01


def test_all_images_of_a_call_are_seen_together_however_many():
    rng = np.random.default_rng(0)
    images = ArrayImages(rng.integers(0, 255, (150, 20, 20), dtype=np.uint8))
    learner = create("transductive-logistic", **SMALL["transductive-logistic"])
    model = FewShotClassifier(learner).fit(images.take(np.arange(10)), np.arange(10) % 2)
    order = rng.permutation(150)
    said = model.predict_proba(images)
    np.testing.assert_allclose(model.predict_proba(images.take(order)), said[order], atol=1e-5)
