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
    from medshot.learners import (
        Adapted,
        FeatureInput,
        FewShotClassifier,
        ImageInput,
        InputSpec,
        Learner,
        Randomness,
        Support,
        VolumeInput,
        create,
        load,
        load_learner,
        register,
    )
    from medshot.simulated import simulate
    from medshot.tasks import load_tasks

__version__ = version("medshot")

# Imported on first use, so that `medshot --help` does not wait for torch.
_HOMES = {
    "medshot.evaluation": ("Protocol", "evaluate"),
    "medshot.learners": (
        "Adapted",
        "Randomness",
        "FeatureInput",
        "FewShotClassifier",
        "ImageInput",
        "InputSpec",
        "Learner",
        "Support",
        "VolumeInput",
        "create",
        "load",
        "load_learner",
        "register",
    ),
    "medshot.simulated": ("simulate",),
    "medshot.tasks": ("load_tasks",),
}

__all__ = [
    "Adapted",
    "FeatureInput",
    "FewShotClassifier",
    "ImageInput",
    "InputSpec",
    "Learner",
    "Protocol",
    "Randomness",
    "Support",
    "VolumeInput",
    "__version__",
    "create",
    "evaluate",
    "load",
    "load_learner",
    "load_tasks",
    "register",
    "simulate",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'medshot' has no attribute '{name}'")
