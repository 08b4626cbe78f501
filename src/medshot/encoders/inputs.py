"""Inputs that are features of encoders, and the way from the record of any input back to it."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from medshot.encoders.encoder import Encoder
from medshot.encoders.registry import absolute_name, display_names, encoders_of
from medshot.errors import InputError
from medshot.imaging import CUTS, Cut, FeatureInput, ImageInput, InputSpec, VolumeInput
from medshot.imaging.inputs import WHOLE, PixelRecord, StrictRecord, VectorRecord, VolumeRecord
from medshot.networks.bag_network import BagInput

DROPPED = 0.3
"""The probability with which modality dropout leaves an image out."""


class EncoderRecord(StrictRecord):
    """The record of an `EncodedInput`; the hash identifies its encoders."""

    encoder: str
    sha256: str
    cut: str = WHOLE


class BagRecord(EncoderRecord):
    """The record of an `EncodedBagInput`."""

    images: int = Field(ge=1)


InputRecord = PixelRecord | VolumeRecord | BagRecord | EncoderRecord | VectorRecord


class _OfEncoders(InputSpec):
    """The common part of inputs that come from encoders.

    Attributes:
        encoder: the name, with absolute paths.
        encoders: those that the name denoted when this was made. Copies look the name up again.
        cutting: the cut with the name `cut`; None if images stay whole.
    """

    encoder: str
    encoders: tuple[Encoder, ...]
    cutting: Cut | None
    is_table: ClassVar[bool] = False

    @property
    def sha256(self) -> str:
        """Return a hash that changes whenever the features of an image may change."""
        return identity(self.encoders, self.cutting)

    def encoder_names(self) -> tuple[str, ...]:
        """Return the display name of every encoder."""
        return display_names(self.encoder)

    def encoder_depths(self) -> tuple[int, ...]:
        """Return the number of blocks of every encoder."""
        return tuple(len(encoder.blocks) for encoder in self.encoders)

    @abstractmethod
    def __reduce__(self) -> tuple[Any, ...]:
        """Return class and arguments for copies and pickles, since the functions of encoders cannot be pickled."""


@dataclass(frozen=True)
class EncodedInput(_OfEncoders, FeatureInput):
    """The features of one or more encoders, normalised, as one vector for each image.

    Args:
        encoder: the name in `ENCODERS` of an encoder, the path of its folder, or several of these joined by "+"; the
            features of several are concatenated.
        cut: "whole", or the key in `CUTS` of a cut into pictures that each have a meaning. The features of the pictures
            are then concatenated, each with its weight's share of the squared norm.

    Raises:
        InputError: the encoder or the cut does not exist.
    """

    is_table: ClassVar[bool] = False
    blocks: tuple[int, ...] = field(init=False)
    encoder: str = "lite0"
    cut: str = WHOLE
    encoders: tuple[Encoder, ...] = field(init=False, repr=False, compare=False)
    cutting: Cut | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_cut(self.cut, pooled=False)
        object.__setattr__(self, "encoders", encoders_of(self.encoder))
        object.__setattr__(self, "cutting", CUTS.get(self.cut))
        pictures = 1 if self.cutting is None else len(self.cutting)
        object.__setattr__(self, "blocks", _blocks(self.encoders) * pictures)
        object.__setattr__(self, "encoder", absolute_name(self.encoder))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.encoder, self.cut)

    @property
    def encodes_whole(self) -> bool:
        """Whether images are not cut."""
        return self.cut == WHOLE

    def with_cut(self, cut: str) -> "EncodedInput":
        """Return the features of the same encoders, of images that are cut into pictures."""
        return type(self)(self.encoder, cut)

    def describe(self) -> str:
        """Return the names of the encoders, and the cut if there is one."""
        return "+".join(self.encoder_names()) + (f" by {self.cut}" if self.cut != WHOLE else "")

    def to_record(self) -> EncoderRecord:
        """Return the encoders' name and hash, and the cut."""
        return EncoderRecord(encoder=self.encoder, sha256=self.sha256, cut=self.cut)

    @classmethod
    def from_record(cls, record: EncoderRecord) -> "EncodedInput":  # type: ignore[override]
        """Return the description that was recorded; InputError if the encoder here is missing or another."""
        return _with_hash(lambda: cls(record.encoder, record.cut), record)


@dataclass(frozen=True)
class EncodedBagInput(_OfEncoders, BagInput):
    """The normalised features of all pictures of a sample, as one bag.

    Args:
        encoder: the name in `ENCODERS` of an encoder, the path of its folder, or several of these joined by "+"; the
            features of several are concatenated.
        cut: "whole", or the key in `CUTS` of the cut that is applied to every image.
        images: the largest number of images of a sample; it may have fewer, and any may be missing.

    Raises:
        InputError: the encoder or the cut does not exist, or `images` is below 1.
    """

    blocks: tuple[int, ...] = field(init=False)
    kinds: tuple[str, ...] = field(init=False)
    encoder: str = "lite0"
    cut: str = WHOLE
    images: int = 1
    encoders: tuple[Encoder, ...] = field(init=False, repr=False, compare=False)
    cutting: Cut | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_cut(self.cut, pooled=True)
        if self.images < 1:
            raise InputError(f"images is {self.images}, but must be 1 or more.")
        object.__setattr__(self, "encoders", encoders_of(self.encoder))
        object.__setattr__(self, "cutting", CUTS.get(self.cut))
        pictures = (WHOLE,) if self.cutting is None else self.cutting.kinds
        object.__setattr__(self, "blocks", _blocks(self.encoders))
        object.__setattr__(self, "encoder", absolute_name(self.encoder))
        object.__setattr__(self, "kinds", pictures * self.images)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.encoder, self.cut, self.images)

    def describe(self) -> str:
        """Return "bags of" and the names of the encoders."""
        return f"bags of {'+'.join(self.encoder_names())}"

    def to_record(self) -> BagRecord:
        """Return the encoders' name and hash, the cut and the number of images."""
        return BagRecord(encoder=self.encoder, sha256=self.sha256, cut=self.cut, images=self.images)

    @classmethod
    def from_record(cls, record: BagRecord) -> "EncodedBagInput":  # type: ignore[override]
        """Return the description that was recorded; InputError if the encoder here is missing or another."""
        return _with_hash(lambda: cls(record.encoder, record.cut, record.images), record)

    def drop_images(
        self, bags: Float[Tensor, "samples instances entries"], generator: torch.Generator
    ) -> Float[Tensor, "samples instances entries"]:
        """Return bags after modality dropout: each image is left out with probability 0.3, but one always remains.

        Meta-training thus learns to rely on no single image (Neverova et al., ModDrop, 2016).
        """
        if self.images == 1:
            return bags
        of_images = bags.unflatten(1, (self.images, -1))
        there = of_images[..., 0].amax(-1)
        draws = torch.rand(there.shape, generator=generator, device=generator.device).to(bags.device) * there
        kept = (draws >= DROPPED) | (draws == draws.amax(1, keepdim=True))
        return (of_images * kept[..., None, None]).flatten(1, 2)


def input_from_record(record: InputRecord) -> InputSpec:
    """Return what a learner takes, from the record in its run or model folder.

    Raises:
        InputError: the encoder that the record names is missing here, or is another.
    """
    match record:
        case PixelRecord():
            return ImageInput.from_record(record)
        case VolumeRecord():
            return VolumeInput.from_record(record)
        case BagRecord():
            return EncodedBagInput.from_record(record)
        case EncoderRecord():
            return EncodedInput.from_record(record)
        case VectorRecord():
            return FeatureInput.from_record(record)


def identity(encoders: tuple[Encoder, ...], cut: Cut | None) -> str:
    """Return a SHA-256 that changes whenever the features of an image may change."""
    hashes = [each.sha256 for each in encoders]
    words = hashes if cut is None else [*hashes, cut.name, str(cut.version)]
    return words[0] if len(words) == 1 else sha256(" ".join(words).encode()).hexdigest()


def _blocks(encoders: tuple[Encoder, ...]) -> tuple[int, ...]:
    """Return the blocks of all encoders, one after the other."""
    return tuple(size for each in encoders for size in each.blocks)


def _check_cut(cut: str, *, pooled: bool) -> None:
    """Raise InputError unless there is such a cut, and its pictures are pooled or not as asked."""
    cuts = [WHOLE, *(name for name, each in CUTS.items() if each.pooled == pooled)]
    if cut not in cuts:
        raise InputError(f"cut is '{cut}', but must be one of: {', '.join(cuts)}.")


Encoded = TypeVar("Encoded", bound=_OfEncoders)


def _with_hash(make: Callable[[], Encoded], record: EncoderRecord) -> Encoded:
    """Return the description; InputError if this installation lacks the encoder with the recorded hash."""
    try:
        found = make()
    except InputError as error:
        raise InputError(
            f"It takes features of encoder '{record.encoder}' ({record.sha256[:12]}). {error} A folder that has moved "
            'is put back, or its new path written as "encoder" into the JSON file of the run or model.'
        ) from error
    if found.sha256 != record.sha256:
        raise InputError(
            f"The learner was trained on features of another version of encoder '{record.encoder}' "
            f"({record.sha256[:12]}, and here is {found.sha256[:12]}); install that one or train it again."
        )
    return found
