"""What the outer loop and its checkpoints need of a learner."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from medshot.imaging import InputSpec
from medshot.tasks import Episodes
from medshot.training.engine import Engine


@runtime_checkable
class Trainable(Protocol):
    """A learner as the outer loop sees it."""

    input_spec: InputSpec
    engine: Engine
    cross_validated: ClassVar[bool]

    def scores(self, episodes: Episodes) -> tuple[Tensor, Tensor]:
        """Query loss and accuracy of each task."""

    def settings(self) -> dict[str, Any]:
        """What it was made with, JSON-able."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """What is learned."""

    def state_dict(self) -> dict[str, Any]:
        """Named parameters."""

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> object:
        """Set the named parameters."""

    def train(self, mode: bool = True) -> object:
        """Choose between meta-training and evaluation."""

    def to(self, device: torch.device) -> object:
        """Move the parameters."""
