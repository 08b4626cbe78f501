"""Reading images as a learner takes them: as pixels, vectors, features of encoders or bags of features."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import singledispatch

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, UInt8
from torch import Tensor

from medshot.encoders.embedding import Embedded, embedded, normalised
from medshot.encoders.inputs import EncodedBagInput, EncodedInput
from medshot.encoders.provenance import TrainingOverlap, training_overlaps
from medshot.errors import InputError
from medshot.imaging import MISSING, FeatureInput, GridInput, ImageSource, InputSpec, SeveralImages, Vectors
from medshot.imaging.fingerprint import MEASURES, fingerprints, measures

Rows = Int[np.ndarray, " samples"]


class Reader(ABC):
    """Reads the images of a source as one input specification asks for; `reader_of` makes it."""

    @abstractmethod
    def prepare(self, source: ImageSource) -> None:
        """Read or embed everything that will be needed, so that unusable images are refused before work starts.

        Raises:
            InputError: an image cannot be read, or is of a kind that the learner does not take.
            StorageError: the cache folder cannot be written to.
        """

    @abstractmethod
    def read(self, source: ImageSource, rows: Rows) -> Float[Tensor, "samples *dimensions"]:
        """Return the images of these rows in float32, as the learner takes them; raise the same errors as `prepare`."""

    @abstractmethod
    def fingerprints(self, source: ImageSource) -> UInt8[np.ndarray, "images 32"]:
        """Return the perceptual fingerprint of every image."""

    def every_fingerprint(self, source: ImageSource) -> list[UInt8[np.ndarray, "images 32"]]:
        """Return all kinds of fingerprints by which meta-training may have recorded these images."""
        return [self.fingerprints(source)]

    @abstractmethod
    def measures(self, source: ImageSource) -> dict[str, Float[np.ndarray, " images"]]:
        """Return brightness, contrast and colourfulness of every image, by which it may differ from the support."""

    def training_overlap(self, source: ImageSource) -> Iterator[TrainingOverlap]:
        """Yield the samples that each encoder was trained on, for encoders that were trained on medical images."""
        return iter(())


@singledispatch
def reader_of(spec: InputSpec) -> Reader:
    """Return the reader for what a learner takes."""
    raise TypeError(f"{type(spec).__name__} has no reader; add one by reader_of.register.")


@reader_of.register(GridInput)
class GridReader(Reader):
    """Reads pixels and voxels, which are decoded once and cached."""

    def __init__(self, spec: GridInput) -> None:
        self.spec = spec

    def prepare(self, source: ImageSource) -> None:
        """Decode all images into the cache."""
        source.pixels(self.spec)

    def read(self, source: ImageSource, rows: Rows) -> Float[Tensor, "samples channels *sides"]:
        """Return the pixels of these rows, 0 for black and 1 for white."""
        pixels = source.pixels(self.spec)[rows]
        return torch.from_numpy(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max)

    def fingerprints(self, source: ImageSource) -> UInt8[np.ndarray, "images 32"]:
        """Return fingerprints of the pixels."""
        return fingerprints(source.pixels(self.spec))

    def measures(self, source: ImageSource) -> dict[str, Float[np.ndarray, " images"]]:
        """Return measures of the pixels."""
        return measures(source.pixels(self.spec))


@reader_of.register(FeatureInput)
class VectorReader(Reader):
    """Reads rows of numbers that the user gives; they have no picture to compare or measure."""

    def __init__(self, spec: FeatureInput) -> None:
        self.spec = spec

    def prepare(self, source: ImageSource) -> None:
        """Check that the source holds vectors of this length."""
        self._vectors(source)

    def read(self, source: ImageSource, rows: Rows) -> Float[Tensor, "samples features"]:
        """Return the vectors of these rows."""
        return torch.from_numpy(self._vectors(source)[rows])

    def fingerprints(self, source: ImageSource) -> UInt8[np.ndarray, "images 32"]:
        """Return zeros: they resemble no fingerprint of an image."""
        return np.zeros((len(source), 32), dtype=np.uint8)

    def measures(self, source: ImageSource) -> dict[str, Float[np.ndarray, " images"]]:
        """Return no measures, because the meaning of the vectors is unknown."""
        return {}

    def _vectors(self, source: ImageSource) -> Float[np.ndarray, "images features"]:
        if not isinstance(source, Vectors):
            raise InputError("This learner takes feature vectors, and these are images; give an array of numbers.")
        features = source.array.shape[1]
        if (features,) != self.spec.dimensions:
            raise InputError(
                f"X has {features} features, but this learner takes {self.spec.dimensions[0]}; give as many."
            )
        return source.array


@reader_of.register(EncodedInput)
class EncodedReader(Reader):
    """Reads one vector of encoder features for each image; they are computed once and cached."""

    def __init__(self, spec: EncodedInput) -> None:
        self.spec, self.cut = spec, spec.cutting
        self.pictures = 1 if self.cut is None else len(self.cut)

    def prepare(self, source: ImageSource) -> None:
        """Embed the images that are not in the store yet."""
        self._embedded(source)

    def read(self, source: ImageSource, rows: Rows) -> Float[Tensor, "samples features"]:
        """Return the normalised features of these rows; only these are read from disk once all are embedded."""
        features = features_of(self._embedded(source), _numbers(rows, self.pictures))
        blocks, total = self.spec.blocks, sum(self.spec.blocks)
        alike = normalised(features.reshape(len(rows), total), blocks).reshape(features.shape)
        return torch.from_numpy((alike * self._lengths()[:, None]).reshape(len(rows), total))

    def fingerprints(self, source: ImageSource) -> UInt8[np.ndarray, "images 32"]:
        """Return fingerprints of the pixels that the first encoder gets."""
        identifying = (0,) if self.cut is None else self.cut.identifying
        return combined_fingerprints(self._embedded(source)[0], self._all(source), identifying)

    def every_fingerprint(self, source: ImageSource) -> list[UInt8[np.ndarray, "images 32"]]:
        """Return also fingerprints of whole pictures, because shipped weights were trained on pictures without cuts."""
        found = [self.fingerprints(source)]
        if self.cut is not None and source.axes == 2:
            found.append(fingerprints(source.pixels(self.spec.encoders[0].input_spec)))
        return found

    def measures(self, source: ImageSource) -> dict[str, Float[np.ndarray, " images"]]:
        """Return measures of the pixels that the first encoder gets, mean over the pictures of an image."""
        there = self._embedded(source)[0]
        found = there.stored.measures[there.rows[self._all(source)]].astype(np.float64).mean(1)
        return dict(zip(MEASURES, found.T, strict=True))

    def training_overlap(self, source: ImageSource) -> Iterator[TrainingOverlap]:
        """Compare with the images that each encoder was trained on."""
        return training_overlaps(self.spec, [(source, np.arange(len(source)))])

    def _lengths(self) -> Float32[np.ndarray, " pictures"]:
        """Return a factor for the features of each picture, from its weight in the cut; 1 if all weights are equal."""
        weights = np.array((1.0,) if self.cut is None else self.cut.weights, dtype=np.float32)
        return np.sqrt(weights / weights.mean())

    def _embedded(self, source: ImageSource) -> list[Embedded]:
        return [embedded(source, encoder, self.cut) for encoder in self.spec.encoders]

    def _all(self, source: ImageSource) -> Int[np.ndarray, "images pictures"]:
        return _numbers(np.arange(len(source)), self.pictures)


@reader_of.register(EncodedBagInput)
class BagReader(Reader):
    """Reads bags of encoder features: of the pictures of one image, or of several images of a sample."""

    def __init__(self, spec: EncodedBagInput) -> None:
        self.spec, self.cut = spec, spec.cutting
        self.pictures = 1 if self.cut is None else len(self.cut)

    def prepare(self, source: ImageSource) -> None:
        """Embed the images of all samples that are not in the store yet."""
        for part, _ in self._parts(source):
            self._embedded(part)

    def read(self, source: ImageSource, rows: Rows) -> Float[Tensor, "samples instances entries"]:
        """Return the bags of these rows; only these are read from disk once all images are embedded."""
        blocks, total = self.spec.blocks, sum(self.spec.blocks)
        bags = np.zeros((len(rows), self.spec.images, self.pictures, 1 + total), dtype=np.float32)
        for number, (part, of_part) in enumerate(self._parts(source)):
            chosen = of_part[rows]
            there = chosen != MISSING
            features = features_of(self._embedded(part), _numbers(chosen[there], self.pictures))
            bags[there, number, :, 0] = (1.0,) if self.cut is None else self.cut.weights
            bags[there, number, :, 1:] = normalised(features.reshape(-1, total), blocks).reshape(features.shape)
        return torch.from_numpy(bags.reshape(len(rows), self.spec.images * self.pictures, 1 + total))

    def fingerprints(self, source: ImageSource) -> UInt8[np.ndarray, "images 32"]:
        """Return the fingerprint of the first image that each sample has."""
        identifying = (0,) if self.cut is None else self.cut.identifying
        prints = np.zeros((len(source), 32), dtype=np.uint8)
        for part, of_part, first in self._first(source):
            numbers = _numbers(of_part[first], self.pictures)
            prints[first] = combined_fingerprints(self._embedded(part)[0], numbers, identifying)
        return prints

    def measures(self, source: ImageSource) -> dict[str, Float[np.ndarray, " images"]]:
        """Return measures of the first image that each sample has, mean over its pictures."""
        found = np.zeros((len(source), len(MEASURES)))
        for part, of_part, first in self._first(source):
            there = self._embedded(part)[0]
            found[first] = there.stored.measures[there.rows[_numbers(of_part[first], self.pictures)]].mean(1)
        return dict(zip(MEASURES, found.T, strict=True))

    def training_overlap(self, source: ImageSource) -> Iterator[TrainingOverlap]:
        """Compare with the images that each encoder was trained on."""
        return training_overlaps(self.spec, self._parts(source))

    def _parts(self, source: ImageSource) -> list[tuple[ImageSource, Rows]]:
        """Return the sources that hold a sample's images, and the row of each sample in them."""
        if not isinstance(source, SeveralImages):
            return [(source, np.arange(len(source)))]
        if len(source.names) > self.spec.images:
            raise InputError(
                f"samples have up to {len(source.names)} images ({', '.join(source.names)}), and this learner takes "
                f"{self.spec.images}; meta-train one with --images {len(source.names)}, or leave columns out."
            )
        return [(source.sources[name], source.rows[:, column]) for column, name in enumerate(source.names)]

    def _first(self, source: ImageSource) -> Iterator[tuple[ImageSource, Rows, Bool[np.ndarray, " samples"]]]:
        """Yield each source with the samples that have their first image in it."""
        done = np.zeros(len(source), dtype=bool)
        for part, of_part in self._parts(source):
            first = (of_part != MISSING) & ~done
            done |= first
            yield part, of_part, first

    def _embedded(self, source: ImageSource) -> list[Embedded]:
        return [embedded(source, encoder, self.cut) for encoder in self.spec.encoders]


def _numbers(rows: Rows, pictures: int) -> Int[np.ndarray, "images pictures"]:
    """Return the numbers of the pictures that the images of these rows are cut into."""
    return rows[:, None] * pictures + np.arange(pictures)


def features_of(
    there: Sequence[Embedded], numbers: Int[np.ndarray, "images pictures"]
) -> Float[np.ndarray, "images pictures features"]:
    """Return the features of pictures, those of several encoders concatenated."""
    return np.concatenate([each.stored.features[each.rows[numbers]] for each in there], axis=2)


def combined_fingerprints(
    there: Embedded, numbers: Int[np.ndarray, "images pictures"], identifying: Sequence[int]
) -> UInt8[np.ndarray, "images 32"]:
    """Return one fingerprint for each image: the lowest frequencies of the fingerprints of some of its pictures.

    Args:
        there: where the fingerprints are stored.
        numbers: of each image's pictures.
        identifying: which of the pictures identify the image.
    """
    prints = there.stored.fingerprints[there.rows[numbers[:, list(identifying)]]]
    shares = np.array_split(np.arange(32), len(identifying))
    return np.concatenate([prints[:, number, : len(share)] for number, share in enumerate(shares)], axis=1)
