"""What a learner of an encoder's features declares."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, UInt8
from torch import Tensor

from medshot.encoders.embedding import MEASURES, Embedded, embedded
from medshot.encoders.provenance import SeenImages, seen_by
from medshot.encoders.registry import encoders_of, lasting
from medshot.errors import InputError
from medshot.imaging import CUTS, FeatureInput, ImageSource

WHOLE = "whole"
NORM = 4.0


@dataclass(frozen=True)
class EncodedInput(FeatureInput):
    """Each image comes as encoders' features of it, normalised; they are computed once and kept in the cache folder.

    Args:
        encoder: the name in `ENCODERS` of an encoder, the path of its folder, or several of these joined by "+", whose
            features stand side by side.
        cut: "whole", or the key in `CUTS` of a cut whose pictures have a meaning of their own each: their features then
            stand side by side, each with its weight's share of the square norm.

    Raises:
        InputError: there is no such encoder, or no such cut.
    """

    blocks: tuple[int, ...] = field(init=False)
    encoder: str = "lite0"
    cut: str = WHOLE

    def __post_init__(self) -> None:
        check(self.cut, pooled=False)
        object.__setattr__(self, "blocks", blocks_of(self.encoder) * pictures_of(self.cut))
        object.__setattr__(self, "encoder", lasting(self.encoder))

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
        features = features_of(self._embedded(images), self._pictures(images)[rows])
        alike = normalised(features.reshape(len(rows), sum(self.blocks)), self.blocks).reshape(features.shape)
        return torch.from_numpy((alike * self._lengths[:, None]).reshape(len(rows), sum(self.blocks)))

    def fingerprints(self, images: ImageSource) -> UInt8[np.ndarray, "images 32"]:
        """The perceptual fingerprint of every image, of the pixels that the first encoder saw."""
        return known_by(self._embedded(images)[0], self._pictures(images), self.cut)

    def measures(self, images: ImageSource) -> dict[str, Float[np.ndarray, " images"]]:
        """Brightness, contrast and colourfulness of every image, of the pixels that the first encoder saw."""
        there = self._embedded(images)[0]
        found = there.stored.measures[there.rows[self._pictures(images)]].astype(np.float64).mean(1)
        return dict(zip(MEASURES, found.T, strict=True))

    def seen(self, images: ImageSource) -> Iterator[SeenImages]:
        """For each of its encoders that medical images trained, which of these images were among them."""
        return seen_by(self.encoder, self.cut, [(images, np.arange(len(images)))])

    @property
    def _lengths(self) -> Float32[np.ndarray, " pictures"]:
        """By how much the features of each picture are longer than if all counted the same."""
        weights = np.array(CUTS[self.cut].weights if self.cut in CUTS else (1.0,), dtype=np.float32)
        return np.sqrt(weights / weights.mean())

    def _embedded(self, images: ImageSource) -> list[Embedded]:
        return embedded_by(self.encoder, self.cut, images)

    def _pictures(self, images: ImageSource) -> Int[np.ndarray, "images pictures"]:
        return np.arange(len(images) * pictures_of(self.cut)).reshape(-1, pictures_of(self.cut))


def check(cut: str, *, pooled: bool) -> None:
    """See to it that there is such a cut, whose pictures are pooled or stand side by side."""
    cuts = [WHOLE, *(name for name, each in CUTS.items() if each.pooled == pooled)]
    if cut not in cuts:
        raise InputError(f"cut is '{cut}', but must be one of: {', '.join(cuts)}.")


def blocks_of(encoder: str) -> tuple[int, ...]:
    """The blocks of all encoders that a name stands for, one after the other."""
    return tuple(size for each in encoders_of(encoder) for size in each.blocks)


def identity(encoder: str, cut: str) -> str:
    """A SHA-256 that changes whenever the features of an image may change."""
    hashes, how = [each.sha256 for each in encoders_of(encoder)], CUTS.get(cut)
    words = hashes if how is None else [*hashes, how.name, str(how.version)]
    return words[0] if len(words) == 1 else sha256(" ".join(words).encode()).hexdigest()


def embedded_by(encoder: str, cut: str, images: ImageSource) -> list[Embedded]:
    """Where the pictures of a source are, for each encoder that a name stands for."""
    return [embedded(images, each, CUTS.get(cut)) for each in encoders_of(encoder)]


def features_of(
    there: Sequence[Embedded], pictures: Int[np.ndarray, "images pictures"]
) -> Float[np.ndarray, "images pictures features"]:
    """The features of pictures, those of several encoders one after the other."""
    return np.concatenate([each.stored.features[each.rows[pictures]] for each in there], axis=2)


def pictures_of(cut: str) -> int:
    """How many pictures an image becomes."""
    return len(CUTS[cut]) if cut in CUTS else 1


def known_by(there: Embedded, pictures: Int[np.ndarray, "images pictures"], cut: str) -> UInt8[np.ndarray, "images 32"]:
    """One fingerprint for each image, of the pictures that tell it: of each the bits of the lowest frequencies.

    Args:
        there: where features and fingerprints are.
        pictures: the numbers of each image's pictures.
        cut: by which it became them.
    """
    telling = CUTS[cut].telling if cut in CUTS else (0,)
    prints = there.stored.fingerprints[there.rows[pictures[:, telling]]]
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
