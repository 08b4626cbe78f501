"""Embedding images: each is decoded and embedded once, and its features are read from a store afterwards."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import islice
from pathlib import Path
from random import SystemRandom
from typing import TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt, UInt8

from medshot.append_store import LOCK, AppendStore, writing_into_cache
from medshot.encoders.encoder import Encode, Encoder, load_encoder
from medshot.errors import StorageError
from medshot.imaging import Cut, CutImages, ImageSource, cache_folder
from medshot.imaging.cache import PIXELS_VERSION, in_threads
from medshot.imaging.fingerprint import MEASURES, fingerprints, measures
from medshot.progress import progress


@dataclass(frozen=True)
class Embeddings:
    """The features, fingerprints and measures that are stored of images, one row each.

    Args:
        features: as the encoder gave them.
        fingerprints: perceptual, of the pixels that the encoder saw.
        measures: of the same pixels, in the order of `MEASURES`.
    """

    features: Float32[np.ndarray, "rows features"]
    fingerprints: UInt8[np.ndarray, "rows 32"]
    measures: Float32[np.ndarray, "rows measures"]


class EmbeddingStore:
    """The stored rows of one encoder, found by the SHA-256 of an image.

    Args:
        folder: the folder, which need not exist.
        features: the number of features in a row.
        measures: the number of measures in a row.
    """

    def __init__(self, folder: Path, features: int, measures: int) -> None:
        self.folder = folder
        columns: dict[str, tuple[np.dtype, tuple[int, ...]]] = {
            "features.f32": (np.dtype(np.float32), (features,)),
            "fingerprints.u8": (np.dtype(np.uint8), (32,)),
            "measures.f32": (np.dtype(np.float32), (measures,)),
        }
        self._columns = list(columns)
        self._store = AppendStore(folder, columns, keys="hashes.u8", key_bytes=32)

    def find(self, hashes: Sequence[bytes]) -> Int64[np.ndarray, " hashes"]:
        """Return the row of each SHA-256 at present, -1 for an image that is not stored."""
        return self._store.find(_as_rows(hashes))

    def read(self) -> Embeddings:
        """Return all rows, mapped from disk and read-only, which rows of the last `find` index.

        Raises:
            StorageError: the store was emptied since the last `find`.
        """
        return Embeddings(*map(self._store.column, self._columns))

    def append(self, hashes: Sequence[bytes], rows: Embeddings) -> None:
        """Write the rows whose hashes are not stored yet; the hashes given must differ.

        Raises:
            StorageError: the folder cannot be written to.
        """
        self._store.append(_as_rows(hashes), dict(zip(self._columns, vars(rows).values(), strict=True)))


def _as_rows(hashes: Sequence[bytes]) -> UInt8[np.ndarray, "hashes 32"]:
    return np.frombuffer(b"".join(hashes), dtype=np.uint8).reshape(-1, 32)


FEATURE_NORM = 4.0
"""The norm of a normalised vector of features; the settings of learners are chosen for it."""
_BATCH = 8  # images: more of them exceed the processor's caches, and each then costs more
_CHUNK = 256  # images embedded between two writes

Item = TypeVar("Item")

_Key = tuple[Encoder, Cut | None]
_embedded: WeakKeyDictionary[ImageSource, dict[_Key, "Embedded"]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Embedded:
    """The stored rows of a source's pictures: `stored.features[rows[k]]` are the features of picture k."""

    stored: Embeddings
    rows: Int64[np.ndarray, " pictures"]


def embedded(images: ImageSource, encoder: Encoder, cut: Cut | None = None) -> Embedded:
    """Return the embeddings of all images of a source, mapped from disk; those that the store lacks are computed now.

    With a `cut`, those of the pictures that each image is cut into, image after image.

    Content hashes identify embedded images, so that an image is decoded only once. Memory does not grow with the
    number of images. Processes that embed the same images at the same time share most of the work.

    Raises:
        InputError: an image cannot be read, or the source holds vectors rather than images.
        StorageError: the cache folder cannot be written to, or was emptied meanwhile.
    """
    of_source = _embedded.setdefault(images, {})
    if (encoder, cut) not in of_source:
        folder = cache_folder() / f"encoder-{encoder.sha256[:16]}-{PIXELS_VERSION}"
        store = EmbeddingStore(folder, features=sum(encoder.blocks), measures=len(MEASURES))
        pictures = images if cut is None else CutImages(images, cut)
        hashes = [bytes.fromhex(digest) for digest in pictures.hashes()]
        if (store.find(hashes) < 0).any():
            _embed_missing(pictures, hashes, encoder, store)
        there = Embedded(rows=store.find(hashes), stored=store.read())
        if not 0 <= there.rows.min() <= there.rows.max() < len(there.stored.features):
            raise StorageError(f"{folder} was changed by another program in the middle of the work; run it again.")
        of_source[encoder, cut] = there
    return of_source[encoder, cut]


def _embed_missing(images: ImageSource, hashes: Sequence[bytes], encoder: Encoder, store: EmbeddingStore) -> None:
    with writing_into_cache(store.folder):
        (store.folder / LOCK).touch()  # if this is refused, then before the work
    encode = load_encoder(encoder, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    missing = _missing(hashes, range(len(hashes)), store)
    chunks = list(_in_batches(missing, _CHUNK))
    SystemRandom().shuffle(chunks)  # processes with the same images share the work, even with equal seeds
    with progress("embedding images", len(missing)) as advance:
        for chunk in chunks:
            rows = _missing(hashes, chunk, store)
            advance(len(chunk) - len(rows))
            parts = []
            stream = images.stream(encoder.input_spec, np.array(rows, dtype=np.int64))
            for part in in_threads(partial(_embed, encode), _in_batches(stream, _BATCH), torch.get_num_threads()):
                parts.append(part)
                advance(len(part.features))
            if parts:
                columns = ([getattr(part, column.name) for part in parts] for column in fields(Embeddings))
                store.append([hashes[row] for row in rows], Embeddings(*map(np.concatenate, columns)))


def _missing(hashes: Sequence[bytes], rows: Sequence[int], store: EmbeddingStore) -> list[int]:
    """Return one of these rows for each image that is not stored yet."""
    places = store.find([hashes[row] for row in rows])
    return list({hashes[row]: row for row, place in zip(rows, places, strict=True) if place < 0}.values())


def _in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch


def _embed(encode: Encode, images: list[UInt[np.ndarray, "channels size size"]]) -> Embeddings:
    """Return what is stored of a few images; their pixels are scaled to 0..255 for the encoder."""
    pixels = np.stack(images, dtype=np.float32)
    pixels[[image.dtype == np.uint16 for image in images]] /= 257
    return Embeddings(
        features=encode(pixels),
        fingerprints=np.concatenate([fingerprints(image[None]) for image in images]),
        measures=np.array([np.concatenate(list(measures(image[None]).values())) for image in images], np.float32),
    )


def normalised(
    features: Float[np.ndarray, "images features"], blocks: tuple[int, ...]
) -> Float[np.ndarray, "images features"]:
    """Return features of several depths on one scale: the vector of every image gets norm 4, every depth a share of it.

    The signed square root is taken of every feature (the power normalisation of Perronnin, Sánchez & Mensink, ECCV
    2010), and each block is then scaled to the norm 4 / √(number of blocks). A block of zeros stays one.

    Args:
        features: as an encoder gives them.
        blocks: number of features in each block.
    """
    sizes = np.abs(features)
    starts = np.cumsum((0, *blocks[:-1]))
    norms = np.sqrt(np.add.reduceat(sizes, starts, axis=1))  # of the square roots
    shares = FEATURE_NORM / len(blocks) ** 0.5 / np.maximum(norms, 1e-12)
    return np.copysign(np.sqrt(sizes), features) * np.repeat(shares, blocks, axis=1)
