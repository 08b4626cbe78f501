"""What a learner of an encoder's features declares."""

from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from medshot.errors import InputError
from medshot.imaging import CUTS, FeatureShape, ImageSource
from medshot.networks.encoders.embedding import MEASURES, Embedded, embedded
from medshot.networks.encoders.encoder import Encoder
from medshot.networks.encoders.lite0 import LITE0

ENCODERS: dict[str, Encoder] = {"lite0": LITE0}
WHOLE = "whole"
NORM = 4.0


@dataclass(frozen=True)
class EncodedShape(FeatureShape):
    """Each image comes as an encoder's features of it, normalised; they are computed once and kept in the cache folder.

    Args:
        encoder: its name in `ENCODERS`.
        cut: "whole", or the key in `CUTS` of a cut whose pictures have a meaning of their own each: their features then
            stand side by side.

    Raises:
        InputError: there is no such encoder, or no such cut.
    """

    blocks: tuple[int, ...] = field(init=False)
    encoder: str = "lite0"
    cut: str = WHOLE

    def __post_init__(self) -> None:
        check(self.encoder, self.cut, pooled=False)
        object.__setattr__(self, "blocks", ENCODERS[self.encoder].blocks * pictures_of(self.cut))

    @property
    def sha256(self) -> str:
        """Changes whenever the features of an image may change."""
        return identity(self.encoder, self.cut)

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
        pictures = self._pictures(there)[rows]
        features = there.stored.features[pictures.ravel()].reshape(len(rows), sum(self.blocks))
        return torch.from_numpy(normalised(features, self.blocks))

    def fingerprints(self, images: ImageSource) -> UInt8[np.ndarray, "images 32"]:
        """The perceptual fingerprint of every image, of the pixels that the encoder saw."""
        there = self._embedded(images)
        return known_by(there, self._pictures(there), self.cut)

    def measures(self, images: ImageSource) -> dict[str, Float[np.ndarray, " images"]]:
        """Brightness, contrast and colourfulness of every image, of the pixels that the encoder saw."""
        there = self._embedded(images)
        found = there.stored.measures[self._pictures(there)].astype(np.float64).mean(1)
        return dict(zip(MEASURES, found.T, strict=True))

    def _embedded(self, images: ImageSource) -> Embedded:
        return embedded(images, ENCODERS[self.encoder], CUTS.get(self.cut))

    def _pictures(self, there: Embedded) -> Int[np.ndarray, "images pictures"]:
        return there.rows.reshape(-1, pictures_of(self.cut))


def check(encoder: str, cut: str, *, pooled: bool) -> None:
    """See to it that there are such an encoder and such a cut, whose pictures are pooled or stand side by side."""
    cuts = [WHOLE, *(name for name, each in CUTS.items() if each.pooled == pooled)]
    for name, value, known in (("encoder", encoder, ENCODERS), ("cut", cut, cuts)):
        if value not in known:
            raise InputError(f"{name} is '{value}', but must be one of: {', '.join(known)}.")


def identity(encoder: str, cut: str) -> str:
    """A SHA-256 that changes whenever the features of an image may change."""
    of_encoder, how = ENCODERS[encoder].sha256, CUTS.get(cut)
    return of_encoder if how is None else sha256(f"{of_encoder} {how.name} {how.version}".encode()).hexdigest()


def pictures_of(cut: str) -> int:
    """How many pictures an image becomes."""
    return len(CUTS[cut]) if cut in CUTS else 1


def known_by(there: Embedded, pictures: Int[np.ndarray, "images pictures"], cut: str) -> UInt8[np.ndarray, "images 32"]:
    """One fingerprint for each image, of the pictures that tell it: of each the bits of the lowest frequencies.

    Args:
        there: where features and fingerprints are.
        pictures: the rows there of each image's pictures.
        cut: by which it became them.
    """
    telling = CUTS[cut].telling if cut in CUTS else (0,)
    prints = there.stored.fingerprints[pictures[:, telling]]
    shares = np.array_split(np.arange(32), len(telling))
    return np.concatenate([prints[:, number, : len(share)] for number, share in enumerate(shares)], axis=1)


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
