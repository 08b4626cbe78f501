"""The usual frozen features: those of an encoder's last layer alone."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from medshot.encoders import EncodedInput, reader_of
from medshot.encoders.embedding import FEATURE_NORM, embedded
from medshot.encoders.reading import EncodedReader
from medshot.imaging import ImageSource


@dataclass(frozen=True)
class FinalShape(EncodedInput):
    """The pooled features before the classifier, each image a vector of norm 4 without other normalisation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "blocks", self.blocks[:1])


@reader_of.register(FinalShape)
class FinalReader(EncodedReader):
    """Reads the first block of the first encoder."""

    def read(self, source: ImageSource, rows: Int[np.ndarray, " samples"]) -> Float[Tensor, "samples features"]:
        there = embedded(source, self.spec.encoders[0])
        features = there.stored.features[there.rows[rows], : self.spec.blocks[0]]
        return torch.from_numpy(FEATURE_NORM * features / np.linalg.norm(features, axis=1, keepdims=True))
