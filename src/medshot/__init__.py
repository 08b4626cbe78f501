"""Meta-learning for medical images: learn once from many tasks, adapt to a new one from a handful of labelled images.

>>> import medshot
>>> learner = medshot.create("metal").meta_fit(medshot.load_tasks("tasks/"))
>>> learner.save("run/")
>>> model = medshot.FewShotClassifier("run/").fit(images, labels, groups=patients)

For research, not a medical device.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medshot.evaluation import Protocol, evaluate
    from medshot.learners import FewShotClassifier, Learner, create, load, load_learner
    from medshot.tasks import load_tasks, simulate

__version__ = version("medshot")

# Imported on first use, so that `medshot --help` does not wait for torch.
_HOMES = {
    "FewShotClassifier": "medshot.learners",
    "Learner": "medshot.learners",
    "Protocol": "medshot.evaluation",
    "create": "medshot.learners",
    "evaluate": "medshot.evaluation",
    "load": "medshot.learners",
    "load_learner": "medshot.learners",
    "load_tasks": "medshot.tasks",
    "simulate": "medshot.tasks",
}

__all__ = [
    "FewShotClassifier",
    "Learner",
    "Protocol",
    "__version__",
    "create",
    "evaluate",
    "load",
    "load_learner",
    "load_tasks",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'medshot' has no attribute '{name}'")
