"""Finding test images that an encoder was trained on, identical or nearly so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Bool, Int, UInt8

from medshot.encoders.embedding import embedded
from medshot.encoders.encoder import Encoder, TrainingImages
from medshot.encoders.inputs import EncodedBagInput, EncodedInput
from medshot.encoders.registry import parts_of
from medshot.imaging import MISSING, Cut, ImageSource, fingerprints, near_duplicates

Sources = Sequence[tuple[ImageSource, Int[np.ndarray, " samples"]]]

_Found = Bool[np.ndarray, "kinds images"]
_found: WeakKeyDictionary[ImageSource, dict[tuple[Encoder, Cut | None], _Found]] = WeakKeyDictionary()


@dataclass(frozen=True)
class TrainingOverlap:
    """The samples that an encoder was trained on.

    Args:
        encoder: its name.
        identical: by the content hash of an image.
        similar: by a perceptual fingerprint.
    """

    encoder: str
    identical: Bool[np.ndarray, " samples"]
    similar: Bool[np.ndarray, " samples"]


def training_overlaps(spec: EncodedInput | EncodedBagInput, sources: Sources) -> Iterator[TrainingOverlap]:
    """Yield for each encoder that was trained on medical images which samples have an image among these.

    Args:
        spec: which encoders, and how images are cut into pictures.
        sources: sources of the samples' images, and the row of each sample there, `MISSING` if it has none.

    Raises:
        StorageError: the images that an encoder was trained on cannot be read.
    """
    for name, each in zip(parts_of(spec.encoder), spec.encoders, strict=True):
        if each.training_images is not None:
            of_sources = [
                (rows != MISSING) & _of_source(images, each, spec.cutting)[:, rows] for images, rows in sources
            ]
            identical, similar = np.any(of_sources, axis=0)
            yield TrainingOverlap(name, identical, similar & ~identical)


def _of_source(images: ImageSource, encoder: Encoder, cut: Cut | None) -> _Found:
    """Return for every image of a source whether an identical and whether a similar one was trained on."""
    of_source = _found.setdefault(images, {})
    if (encoder, cut) not in of_source:
        trained_on: TrainingImages = encoder.training_images() if encoder.training_images else {}
        hashes = {row.tobytes() for row in trained_on["hashes"]}
        identical = np.array([bytes.fromhex(digest) in hashes for digest in images.hashes()])
        prints = _fingerprints(images, encoder, cut)
        similar = np.zeros(prints.shape[:2], dtype=bool)
        similar.ravel()[near_duplicates(prints.reshape(-1, 32), trained_on["fingerprints"])[:, 0]] = True
        of_source[encoder, cut] = np.stack([identical, similar.any(1)])
    return of_source[encoder, cut]


def _fingerprints(images: ImageSource, encoder: Encoder, cut: Cut | None) -> UInt8[np.ndarray, "images pictures 32"]:
    """Return fingerprints of the kind that is recorded of training images: of whole pictures, or of slices."""
    if cut is not None and images.axes == 2:
        return fingerprints(images.pixels(encoder.input_spec))[:, None]
    there = embedded(images, encoder, cut)
    rows = there.rows.reshape(len(images), -1)
    return there.stored.fingerprints[rows if cut is None else rows[:, cut.identifying]]
