"""Small learners of every kind, and batches of episodes for them."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from small_tasks import SHAPE, VOLUME, in_doubles, textured

from medshot.imaging import ImageInput, VolumeInput
from medshot.learners import LEARNERS, Learner, create
from medshot.tasks import Episodes, Support, collate, draw_episode

SMALL = {
    "metal": {"width": 8, "steps": 2, "max_steps": 4, "adapt_parameters": "all"},
    **{
        name: {"width": 8, "steps": 2, "learning_rate": 0.03}
        for name in ("maml", "fomaml", "anil", "meta-sgd", "reptile")
    },
    "proto-maml": {"width": 8, "steps": 2},
    "imaml": {"width": 8, "steps": 4},
    **{name: {"width": 8, "steps": 4, "views": 2} for name in ("finetune", "finetune-last")},
    "scratch": {"width": 8, "steps": 4, "views": 2},
    **{
        name: {"width": 8}
        for name in ("protonet", "ridge", "depth-ridge", "even-ridge", "film", "context", "matching", "relation")
    },
    "logistic": {"pixels": 10, "views": 3},
    "transductive-prototypes": {"pixels": 10},
    "meta-svm": {"width": 8},
    "svm-prior": {"pixels": 10},
    "svm": {"pixels": 10},
    "meta-forest": {"pixels": 10, "trees": 20, "trials": 3, "trial_trees": 3},
    "forest": {"pixels": 10, "trees": 12},
    "boosting": {"pixels": 10, "rounds": 5},
    "knn": {"pixels": 10},
}
VARIANTS = {
    "protonet-cosine": ("protonet", {"distance": "cosine"}),
    "metal-second-order": ("metal", {"order": 2}),
    "metal-head": ("metal", {"adapt_parameters": "head"}),
    "metal-head-second-order": ("metal", {"adapt_parameters": "head", "order": 2}),
}
LARGE = {"metal-reference": {"epochs": 1, "batch": 4}}
"""Learners of many parameters, with settings that make them fast; their laws are slow tests."""
NAMES = [name for name in [*LEARNERS, *VARIANTS] if name not in LARGE]


def tiny(
    name: str, *, shape: ImageInput | VolumeInput = SHAPE, doubles: bool = True, stir: bool = True, **settings
) -> Learner:
    """Make a small learner of that name, in evaluation mode.

    Args:
        name: a registered learner, or a key of `VARIANTS`.
        shape: what it takes.
        doubles: in double precision.
        stir: add noise to all that is learned, so that nothing is zero as it is at the start.
        settings: over those of `SMALL`.
    """
    registered, changed = VARIANTS.get(name, (name, {}))
    learner = create(registered, input_spec=shape, **(SMALL.get(registered, {}) | changed | settings))
    if stir:
        generator = torch.Generator().manual_seed(0)
        for value in learner.parameters():
            if value.requires_grad:
                value.data += 0.1 * torch.randn(value.shape, generator=generator)
    return (learner.double() if doubles else learner).eval()


def episodes(
    count: int = 3,
    *,
    ways: int = 2,
    doubles: bool = True,
    signal: float = 1.0,
    shape: ImageInput | VolumeInput = SHAPE,
) -> Episodes:
    """Draw an episode of each of `count` tasks; supports and queries differ in size."""
    drawn = [
        draw_episode(
            textured(
                seed,
                classes=ways,
                patients=8,
                signal=signal,
                size=shape.size,
                depth=VOLUME.size - 2 if shape.axes == 3 else None,
            ),
            shots=seed % 3 + 1,
            queries=seed % 2 + 3,
            rng=np.random.default_rng(seed),
        )
        for seed in range(count)
    ]
    batch = collate(drawn, shape)
    return in_doubles(batch) if doubles else batch


@contextmanager
def registrations_undone() -> Iterator[None]:
    """Remove the learners that are registered meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LEARNERS, "_known", dict(LEARNERS))
        yield


def one_task(side: Support, task: int) -> Support:
    """Return one task's part of a side, with a leading axis of one and without its padding."""
    return Support.stack([side.of_task(task)])
