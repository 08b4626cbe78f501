"""Encoding an image part by part: where an image holds several small ones, each is seen at full size."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from medshot.imaging import ImageShape
from medshot.networks.encoders.encoder import Encode, Encoder

Cut = Callable[[UInt8[np.ndarray, "channels size size"]], UInt8[np.ndarray, "parts channels side side"]]


@dataclass(frozen=True)
class PartwiseEncoder:
    """An encoder that is shown the parts of an image one by one; their features stand side by side.

    Args:
        shape: the pixels that are cut.
        cut: makes of one image its parts, always as many and in the same order, in the shape that `of_parts` takes.
        parts: how many.
        of_parts: encodes each of them.
        version: says how parts are cut; changes whenever they may change.
    """

    shape: ImageShape
    cut: Cut
    parts: int
    of_parts: Encoder
    version: str

    @property
    def blocks(self) -> tuple[int, ...]:
        """Number of features from each depth for the first part, then for the second, and so on."""
        return self.of_parts.blocks * self.parts

    @property
    def sha256(self) -> str:
        """Changes whenever the features of an image may change."""
        return hashlib.sha256(f"{self.of_parts.sha256} {self.version}".encode()).hexdigest()

    def around(self, encode: Encode) -> Encode:
        """This encoder as a function, given that of its parts."""

        def encode_parts(
            pixels: Float[np.ndarray, "images channels size size"],
        ) -> Float[np.ndarray, "images features"]:
            cut = [self.cut(np.rint(image).astype(np.uint8)) for image in pixels]
            return np.stack([encode(parts.astype(np.float32)).reshape(-1) for parts in cut])

        return encode_parts
