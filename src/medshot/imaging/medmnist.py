"""MedMNIST archives (Yang et al., Scientific Data 2023): one .npz of images and labels in three splits."""

import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8, UInt16

from medshot.errors import InputError
from medshot.imaging.npz import members, opened, read_array

SIZE_LIMIT = 8_000_000_000  # bytes once unpacked
_SPLITS = ("train", "val", "test")

StackedImages = UInt8[np.ndarray, "images *shape"] | UInt16[np.ndarray, "images *shape"]


def read_medmnist(path: Path | str) -> tuple[StackedImages, Int64[np.ndarray, " images"]]:
    """Read all splits of a MedMNIST archive, train, val and test in this order.

    The published splits are not by patient, so they are joined here and images are dealt out anew by whoever
    splits them.

    Args:
        path: an .npz file with `train_images`, `train_labels` and so on; splits may be missing. Images are
            uint8 or uint16, or floats in 0..1, which are rounded to uint8 steps.

    Returns:
        Images, grey `(images, height, width)`, RGB `(images, height, width, 3)` or volumes
        `(images, depth, height, width)`, a last axis of 3 meaning RGB; and one label per image.

    Raises:
        InputError: not such an archive, damaged, larger than 8 GB unpacked, pickled objects inside, float
            images outside 0..1 or NaN, splits that do not fit each other, or several labels per image.
    """
    images, labels = zip(*read_medmnist_splits(path).values(), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def read_medmnist_splits(path: Path | str) -> dict[str, tuple[StackedImages, Int64[np.ndarray, " images"]]]:
    """The splits of a MedMNIST archive by name, each with its images and labels; raises as `read_medmnist` does."""
    path = Path(path)
    with opened(path) as archive:
        arrays = _read_arrays(path, archive)
    splits = [split for split in _SPLITS if f"{split}_images" in arrays]
    if not splits:
        raise InputError(f"{path} holds no train_images, val_images or test_images; give a MedMNIST archive.")
    images = [_checked_images(path, f"{split}_images", arrays[f"{split}_images"]) for split in splits]
    labels = [_checked_labels(path, f"{split}_labels", arrays.get(f"{split}_labels")) for split in splits]
    for split, some_images, some_labels in zip(splits, images, labels, strict=True):
        if len(some_images) != len(some_labels):
            raise InputError(
                f"{path} holds {len(some_images)} {split}_images but {len(some_labels)} {split}_labels; "
                "download it again."
            )
        if some_images.shape[1:] != images[0].shape[1:] or some_images.dtype != images[0].dtype:
            raise InputError(f"{path} holds {split}_images of another shape or type; make the splits alike.")
    return dict(zip(splits, zip(images, labels, strict=True), strict=True))


def _read_arrays(path: Path, archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > SIZE_LIMIT:
        raise InputError(
            f"{path} would unpack to {unpacked / 1e9:.1f} GB, more than {SIZE_LIMIT / 1e9:.0f} GB; split it."
        )
    wanted = {f"{split}_{kind}" for split in _SPLITS for kind in ("images", "labels")}
    return {name: read_array(path, archive, member) for name, member in members(archive).items() if name in wanted}


def _checked_images(path: Path, name: str, images: np.ndarray) -> np.ndarray:
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise InputError(f"{path} holds {name} of shape {images.shape}; give 2D or 3D images, at least one.")
    if images.dtype in (np.uint8, np.uint16):
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError(f"{path} holds {name} of type {images.dtype}; convert them to uint8 or uint16.")
    if not (images.min() >= 0 and images.max() <= 1):  # false for NaN
        raise InputError(f"{path} holds {name} that are NaN or outside 0 to 1; convert them to uint8.")
    return np.rint(images * 255).astype(np.uint8)


def _checked_labels(path: Path, name: str, labels: np.ndarray | None) -> Int64[np.ndarray, " images"]:
    if labels is None:
        raise InputError(f"{path} holds images without {name}; give a MedMNIST archive with labels.")
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise InputError(
            f"{path} holds {labels.shape[1]} labels per image in {name}; "
            "keep one of the columns, for a task has one label per image."
        )
    if labels.ndim not in (1, 2) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{path} holds {name} of shape {labels.shape} and type {labels.dtype}; give one integer per image."
        )
    return labels.reshape(len(labels)).astype(np.int64)
