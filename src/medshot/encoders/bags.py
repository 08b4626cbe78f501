"""Bags of an encoder's features: of the slices of a volume, the patches of a film, the several images of a sample."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from medshot.encoders.embedding import MEASURES, Embedded
from medshot.encoders.inputs import WHOLE, blocks_of, check, embedded_by, features_of, identity, known_by, normalised
from medshot.encoders.provenance import SeenImages, seen_by
from medshot.encoders.registry import lasting
from medshot.errors import InputError
from medshot.imaging import CUTS, MISSING, Cut, ImageSource, SeveralImages
from medshot.networks.bag_network import BagInput

DROPPED = 0.3


@dataclass(frozen=True)
class EncodedBagInput(BagInput):
    """Each sample comes as the features of all its pictures, normalised; they are computed once and kept.

    Args:
        encoder: the name in `ENCODERS` of an encoder, the path of its folder, or several of these joined by "+", whose
            features stand side by side.
        cut: "whole", or the key in `CUTS` by which every image is cut into pictures.
        images: how many images a sample has at most; it may have fewer, and any may be missing.

    Raises:
        InputError: there is no such encoder or cut, or no image.
    """

    blocks: tuple[int, ...] = field(init=False)
    kinds: tuple[str, ...] = field(init=False)
    encoder: str = "lite0"
    cut: str = WHOLE
    images: int = 1

    def __post_init__(self) -> None:
        check(self.cut, pooled=True)
        if self.images < 1:
            raise InputError(f"images is {self.images}, but must be 1 or more.")
        object.__setattr__(self, "blocks", blocks_of(self.encoder))
        object.__setattr__(self, "encoder", lasting(self.encoder))
        object.__setattr__(self, "kinds", self._pictures * self.images)

    @property
    def sha256(self) -> str:
        """Changes whenever the features of a picture may change."""
        return identity(self.encoder, self.cut)

    def prepare(self, images: ImageSource) -> None:
        """Embed all pictures that are not in the store yet.

        Raises:
            InputError: an image cannot be read, or a sample has more images than are taken.
            StorageError: the cache folder cannot be written to.
        """
        for source, _ in self._images(images):
            self._embedded(source)

    def read(
        self, images: ImageSource, rows: Int[np.ndarray, " samples"]
    ) -> Float[Tensor, "samples instances entries"]:
        """The bags of these rows; nothing else is read from disk."""
        bags = np.zeros((len(rows), self.images, len(self._pictures), 1 + sum(self.blocks)), dtype=np.float32)
        for number, (source, of_source) in enumerate(self._images(images)):
            chosen = of_source[rows]
            there = chosen != MISSING
            features = features_of(self._embedded(source), self._numbers(chosen[there]))
            bags[there, number, :, 0] = self._weights
            bags[there, number, :, 1:] = normalised(features.reshape(-1, sum(self.blocks)), self.blocks).reshape(
                features.shape
            )
        return torch.from_numpy(bags.reshape(len(rows), len(self.kinds), 1 + sum(self.blocks)))

    def fingerprints(self, images: ImageSource) -> UInt8[np.ndarray, "images 32"]:
        """The perceptual fingerprint of each sample's first image that is there."""
        prints = np.zeros((len(images), 32), dtype=np.uint8)
        for source, of_source, first in self._first(images):
            prints[first] = known_by(self._embedded(source)[0], self._numbers(of_source[first]), self.cut)
        return prints

    def measures(self, images: ImageSource) -> dict[str, Float[np.ndarray, " images"]]:
        """Brightness, contrast and colourfulness of each sample's first image that is there, mean over its pictures."""
        found = np.zeros((len(images), len(MEASURES)))
        for source, of_source, first in self._first(images):
            there = self._embedded(source)[0]
            found[first] = there.stored.measures[there.rows[self._numbers(of_source[first])]].mean(1)
        return dict(zip(MEASURES, found.T, strict=True))

    def seen(self, images: ImageSource) -> Iterator[SeenImages]:
        """For each of its encoders that medical images trained, which of these samples have an image among them."""
        return seen_by(self.encoder, self.cut, self._images(images))

    def dropped(
        self, bags: Float[Tensor, "samples instances entries"], generator: torch.Generator
    ) -> Float[Tensor, "samples instances entries"]:
        """Modality dropout: each image of a sample is taken away three times in ten, but never the last that is there.

        That is how, while meta-training, fusion learns not to lean on any one of them (Neverova et al., ModDrop, 2016).
        """
        if self.images == 1:
            return bags
        of_images = bags.unflatten(1, (self.images, -1))
        there = of_images[..., 0].amax(-1)
        draws = torch.rand(there.shape, generator=generator, device=generator.device).to(bags.device) * there
        kept = (draws >= DROPPED) | (draws == draws.amax(1, keepdim=True))
        return (of_images * kept[..., None, None]).flatten(1, 2)

    @property
    def _pictures(self) -> tuple[str, ...]:
        return (WHOLE,) if self._cut is None else self._cut.kinds

    @property
    def _weights(self) -> tuple[float, ...]:
        return (1.0,) if self._cut is None else self._cut.weights

    @property
    def _cut(self) -> Cut | None:
        return CUTS.get(self.cut)

    def _images(self, images: ImageSource) -> list[tuple[ImageSource, Int[np.ndarray, " samples"]]]:
        """The sources that a sample's images come from, and the row of each sample in them."""
        if not isinstance(images, SeveralImages):
            return [(images, np.arange(len(images)))]
        if len(images.names) > self.images:
            raise InputError(
                f"samples have up to {len(images.names)} images ({', '.join(images.names)}), and this learner takes "
                f"{self.images}; meta-train one with --images {len(images.names)}, or leave columns out."
            )
        return [(images.sources[name], images.rows[:, column]) for column, name in enumerate(images.names)]

    def _first(
        self, images: ImageSource
    ) -> list[tuple[ImageSource, Int[np.ndarray, " samples"], Bool[np.ndarray, " samples"]]]:
        """For each source, the samples whose first image that is there comes from it."""
        found, done = [], np.zeros(len(images), dtype=bool)
        for source, of_source in self._images(images):
            first = (of_source != MISSING) & ~done
            done |= first
            found.append((source, of_source, first))
        return found

    def _embedded(self, source: ImageSource) -> list[Embedded]:
        return embedded_by(self.encoder, self.cut, source)

    def _numbers(self, rows: Int[np.ndarray, " images"]) -> Int[np.ndarray, "images pictures"]:
        """The numbers of the pictures that images are cut into."""
        return rows[:, None] * len(self._pictures) + np.arange(len(self._pictures))
