"""The transductive learner: queries help each other, and do no harm."""

import numpy as np
import pytest
import torch
from feature_learners import BLOCKS, support_of, vectors
from small_learners import SMALL

from medshot.imaging import ArrayImages, FeatureInput
from medshot.learners import FewShotClassifier, create
from medshot.tasks import Support

WAYS, PER_CLASS = 2, 40


def problem(seed: int) -> tuple:
    """Return one labelled vector per class, and many more of the same two clouds."""
    centres = 0.6 * vectors(seed, WAYS, sum(BLOCKS))
    support = support_of([0, 1], centres + 0.8 * vectors(seed + 1000, WAYS, sum(BLOCKS)))
    queries = centres[:, None] + 0.6 * vectors(seed + 2000, WAYS, PER_CLASS, sum(BLOCKS))
    return support, queries


def recalls(counts: tuple[int, int]) -> tuple[float, float]:
    """Return the balanced accuracy with so many queries of each class, given one by one and all together."""
    found = []
    learner = create("transductive-prototypes", input_spec=FeatureInput(BLOCKS)).double().eval()
    for seed in range(30):
        support, clouds = problem(seed)
        queries = torch.cat([cloud[:count] for cloud, count in zip(clouds, counts, strict=True)])
        truth = torch.arange(WAYS).repeat_interleave(torch.tensor(counts))
        sides = (support.images, support.labels, support.weights)
        copies = Support(*(side.expand(len(queries), *side.shape[1:]) for side in sides), support.ways)
        alone = learner.adapt(copies)(queries[:, None])[:, 0]
        for said in (alone, learner.adapt(support)(queries[None])[0]):
            found.append(np.mean([(said.argmax(1)[truth == c] == c).double().mean() for c in range(WAYS)]))
    return float(np.mean(found[::2])), float(np.mean(found[1::2]))


@pytest.mark.parametrize("counts", [(40, 40), (40, 4), (4, 40)])
def test_queries_in_clusters_help_each_other_and_do_no_harm_where_classes_are_unequally_common(counts):
    alone, together = recalls(counts)
    assert 0.6 < alone < 0.97, "the problem is too hard or too easy to show anything"
    assert together > alone - 0.01
    if counts[0] == counts[1]:
        assert together > alone + 0.01


def test_all_images_of_a_call_are_seen_together_however_many():
    rng = np.random.default_rng(0)
    images = ArrayImages(rng.integers(0, 255, (150, 20, 20), dtype=np.uint8))
    learner = create("transductive-prototypes", **SMALL["transductive-prototypes"])
    model = FewShotClassifier(learner).fit(images.take(np.arange(10)), np.arange(10) % 2)
    order = rng.permutation(150)
    predictions = model.predict_proba(images)
    np.testing.assert_allclose(model.predict_proba(images.take(order)), predictions[order], atol=1e-5)
