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

from medshot import environment  # noqa: F401 - before any library that reads the environment

if TYPE_CHECKING:
    from medshot.encoders import (
        EncodedInput,
    )
    from medshot.evaluation import (
        Protocol,
        evaluate,
    )
    from medshot.imaging import (
        FeatureInput,
        ImageInput,
        InputSpec,
        VolumeInput,
    )
    from medshot.learners import (
        Adapted,
        FewShotClassifier,
        Learner,
        NetworkLearner,
        Randomness,
        VectorLearner,
        apply_head,
        base_network,
        class_means,
        create,
        load,
        load_learner,
        log_frequencies,
        memberships,
        new_head,
        predict_files,
        register,
        squared_distances,
        weighted_cross_entropy,
        weighted_mean,
    )
    from medshot.simulated import (
        simulate,
    )
    from medshot.tasks import (
        Support,
        Task,
        load_tasks,
    )
    from medshot.training import (
        BatchSettings,
        OuterSettings,
    )

__version__ = version("medshot")

# Imported at first use, so that `medshot --help` need not wait for torch.
_HOMES = {
    "medshot.encoders": ("EncodedInput",),
    "medshot.evaluation": (
        "Protocol",
        "evaluate",
    ),
    "medshot.imaging": (
        "FeatureInput",
        "ImageInput",
        "InputSpec",
        "VolumeInput",
    ),
    "medshot.learners": (
        "Adapted",
        "FewShotClassifier",
        "Learner",
        "NetworkLearner",
        "Randomness",
        "VectorLearner",
        "apply_head",
        "base_network",
        "class_means",
        "create",
        "load",
        "load_learner",
        "log_frequencies",
        "memberships",
        "new_head",
        "predict_files",
        "register",
        "squared_distances",
        "weighted_cross_entropy",
        "weighted_mean",
    ),
    "medshot.simulated": ("simulate",),
    "medshot.tasks": (
        "Support",
        "Task",
        "load_tasks",
    ),
    "medshot.training": (
        "BatchSettings",
        "OuterSettings",
    ),
}

__all__ = [
    "Adapted",
    "BatchSettings",
    "EncodedInput",
    "FeatureInput",
    "FewShotClassifier",
    "ImageInput",
    "InputSpec",
    "Learner",
    "NetworkLearner",
    "OuterSettings",
    "Protocol",
    "Randomness",
    "Support",
    "Task",
    "VectorLearner",
    "VolumeInput",
    "__version__",
    "apply_head",
    "base_network",
    "class_means",
    "create",
    "evaluate",
    "load",
    "load_learner",
    "load_tasks",
    "log_frequencies",
    "memberships",
    "new_head",
    "predict_files",
    "register",
    "simulate",
    "squared_distances",
    "weighted_cross_entropy",
    "weighted_mean",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'medshot' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
