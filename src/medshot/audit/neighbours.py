"""Pairs of like images: near fingerprints, all compared if there are few, by bands of bits otherwise; and crops."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8

from medshot.imaging import near_duplicates
from medshot.imaging.fingerprint import THRESHOLD

EXACT = 50_000  # fingerprints up to which all pairs are compared
_BANDS = 16  # of 16 bits each
_REACH = 64  # neighbours compared in a band's bucket, in the order of the whole fingerprint
_PROBES = 200  # images on which the share of found pairs is measured
_BLOCK = 1024  # whole images compared at once
SIDE = 20  # pixels: what correlation is taken of
KEPT = np.arange(0.5, 1.0, 0.02)  # shares of one side that a crop keeps
_LEAST = 0.97  # correlation of an image and its crop
_STANDS_OUT = 0.4  # of the distance to the next best
Thumbnails = UInt8[np.ndarray, "images side side"]


@dataclass(frozen=True)
class NearPairs:
    """Pairs of near fingerprints.

    Args:
        pairs: (i, j) with i < j.
        recall: the share of all such pairs that was found: 1 if all were compared, otherwise as measured by
            comparing some images with all; None if these have no near one.
    """

    pairs: Int64[np.ndarray, "pairs 2"]
    recall: float | None = 1.0


def near_pairs(prints: UInt8[np.ndarray, "images 32"], exact: int = EXACT) -> NearPairs:
    """Find all pairs whose fingerprints differ in at most `THRESHOLD` bits, or nearly all of them.

    Above `exact` fingerprints, only those are compared that agree in all of at least one of 16 bands of 16 bits
    (multi-index hashing: Norouzi, Punjani & Fleet, CVPR 2012). Up to 15 differing bits that is certain; at 22 about
    98 in 100 agree in a band. If very many agree in a band, each is compared with its nearest in sorted order.

    Args:
        prints: distinct fingerprints, or few of them alike.
        exact: from how many on not all pairs are compared.
    """
    if len(prints) <= exact:
        pairs = near_duplicates(prints, prints)
        return NearPairs(pairs[pairs[:, 0] < pairs[:, 1]])
    pairs = np.unique(np.concatenate([_in_band(prints, band) for band in range(_BANDS)]), axis=0)
    return NearPairs(pairs, _recall(prints, pairs))


def _in_band(prints: UInt8[np.ndarray, "images 32"], band: int) -> Int64[np.ndarray, "pairs 2"]:
    words = np.ascontiguousarray(prints).view(np.uint64)
    key = np.ascontiguousarray(prints).view(np.uint16)[:, band]
    order = np.lexsort((*words.T, key))
    found = []
    for step in range(1, _REACH + 1):
        first, second = order[:-step], order[step:]
        alike = key[first] == key[second]
        if not alike.any():
            break
        first, second = first[alike], second[alike]
        bits = np.zeros(len(first), np.uint16)
        for word in range(words.shape[1]):
            bits += np.bitwise_count(words[first, word] ^ words[second, word])
        near = (bits <= THRESHOLD) & words[first].any(axis=1) & words[second].any(axis=1)
        found.append(np.stack([first[near], second[near]], axis=1))
    return np.sort(np.concatenate(found), axis=1) if found else np.empty((0, 2), np.int64)


def _recall(prints: UInt8[np.ndarray, "images 32"], pairs: Int64[np.ndarray, "pairs 2"]) -> float | None:
    probes = np.random.default_rng(0).choice(len(prints), _PROBES, replace=False)
    true = near_duplicates(prints[probes], prints)
    true = true[probes[true[:, 0]] != true[:, 1]]
    if not len(true):
        return None
    found = {tuple(pair) for pair in pairs[np.isin(pairs, probes).any(axis=1)].tolist()}
    return float(np.mean([tuple(sorted((int(probes[i]), int(j)))) in found for i, j in true]))


def cropped_pairs(
    whole: Thumbnails, cut: Thumbnails, apart: Int64[np.ndarray, " whole"], other: Int64[np.ndarray, " cut"]
) -> Int64[np.ndarray, "pairs 2"]:
    """Find pairs (i, j) where `cut[j]` is `whole[i]` less equal strips on two opposite sides.

    Sets of square pictures are made in this way (MedMNIST from the films of Kermany, for example). The correlation must
    be 0.97 and stand out: its distance from 1 is less than 0.4 of that of the next best. Neighbouring slices of a scan,
    and pages of one layout, are all near each other and so do not stand out.

    Measured: of 1,050 films of Kermany's set, 96 % are found in PneumoniaMNIST, all with the same diagnosis there.

    Args:
        whole: squeezed to squares of at least 28 pixels.
        cut: the same.
        apart: only images with another number here are compared,
        other: and there.
    """
    if not len(whole):
        return np.empty((0, 2), np.int64)
    targets = _normalised(_sized(cut))
    blocks = range(0, len(whole), _BLOCK)
    found = [
        _stand_out(whole[k : k + _BLOCK], targets, apart[k : k + _BLOCK], other) + np.array([k, 0]) for k in blocks
    ]
    return np.concatenate(found)


def _stand_out(
    whole: Thumbnails,
    targets: Float32[np.ndarray, "cut values"],
    apart: Int64[np.ndarray, " whole"],
    other: Int64[np.ndarray, " cut"],
) -> Int64[np.ndarray, "pairs 2"]:
    """Find the best match of each whole image at any crop, if it is good and no other is nearly as good."""
    best = np.full(len(whole), -1, np.float32)
    second, match = best.copy(), np.zeros(len(whole), np.int64)
    for views in _views(whole):
        likeness = _normalised(views) @ targets.T
        likeness[apart[:, None] == other[None]] = -1
        column = likeness.argmax(axis=1)
        rows = np.arange(len(whole))
        top = likeness[rows, column]
        likeness[rows, column] = -1
        runner_up = likeness.max(axis=1)
        better = top > best
        # what was best before may have been this very image, at another crop
        second = np.maximum(second, runner_up)
        second = np.where(better & (column != match), np.maximum(second, best), second)
        second = np.where(~better & (column != match), np.maximum(second, top), second)
        match, best = np.where(better, column, match), np.maximum(best, top)
    stands_out = (best >= _LEAST) & (1 - best <= _STANDS_OUT * (1 - second))
    found = np.flatnonzero(stands_out)
    return np.stack([found, match[found]], axis=1)


def _views(whole: Thumbnails) -> Iterator[Float32[np.ndarray, "images small small"]]:
    yield _sized(whole)
    side = whole.shape[1]
    for share in KEPT:
        kept = round(side * share)
        edge = (side - kept) // 2
        yield _sized(whole[:, :, edge : edge + kept])
        yield _sized(whole[:, edge : edge + kept])


def _sized(images: Sequence[np.ndarray] | np.ndarray) -> Float32[np.ndarray, "images small small"]:
    small = [cv2.resize(np.ascontiguousarray(image), (SIDE, SIDE), interpolation=cv2.INTER_AREA) for image in images]
    return np.stack(small).astype(np.float32)


def _normalised(images: Float32[np.ndarray, "images small small"]) -> Float32[np.ndarray, "images values"]:
    values = images.reshape(len(images), -1)
    values = values - values.mean(axis=1, keepdims=True)
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)
