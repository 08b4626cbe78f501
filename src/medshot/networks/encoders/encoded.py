"""What a learner of an encoder's features declares."""

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from medshot.errors import InputError
from medshot.imaging import FeatureShape, ImageSource
from medshot.networks.encoders.ecg import LITE0_ECG
from medshot.networks.encoders.embedding import MEASURES, Embedded, embedded
from medshot.networks.encoders.encoder import Encoder
from medshot.networks.encoders.lite0 import LITE0
from medshot.networks.encoders.partwise import PartwiseEncoder

ENCODERS: dict[str, Encoder | PartwiseEncoder] = {"lite0": LITE0, "lite0-ecg": LITE0_ECG}
NORM = 4.0


@dataclass(frozen=True)
class EncodedShape(FeatureShape):
    """Each image comes as an encoder's features of it, normalised; they are computed once and kept in the cache folder.

    Args:
        encoder: its name in `ENCODERS`.

    Raises:
        InputError: there is no such encoder.
    """

    blocks: tuple[int, ...] = field(init=False)
    encoder: str = "lite0"

    def __post_init__(self) -> None:
        if self.encoder not in ENCODERS:
            raise InputError(f"encoder is '{self.encoder}', but must be one of: {', '.join(ENCODERS)}.")
        object.__setattr__(self, "blocks", ENCODERS[self.encoder].blocks)

    @property
    def sha256(self) -> str:
        """Changes whenever the features of an image may change."""
        return ENCODERS[self.encoder].sha256

    def prepare(self, images: ImageSource) -> None:
        """Embed all images that are not in the store yet.

        Raises:
            InputError: an image cannot be read, or what is given are no images.
            StorageError: the cache folder cannot be written to.
        """
        self._embedded(images)

    def read(self, images: ImageSource, rows: Int[np.ndarray, " samples"]) -> Float[Tensor, "samples features"]:
        """The features of these rows, normalised; nothing else is read from disk."""
        there = self._embedded(images)
        return torch.from_numpy(normalised(there.stored.features[there.rows[rows]], self.blocks))

    def fingerprints(self, images: ImageSource) -> UInt8[np.ndarray, "images 32"]:
        """The perceptual fingerprint of every image, of the pixels that the encoder saw."""
        there = self._embedded(images)
        return there.stored.fingerprints[there.rows]

    def measures(self, images: ImageSource) -> dict[str, Float[np.ndarray, " images"]]:
        """Brightness, contrast and colourfulness of every image, of the pixels that the encoder saw."""
        there = self._embedded(images)
        return dict(zip(MEASURES, there.stored.measures[there.rows].T.astype(np.float64), strict=True))

    def _embedded(self, images: ImageSource) -> Embedded:
        return embedded(images, ENCODERS[self.encoder])


def normalised(
    features: Float[np.ndarray, "images features"], blocks: tuple[int, ...]
) -> Float[np.ndarray, "images features"]:
    """Features of several depths made comparable: every image becomes a vector of norm 4, every depth a share of it.

    The signed square root is taken of every feature (the power normalisation of Perronnin, Sánchez & Mensink, ECCV
    2010), and each block is then scaled to the norm 4 / √(number of blocks). A block of zeros stays one.

    Args:
        features: as an encoder gives them.
        blocks: number of features in each block.
    """
    sizes = np.abs(features)
    starts = np.cumsum((0, *blocks[:-1]))
    norms = np.sqrt(np.add.reduceat(sizes, starts, axis=1))  # of the roots, whose squares are the sizes
    shares = NORM / len(blocks) ** 0.5 / np.maximum(norms, 1e-12)
    return np.copysign(np.sqrt(sizes), features) * np.repeat(shares, blocks, axis=1)
