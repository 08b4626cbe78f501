"""The usual frozen features: those of an encoder's last layer alone."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from medshot.encoders import EncodedInput, encoders_of
from medshot.encoders.embedding import embedded
from medshot.imaging import ImageSource

NORM = 4.0


@dataclass(frozen=True)
class FinalShape(EncodedInput):
    """The pooled features before the classifier, each image a vector of norm 4 without other normalisation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "blocks", self.blocks[:1])

    def read(self, images: ImageSource, rows: Int[np.ndarray, " samples"]) -> Float[Tensor, "samples features"]:
        there = embedded(images, encoders_of(self.encoder)[0])
        features = there.stored.features[there.rows[rows], : self.blocks[0]]
        return torch.from_numpy(NORM * features / np.linalg.norm(features, axis=1, keepdims=True))
