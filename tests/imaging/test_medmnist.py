import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from medshot.errors import InputError
from medshot.imaging import read_medmnist

RANDOM = np.random.default_rng(0)


def archive(shape: tuple[int, ...] = (28, 28), dtype: type = np.uint8, **replaced: object) -> dict[str, object]:
    arrays: dict[str, object] = {}
    for split, count in (("train", 6), ("val", 2), ("test", 3)):
        arrays[f"{split}_images"] = RANDOM.integers(0, np.iinfo(dtype).max, (count, *shape), dtype=dtype)
        arrays[f"{split}_labels"] = RANDOM.integers(0, 3, (count, 1), dtype=np.uint8)
    return arrays | replaced


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=False)
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3), (28, 28, 28)])
@pytest.mark.parametrize("compress", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_splits_are_joined_in_order(tmp_path: Path, shape: tuple[int, ...], compress: object, dtype: type) -> None:
    arrays = archive(shape, dtype)
    compress(tmp_path / "set.npz", **arrays)
    images, labels = read_medmnist(tmp_path / "set.npz")
    splits = ("train", "val", "test")
    np.testing.assert_array_equal(images, np.concatenate([arrays[f"{split}_images"] for split in splits]))
    np.testing.assert_array_equal(labels, np.concatenate([arrays[f"{split}_labels"][:, 0] for split in splits]))
    assert images.dtype == dtype
    assert labels.dtype == np.int64


def test_flat_labels_and_a_single_split_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", test_images=np.zeros((4, 8, 8), np.uint8), test_labels=np.arange(4))
    images, labels = read_medmnist(str(tmp_path / "set.npz"))
    assert images.shape == (4, 8, 8)
    assert labels.tolist() == [0, 1, 2, 3]


def test_floats_in_the_unit_range_become_8_bit(tmp_path: Path) -> None:
    images = np.linspace(0, 1, 256).reshape(1, 16, 16)
    np.savez(tmp_path / "set.npz", train_images=images, train_labels=[0])
    np.testing.assert_array_equal(read_medmnist(tmp_path / "set.npz")[0].ravel(), np.arange(256))


ONE = np.zeros((6, 28, 28))
REFUSED = {
    "pickled": (archive(train_images=np.array([{}] * 6, dtype=object)), "pickled objects"),
    "pickled labels": (archive(val_labels=np.array([[None]] * 2, dtype=object)), "pickled objects"),
    "NaN": (archive(train_images=np.where(np.arange(28) == 5, np.nan, ONE)), "NaN or outside"),
    "float 255": (archive(train_images=ONE + 255), "NaN or outside"),
    "negative": (archive(train_images=ONE - 1), "NaN or outside"),
    "signed": (archive(train_images=ONE.astype(np.int32)), "int32"),
    "text": (archive(train_images=np.full((6, 28, 28), "a")), "type <U1"),
    "flat": (archive(train_images=np.zeros((6, 784), np.uint8)), "shape"),
    "five axes": (archive(train_images=np.zeros((6, 4, 4, 4, 3), np.uint8)), "shape"),
    "none": (archive(train_images=np.zeros((0, 28, 28), np.uint8)), "at least one"),
    "unequal": (archive(val_labels=np.zeros((3, 1), np.uint8)), "2 val_images but 3 val_labels"),
    "other size": (archive(test_images=np.zeros((3, 64, 64), np.uint8)), "another shape"),
    "other type": (archive(test_images=np.zeros((3, 28, 28), np.uint16)), "another shape or type"),
    "multi-label": (archive(train_labels=np.zeros((6, 14), np.uint8)), "14 labels per image"),
    "float labels": (archive(train_labels=np.zeros((6, 1))), "one integer per image"),
    "scalar labels": (archive(train_labels=np.uint8(1)), "one integer per image"),
    "no labels": ({"train_images": np.zeros((6, 28, 28), np.uint8)}, "without train_labels"),
    "other keys": ({"flair": np.zeros((6, 28, 28), np.uint8)}, "no train_images"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_archives_are_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    arrays, reason = REFUSED[name]
    path = tmp_path / "set.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=reason) as error:
        read_medmnist(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_no_archives_are_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "whole.npz", **archive())
    whole = (tmp_path / "whole.npz").read_bytes()
    damaged = bytearray(whole)
    damaged[200:260] = bytes(60)
    contents = {
        "empty": b"",
        "text": b"not an archive",
        "truncated": whole[: len(whole) // 2],
        "damaged": bytes(damaged),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="again"):
            read_medmnist(tmp_path / name)
    with pytest.raises(InputError, match="does not exist"):
        read_medmnist(tmp_path / "missing.npz")
    with pytest.raises(InputError, match="not a readable"):
        read_medmnist(tmp_path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", **archive())
    with zipfile.ZipFile(tmp_path / "bomb.npz", "a") as file:
        file.writestr("unused.npy", b"")
        file.infolist()[0].file_size = 9_000_000_000  # written to the archive's directory, which is all that is read
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(InputError, match="would unpack to"):
        read_medmnist(tmp_path / "bomb.npz")


@pytest.mark.parametrize("claimed", [b"(10, 28, 28)", b"(10**9, 28, 28)", b"(6, 28, 9999999999999)", b"(-6, 28, 28)"])
def test_a_header_that_claims_other_sizes_is_refused(tmp_path: Path, claimed: bytes) -> None:
    content = npy(np.zeros((6, 28, 28), np.uint8))
    start = content.index(b"(6, 28, 28)")
    end = content.index(b"\n", start)
    rest = claimed + content[start + len(b"(6, 28, 28)") : end].rstrip()
    content = content[:start] + rest.ljust(end - start) + content[end:]
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as file:
        file.writestr("train_images.npy", content)
        file.writestr("train_labels.npy", npy(np.zeros(6, np.uint8)))
    with pytest.raises(InputError, match=r"damaged array train_images\.npy"):
        read_medmnist(tmp_path / "set.npz")


def test_the_published_archives_are_read(shared_data: Path) -> None:
    images, labels = read_medmnist(shared_data / "pneumoniamnist" / "pneumoniamnist.npz")
    assert images.shape == (5856, 28, 28)
    assert np.bincount(labels).tolist() == [1583, 4273]
