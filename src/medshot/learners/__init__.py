"""Learners: what is meta-trained, and how it adapts to a new task. One file per idea; `base` is the contract."""

from medshot.learners.base import Classifier, Learner
from medshot.learners.estimator import FewShotClassifier
from medshot.learners.registry import LEARNERS, create, load_learner

load = FewShotClassifier.load

__all__ = ["LEARNERS", "Classifier", "FewShotClassifier", "Learner", "create", "load", "load_learner"]
