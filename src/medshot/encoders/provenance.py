"""Which images an encoder was trained on: the same image, or nearly the same, is no test of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Bool, Int, UInt8

from medshot.encoders.embedding import embedded
from medshot.encoders.encoder import Encoder, Images
from medshot.encoders.inputs import EncodedBagInput, EncodedInput
from medshot.encoders.registry import parts_of
from medshot.imaging import MISSING, Cut, ImageSource, fingerprints, near_duplicates

Sources = Sequence[tuple[ImageSource, Int[np.ndarray, " samples"]]]

_Found = Bool[np.ndarray, "kinds images"]
_found: WeakKeyDictionary[ImageSource, dict[tuple[Encoder, Cut | None], _Found]] = WeakKeyDictionary()


@dataclass(frozen=True)
class SeenImages:
    """Which samples an encoder was trained on.

    Args:
        encoder: its name.
        identical: by the content hash of an image.
        similar: by a perceptual fingerprint.
    """

    encoder: str
    identical: Bool[np.ndarray, " samples"]
    similar: Bool[np.ndarray, " samples"]


def seen_by(spec: EncodedInput | EncodedBagInput, sources: Sources) -> Iterator[SeenImages]:
    """For each encoder of the name that was trained on medical images, which samples have an image among them.

    Args:
        spec: which encoders, and how images are cut into pictures.
        sources: where the samples' images come from, and the row of each sample there, `MISSING` where it has none.

    Raises:
        StorageError: the images that an encoder was trained on cannot be read.
    """
    for name, each in zip(parts_of(spec.encoder), spec.encoders, strict=True):
        if each.seen is not None:
            of_sources = [
                (rows != MISSING) & _of_source(images, each, spec.cutting)[:, rows] for images, rows in sources
            ]
            identical, similar = np.any(of_sources, axis=0)
            yield SeenImages(name, identical, similar & ~identical)


def _of_source(images: ImageSource, encoder: Encoder, cut: Cut | None) -> _Found:
    """For every image of a source, whether an identical and whether a similar one was trained on; looked up once."""
    of_source = _found.setdefault(images, {})
    if (encoder, cut) not in of_source:
        seen: Images = encoder.seen() if encoder.seen else {}
        known = {row.tobytes() for row in seen["hashes"]}
        identical = np.array([bytes.fromhex(digest) in known for digest in images.hashes()])
        prints = _pictures_known_by(images, encoder, cut)
        similar = np.zeros(prints.shape[:2], dtype=bool)
        similar.ravel()[near_duplicates(prints.reshape(-1, 32), seen["fingerprints"])[:, 0]] = True
        of_source[encoder, cut] = np.stack([identical, similar.any(1)])
    return of_source[encoder, cut]


def _pictures_known_by(
    images: ImageSource, encoder: Encoder, cut: Cut | None
) -> UInt8[np.ndarray, "images pictures 32"]:
    """Fingerprints as an encoder's training images have them: of whole pictures, and of volumes of their slices."""
    if cut is not None and images.axes == 2:
        return fingerprints(images.pixels(encoder.shape))[:, None]
    there = embedded(images, encoder, cut)
    rows = there.rows.reshape(len(images), -1)
    return there.stored.fingerprints[rows if cut is None else rows[:, cut.telling]]
