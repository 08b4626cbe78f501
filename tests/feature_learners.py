"""Learners of feature vectors, and labelled vectors for them."""

import torch
from small_learners import SMALL

from medshot.imaging import FeatureInput
from medshot.learners import Learner, create
from medshot.tasks import Support

BLOCKS = (6, 4)
NEURAL = ("protonet", "ridge", "depth-ridge", "even-ridge", "film", "context", "matching", "relation")


def of_features(name: str, blocks: tuple[int, ...] = BLOCKS, *, stir: bool = True, **settings) -> Learner:
    """Make a small learner of that name over features in double precision, with noise added to its parameters."""
    learner = create(name, input_spec=FeatureInput(blocks), **(SMALL[name] | settings)).double().eval()
    generator = torch.Generator().manual_seed(0)
    for value in learner.parameters() if stir else ():
        value.data += 0.1 * torch.randn(value.shape, generator=generator).double()
    return learner


def vectors(seed: int, *shape: int) -> torch.Tensor:
    """Return random numbers in double precision."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def support_of(labels: list[int], features: torch.Tensor, weights: list[float] | None = None) -> Support:
    """Return the support of one task, with a leading axis of one."""
    weighted = torch.tensor(weights or [1.0] * len(labels), dtype=torch.float64)
    return Support(features[None], torch.tensor(labels)[None], weighted[None], max(labels) + 1)
