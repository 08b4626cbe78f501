"""Weights that come with medshot: those of `depth-ridge` and `even-ridge`, learned on features of lite0."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from medshot.encoders import ENCODERS
from medshot.encoders.encoder import TrainingImages
from medshot.learners.base import Learner
from medshot.learners.closed_form.depth_ridge import DepthRidge
from medshot.storage import read_arrays

AnyLearner = TypeVar("AnyLearner", bound=Learner)
HOME = Path(__file__).parent / "closed_form"


def with_shipped_weights(learner: AnyLearner) -> AnyLearner:
    """Give a learner of an encoder's features the weights that come with medshot, if there are any; return it."""
    if isinstance(learner, DepthRidge):
        give_weights(learner, shipped_weights(learner.name), shipped_images())
    return learner


def give_weights(learner: DepthRidge, weights: Mapping[str, Tensor], training_images: TrainingImages) -> None:
    """Set the weights of a learner; those of an encoder's depths serve every encoder with as many depths.

    Args:
        learner: of any encoder's features.
        weights: those of a learner of one encoder's features.
        training_images: the images that they were learned from.
    """
    depths = len(weights["log_weights"])
    state = {name: value.clone() for name, value in weights.items()}
    times, rest = divmod(len(learner.sizes), depths)
    state["log_weights"] = weights["log_weights"].repeat(times) if rest == 0 else torch.zeros(len(learner.sizes))
    learner.load_state_dict(state, assign=True)
    learner.training_images = dict(training_images)


def weights_file(name: str) -> Path:
    """Return where the weights of a learner of that name are."""
    return HOME / f"{name.replace('-', '_')}.safetensors"


@cache
def shipped_weights(name: str) -> dict[str, Tensor]:
    """Read the weights of a learner of that name."""
    return {key: torch.from_numpy(value.copy()) for key, value in read_arrays(weights_file(name)).items()}


def shipped_images() -> TrainingImages:
    """Return the images that the weights were learned from; the encoder `medical` was trained on them and others."""
    read = ENCODERS["medical"].training_images
    assert read is not None
    return read()
