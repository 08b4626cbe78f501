"""Models and pools of images without labels, for tests of active learning."""

import numpy as np
from small_tasks import SHAPE, textured

from medshot.imaging import ArrayImages
from medshot.learners import FewShotClassifier, create
from medshot.selection.active_learning import Pool, standardised

CLASSES = 3


def model() -> FewShotClassifier:
    """Return a model fitted on two images of each of three gratings."""
    task = textured(3, classes=CLASSES, patients=2)
    return FewShotClassifier(create("logistic", input_spec=SHAPE)).fit(task.images, task.labels)


def unlabelled(images: int = 24) -> ArrayImages:
    """Return images of the same gratings under other noise."""
    array = textured(3, classes=CLASSES, patients=40, signal=0.7).images.array
    return ArrayImages(array[np.random.default_rng(0).permutation(len(array))[:images]])


def pool(seed: int = 0, images: int = 30, classes: int = CLASSES) -> Pool:
    """Make a pool of random features and probabilities."""
    rng = np.random.default_rng(seed)
    return Pool(standardised(rng.normal(size=(images, 8))), rng.dirichlet(np.ones(classes), size=images))
