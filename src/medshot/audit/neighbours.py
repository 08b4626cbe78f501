"""Near fingerprints among many: all pairs are compared if there are few, bands of bits otherwise."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt8

from medshot.imaging import near_duplicates
from medshot.imaging.fingerprint import THRESHOLD

EXACT = 50_000  # fingerprints up to which all pairs are compared
_BANDS = 16  # of 16 bits each
_REACH = 64  # neighbours compared in a band's bucket, in the order of the whole fingerprint
_PROBES = 200  # images on which the share of found pairs is measured


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
