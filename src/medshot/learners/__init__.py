"""Learners, which are meta-trained and adapt to new tasks. Each file holds one idea; `base` is their contract."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medshot.imaging import FeatureInput, ImageInput, InputSpec, VolumeInput
from medshot.learners.base import Adapted, Classifier, Learner
from medshot.learners.creation import create, create_for, input_for, load_learner
from medshot.learners.features import (
    apply_head,
    class_means,
    log_frequencies,
    memberships,
    new_head,
    squared_distances,
    weighted_cross_entropy,
    weighted_mean,
)
from medshot.learners.kinds import NetworkLearner, VectorLearner
from medshot.learners.registry import LEARNERS, register
from medshot.learners.run import meta_train
from medshot.learners.seeding import Randomness
from medshot.networks import base_network
from medshot.tasks import Support

if TYPE_CHECKING:
    from medshot.learners.batch import Predictions, predict_files
    from medshot.learners.estimator import FewShotClassifier, load

# Imported at first use, because scikit-learn is slow to import and many commands do without it.
_HOMES = {
    "FewShotClassifier": "medshot.learners.estimator",
    "load": "medshot.learners.estimator",
    "Predictions": "medshot.learners.batch",
    "predict_files": "medshot.learners.batch",
}

__all__ = [
    "LEARNERS",
    "Adapted",
    "Classifier",
    "FeatureInput",
    "FewShotClassifier",
    "ImageInput",
    "InputSpec",
    "Learner",
    "NetworkLearner",
    "Predictions",
    "Randomness",
    "Support",
    "VectorLearner",
    "VolumeInput",
    "apply_head",
    "base_network",
    "class_means",
    "create",
    "create_for",
    "input_for",
    "load",
    "load_learner",
    "log_frequencies",
    "memberships",
    "meta_train",
    "new_head",
    "predict_files",
    "register",
    "squared_distances",
    "weighted_cross_entropy",
    "weighted_mean",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'medshot.learners' has no attribute '{name}'")
