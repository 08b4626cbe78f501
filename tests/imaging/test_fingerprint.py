from pathlib import Path

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from medshot.imaging import (
    ArrayImages,
    FileImages,
    ImageInput,
    fingerprints,
    fit,
    near_duplicates,
    read_medmnist,
)

SHAPE = ImageInput(1, 64)


def pictures(count: int, size: int = 64, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    smooth = [cv2.GaussianBlur(random.random((size, size)), (0, 0), size / 20) for _ in range(count)]
    return np.stack([np.uint8(255 * (image - image.min()) / np.ptp(image)) for image in smooth])[:, None]


def prints_of(folder: Path, pattern: str) -> np.ndarray:
    return fingerprints(FileImages(sorted(folder.glob(pattern))).pixels(SHAPE))


@settings(max_examples=50, deadline=None)
@given(
    value=st.integers(0, 255),
    other=st.integers(0, 65535),
    channels=st.sampled_from([1, 3]),
    side=st.integers(8, 70),
)
def test_images_without_structure_are_never_duplicates(value: int, other: int, channels: int, side: int) -> None:
    first = fingerprints(np.full((2, channels, side, side), value, np.uint8))
    second = fingerprints(np.full((1, channels, side, side), other, np.uint16))
    assert not first.any()
    assert not second.any()
    padded = fingerprints(fit(np.full((side, side // 2), value, np.uint8), SHAPE)[None])
    everything = np.concatenate([first, second, padded, fingerprints(pictures(2))])
    pairs = near_duplicates(everything, everything, threshold=256)
    assert sorted(map(tuple, pairs.tolist())) == [(4, 4), (4, 5), (5, 4), (5, 5)]


@settings(max_examples=50, deadline=None)
@given(
    first=st.integers(1, 30),
    second=st.integers(1, 30),
    threshold=st.integers(0, 256),
    seed=st.integers(0, 99),
)
def test_pairs_are_those_within_the_hamming_distance(first: int, second: int, threshold: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (random.integers(0, 256, (count, 32), dtype=np.uint8) for count in (first, second))
    bits_a, bits_b = np.unpackbits(a, axis=1), np.unpackbits(b, axis=1)
    distances = (bits_a[:, None] != bits_b[None]).sum(2)
    np.testing.assert_array_equal(near_duplicates(a, b, threshold), np.argwhere(distances <= threshold))


def test_pairs_are_found_among_so_many_that_they_are_compared_in_blocks() -> None:
    random = np.random.default_rng(0)
    prints = random.integers(0, 256, (3000, 32), dtype=np.uint8)
    rows = np.sort(random.choice(len(prints), 300, replace=False))
    close = prints[rows] ^ np.uint8(1)  # 32 bits differ; about 128 differ between the others
    pairs = np.stack([rows, np.arange(300)], axis=1)
    np.testing.assert_array_equal(near_duplicates(prints, close, 32), pairs)
    both = np.concatenate([prints, close])
    found = near_duplicates(both, both, 32)
    here, there = pairs[:, 0], 3000 + pairs[:, 1]
    twice = np.concatenate([np.stack([here, there], 1), np.stack([there, here], 1)])
    expected = np.concatenate([twice, np.repeat(np.arange(len(both)), 2).reshape(-1, 2)])
    np.testing.assert_array_equal(found, expected[np.lexsort(expected.T[::-1])])
    assert len(near_duplicates(prints[:0], prints)) == len(near_duplicates(prints, prints[:0])) == 0


def test_brightness_contrast_size_colour_and_depth_hardly_matter() -> None:
    images = pictures(20, size=128)
    prints = fingerprints(images)
    same = [[index, index] for index in range(20)]
    small = np.stack([cv2.resize(image[0], (48, 48), interpolation=cv2.INTER_AREA)[None] for image in images])
    for changed in (
        (images // 2 + 60).astype(np.uint8),
        np.repeat(images, 3, axis=1),
        images.astype(np.uint16) * 257,
        small,
    ):
        np.testing.assert_array_equal(near_duplicates(prints, fingerprints(changed)), same)


def test_black_bars_do_not_make_images_alike() -> None:
    wide = pictures(30, size=80)[:, 0, :20]
    padded = fingerprints(np.stack([fit(image, SHAPE) for image in wide]))
    assert near_duplicates(padded, padded).tolist() == [[index, index] for index in range(30)]


def test_known_duplicates_across_sets_are_found(shared_data: Path) -> None:
    nih = prints_of(shared_data / "cxr_nih1000", "*/*/*.png")
    mednist = prints_of(shared_data / "medical_mnist_6class", "CXR/*")
    assert len(near_duplicates(mednist, nih)) == 5
    kermany = prints_of(shared_data / "cxr_pneumonia_kermany", "*/*.jpeg")
    images, _ = read_medmnist(shared_data / "pneumoniamnist" / "pneumoniamnist.npz")
    assert len(near_duplicates(kermany, fingerprints(ArrayImages(images).pixels(SHAPE)))) >= 5


def test_different_chest_films_are_not_alike(shared_data: Path) -> None:
    nih = prints_of(shared_data / "cxr_nih1000", "*/*/*.png")
    jsrt = prints_of(shared_data / "cxr_jsrt_nodule_lungmask", "images/*.png")
    kermany = prints_of(shared_data / "cxr_pneumonia_kermany", "*/*.jpeg")
    for a, b in ((jsrt, nih), (kermany, nih), (jsrt, kermany)):
        assert len(near_duplicates(a, b, threshold=44)) == 0


def test_ecg_pages_of_one_layout_are_not_alike(shared_data: Path) -> None:
    ecg = prints_of(shared_data / "ecg_12lead_images", "*/*.jpg")
    assert near_duplicates(ecg, ecg).tolist() == [[index, index] for index in range(len(ecg))]
