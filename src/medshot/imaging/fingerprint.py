"""Perceptual fingerprints, by which near-duplicates are found, and measures by which images differ."""

import cv2
import numpy as np
from jaxtyping import Float, Int64, UInt8

from medshot.imaging.scan import Pixels

THRESHOLD = 22
_THUMBNAIL = 32
_FREQUENCIES = 16
_OF_PROJECTION = slice(8, 93)  # from the lowest frequency up; the eight lowest say of what kind a volume is
_BLOCK_BYTES = 1 << 24


def fingerprints(pixels: Pixels) -> UInt8[np.ndarray, "images 32"]:
    """Return a 256-bit perceptual hash of each picture or volume.

    The grey image is averaged down to 32×32; bit k is 1 if the k-th of the 16×16 lowest frequencies of its
    cosine transform lies above their median. The bit of the constant term is always 0, so brightness and
    contrast hardly matter. Black bars that `fit` added on two opposite sides are cut off first, or else
    all pages of one format would look alike. The hash is pHash (Zauner, Implementation and Benchmarking of
    Perceptual Image Hash Functions, 2010) with more frequencies.

    A volume is hashed by its mean projections along each of its three axes, 85 bits from each. The eight lowest
    frequencies are left out, in which any two volumes of one organ are alike.

    An image without structure gets 32 zero bytes, which no other image has; `near_duplicates` never pairs it.

    Args:
        pixels: as `ImageSource.pixels` gives them; 64 pixels per side, or 32 voxels, are enough.
    """
    return _of_volumes(pixels) if pixels.ndim == 5 else _of_pictures(pixels)


def _cosine_transform(thumbnails: np.ndarray, axes: tuple[int, int]) -> np.ndarray:
    from scipy.fft import dctn  # slow to import

    return dctn(thumbnails, axes=axes, norm="ortho")


def _of_pictures(pixels: Pixels) -> UInt8[np.ndarray, "images 32"]:
    thumbnails = np.stack([_thumbnail(_without_bars(_grey(image))) for image in pixels])
    thumbnails -= thumbnails.mean((1, 2), keepdims=True)
    spectrum = _cosine_transform(thumbnails, (1, 2))[:, :_FREQUENCIES, :_FREQUENCIES]
    coefficients = spectrum.reshape(len(pixels), -1)
    bits = coefficients > np.median(coefficients[:, 1:], axis=1, keepdims=True)
    bits[:, 0] = False
    return np.packbits(bits, axis=1)


def _of_volumes(pixels: Pixels) -> UInt8[np.ndarray, "images 32"]:
    thumbnails = np.stack([[_thumbnail(volume[0].mean(axis)) for axis in range(3)] for volume in pixels])
    thumbnails -= thumbnails.mean((2, 3), keepdims=True)
    spectrum = _cosine_transform(thumbnails, (2, 3))
    down, across = np.indices(spectrum.shape[2:]).reshape(2, -1)
    chosen = np.argsort(down**2 + across**2, kind="stable")[_OF_PROJECTION]
    coefficients = spectrum.reshape(len(pixels), 3, -1)[..., chosen]
    bits = coefficients > np.median(coefficients, axis=2, keepdims=True)
    return np.packbits(bits.reshape(len(pixels), -1), axis=1)


def near_duplicates(
    a: UInt8[np.ndarray, "first 32"], b: UInt8[np.ndarray, "second 32"], threshold: int = THRESHOLD
) -> Int64[np.ndarray, "pairs 2"]:
    """Return the pairs (i, j) for which the fingerprints a[i] and b[j] differ in at most `threshold` bits.

    Comparing a set with itself gives each image paired with itself, and both orders of every other pair.

    The default of 22 of 255 bits comes from measurements. One chest film averaged down to 64 or 28 pixels,
    or as a JPEG of quality 30, differs in at most 18 bits; with gamma 0.7 nineteen of twenty in at most 22.
    The five films that MedNIST shares with NIH ChestX-ray14 differ in 4 to 12. Different images differ in
    more: JSRT against NIH 56 and up, Kermany against NIH 62, two films of one NIH patient 34, two hands 40,
    and two of 491 ECG pages of one layout 24. Neighbouring slices of one scan can be nearer.

    Volumes were measured at 28 to 96 voxels. One brain at two sizes differs in at most 26 bits, nineteen of twenty in
    at most 20, and two brains in 36 and up. One adrenal gland differs in at most 12, and two of 400 in 18 and up: 9 of
    their 79,800 pairs lie within the threshold, and would be taken for one.

    Crops are not found: cutting 2 % off each side changes 40 bits. MedMNIST cropped Kermany's films to squares for
    PneumoniaMNIST, so of their common films only the few that were nearly square are found, from 10 bits up.

    Args:
        a: fingerprints of one set of images.
        b: fingerprints of the other.
        threshold: largest number of differing bits.
    """
    words_a, words_b = (np.ascontiguousarray(prints).view(np.uint64) for prints in (a, b))
    structured_a, structured_b = words_a.max(axis=1) > 0, words_b.max(axis=1) > 0
    rows = max(1, _BLOCK_BYTES // (8 * max(1, len(b))))
    pairs = [np.empty((0, 2), np.int64)]
    for start in range(0, len(a), rows):
        block = words_a[start : start + rows]
        distances = np.zeros((len(block), len(b)), np.uint16)
        for word in range(words_b.shape[1]):
            distances += np.bitwise_count(block[:, None, word] ^ words_b[None, :, word])
        near = (distances <= threshold) & structured_b & structured_a[start : start + rows, None]
        pairs.append(np.argwhere(near) + np.array([start, 0]))
    return np.concatenate(pairs)


def _grey(image: np.ndarray) -> np.ndarray:
    if len(image) == 1:
        return image[0]
    return cv2.cvtColor(np.ascontiguousarray(image.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY)


def _thumbnail(grey: np.ndarray) -> np.ndarray:
    if grey.min() == grey.max():  # resizing would add rounding noise, and its pattern would be the hash
        return np.zeros((_THUMBNAIL, _THUMBNAIL))
    method = cv2.INTER_AREA if max(grey.shape) > _THUMBNAIL else cv2.INTER_LINEAR
    return cv2.resize(grey.astype(np.float64), (_THUMBNAIL, _THUMBNAIL), interpolation=method)


def _without_bars(grey: np.ndarray) -> np.ndarray:
    """Cut off what `fit` adds: zeros on two opposite sides, equally wide to a pixel, none on the others."""
    rows, columns = np.flatnonzero(grey.any(axis=1)), np.flatnonzero(grey.any(axis=0))
    if not len(rows):
        return grey
    top, bottom = int(rows[0]), len(grey) - 1 - int(rows[-1])
    left, right = int(columns[0]), grey.shape[1] - 1 - int(columns[-1])
    if left == right == 0 and abs(top - bottom) <= 1:
        return grey[top : len(grey) - bottom]
    if top == bottom == 0 and abs(left - right) <= 1:
        return grey[:, left : grey.shape[1] - right]
    return grey


MEASURES = ("brightness", "contrast", "colourfulness")
"""The measures of every image that `measures` returns."""


def measures(pixels: Pixels) -> dict[str, Float[np.ndarray, " images"]]:
    """Return brightness, contrast and colourfulness of each image, in 0..1.

    Images of another scanner or of another kind most likely differ in these.
    """
    found: dict[str, list[float]] = {name: [] for name in MEASURES}
    for image in pixels:
        shares = image.astype(np.float32) / np.iinfo(pixels.dtype).max
        found["brightness"].append(float(shares.mean()))
        found["contrast"].append(float(shares.std()))
        found["colourfulness"].append(float(np.ptp(shares, axis=0).mean()))
    return {name: np.array(values) for name, values in found.items()}
