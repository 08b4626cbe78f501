import hashlib
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import run_at_once

from medshot.errors import InputError, StorageError
from medshot.imaging import ArrayImages, FileImages, ImageInput, ImageSource, cache, cache_folder, fit
from medshot.imaging.preparing import percentile_window

SHAPE = ImageInput(1, 16)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path / "the cache"))
    return tmp_path / "the cache"


def write_images(
    folder: Path, count: int, dtype: type = np.uint8, seed: int = 0
) -> tuple[list[Path], list[np.ndarray]]:
    random = np.random.default_rng(seed)
    images = [
        random.integers(0, np.iinfo(dtype).max + 1, random.integers(10, 40, 2), dtype=dtype) for _ in range(count)
    ]
    paths = [folder / f"{np.dtype(dtype)} {index}.png" for index in range(count)]
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    return paths, images


def test_both_sources_keep_the_protocol() -> None:
    assert isinstance(FileImages(["a.png"]), ImageSource)
    assert isinstance(ArrayImages(np.zeros((1, 8, 8), np.uint8)), ImageSource)


@pytest.mark.parametrize("count", [1, 150])
def test_files_are_decoded_in_order_and_hashed(tmp_path: Path, empty_cache: Path, count: int) -> None:
    paths, images = write_images(tmp_path, count)
    source = FileImages(paths)
    pixels = source.pixels(SHAPE)
    assert isinstance(pixels, np.memmap)
    assert not pixels.flags.writeable
    assert len(source) == count
    np.testing.assert_array_equal(pixels, np.stack([fit(image, SHAPE) for image in images]))
    assert source.hashes() == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert [path.suffix for path in empty_cache.iterdir()] == [".npy"]


def test_a_second_reading_decodes_nothing(tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, _ = write_images(tmp_path, 3)
    first = FileImages(paths).pixels(SHAPE)
    moved = [path.rename(path.with_stem(f"moved {path.stem}")) for path in paths]
    monkeypatch.setattr(cache, "decoded", None)
    np.testing.assert_array_equal(FileImages(moved).pixels(SHAPE), first)
    with pytest.raises(TypeError):
        FileImages(moved).pixels(ImageInput(3, 16))


def test_changed_files_other_orders_and_shapes_are_other_entries(tmp_path: Path, empty_cache: Path) -> None:
    paths, images = write_images(tmp_path, 3)
    FileImages(paths).pixels(SHAPE)
    turned = FileImages(paths[::-1]).pixels(SHAPE)
    np.testing.assert_array_equal(turned, np.stack([fit(image, SHAPE) for image in images[::-1]]))
    assert FileImages(paths).pixels(ImageInput(3, 20)).shape == (3, 3, 20, 20)
    paths[0].write_bytes(cv2.imencode(".png", 255 - images[0])[1].tobytes())
    changed = FileImages(paths).pixels(SHAPE)
    np.testing.assert_array_equal(changed[0], fit(255 - images[0], SHAPE))


@pytest.mark.parametrize("deep_first", [False, True])
def test_one_16_bit_image_makes_the_task_16_bits(tmp_path: Path, empty_cache: Path, deep_first: bool) -> None:
    paths, images = write_images(tmp_path, 70)
    deep_paths, deep_images = write_images(tmp_path, 2, np.uint16)
    deep = deep_images[0] // 16
    deep_paths[0].write_bytes(cv2.imencode(".png", deep)[1].tobytes())
    order = [deep_paths[0], *paths] if deep_first else [*paths, deep_paths[0]]
    pixels = FileImages(order).pixels(SHAPE)
    shallow, windowed = (pixels[1:], pixels[0]) if deep_first else (pixels[:-1], pixels[-1])
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(shallow, np.stack([fit(image, SHAPE).astype(np.uint16) * 257 for image in images]))
    np.testing.assert_array_equal(windowed, fit(percentile_window(deep), SHAPE))
    assert len(list(empty_cache.iterdir())) == 1


@pytest.mark.parametrize("left", [0, 7, 100, 400])
def test_a_truncated_cache_is_built_again(tmp_path: Path, empty_cache: Path, left: int) -> None:
    paths, images = write_images(tmp_path, 3)
    FileImages(paths).pixels(SHAPE)
    (entry,) = empty_cache.iterdir()
    whole = entry.read_bytes()
    for damaged in (whole[:left], whole + b"\0", np.zeros(5).tobytes()):
        entry.unlink()
        entry.write_bytes(damaged)
        np.testing.assert_array_equal(FileImages(paths).pixels(SHAPE), np.stack([fit(i, SHAPE) for i in images]))
        assert entry.read_bytes() == whole


def test_an_unreadable_image_leaves_no_cache(tmp_path: Path, empty_cache: Path) -> None:
    paths, _ = write_images(tmp_path, 80)
    paths[70].write_bytes(paths[70].read_bytes()[:-30])
    with pytest.raises(InputError, match=r"uint8 70\.png"):
        FileImages(paths).pixels(SHAPE)
    assert list(empty_cache.iterdir()) == []
    paths[70].unlink()
    with pytest.raises(InputError, match="does not exist"):
        FileImages(paths).hashes()


def test_an_unwritable_cache_names_the_variable_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, _ = write_images(tmp_path, 1)
    (tmp_path / "file").write_bytes(b"in the way")
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(StorageError, match="set MEDSHOT_CACHE"):
        FileImages(paths).pixels(SHAPE)


def test_a_full_disk_names_the_variable_to_set_and_leaves_nothing(
    tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, _ = write_images(tmp_path, 1)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left on device.*set MEDSHOT_CACHE"):
        FileImages(paths).pixels(SHAPE)
    assert list(empty_cache.iterdir()) == []


def test_the_cache_folder_is_the_users_unless_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MEDSHOT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "medshot"


def build(paths: list[Path], expected: np.ndarray, barrier: Any) -> None:
    barrier.wait()
    np.testing.assert_array_equal(FileImages(paths).pixels(ImageInput(1, 64)), expected)


@pytest.mark.slow
def test_two_processes_build_the_same_cache_at_once(tmp_path: Path, empty_cache: Path) -> None:
    paths, images = write_images(tmp_path, 300)
    expected = np.stack([fit(image, ImageInput(1, 64)) for image in images])
    run_at_once(build, [(paths, expected)] * 2)
    assert [path.suffix for path in empty_cache.iterdir()] == [".npy"]


def test_progress_is_shown_only_when_it_takes_long(
    tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths, _ = write_images(tmp_path, 3)
    FileImages(paths).pixels(SHAPE)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    monkeypatch.setattr("medshot.progress.PATIENCE", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    FileImages(paths).pixels(ImageInput(3, 16))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "reading images" in captured.err


@settings(max_examples=20, deadline=None)
@given(
    count=st.integers(1, 4),
    side=st.integers(8, 30),
    colour=st.booleans(),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    channels=st.sampled_from([1, 3]),
)
def test_arrays_give_what_their_files_would(
    tmp_path_factory: pytest.TempPathFactory, count: int, side: int, colour: bool, dtype: type, channels: int
) -> None:
    shape = (count, side, side + 3, 3) if colour else (count, side, side + 3)
    array = np.random.default_rng(count).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)
    folder, paths = tmp_path_factory.mktemp("images"), []
    for index, image in enumerate(array):
        paths.append(folder / f"{index}.png")
        paths[-1].write_bytes(cv2.imencode(".png", image[..., ::-1] if colour else image)[1].tobytes())
    wanted = ImageInput(channels, 12)
    source = ArrayImages(array)
    pixels = source.pixels(wanted)
    np.testing.assert_array_equal(pixels, FileImages(paths).pixels(wanted))
    assert pixels.dtype == dtype
    assert not pixels.flags.writeable
    assert source.pixels(wanted) is pixels
    assert len(source) == len(source.hashes()) == count


def test_equal_images_have_equal_hashes_and_others_do_not() -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 9, 9), dtype=np.uint8)
    array[2] = array[0]
    first, second, third = ArrayImages(array).hashes()
    assert first == third == ArrayImages(array.transpose(0, 2, 1).copy().transpose(0, 2, 1)).hashes()[0]
    assert first != second


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 8, 8)),
        np.zeros((2, 8, 8), np.int16),
        np.zeros((2, 8, 8), bool),
        np.zeros((8, 8), np.uint8),
        np.zeros((2, 8, 8, 8, 3), np.uint8),
        np.zeros((0, 8, 8), np.uint8),
        np.zeros((2, 0, 8), np.uint8),
    ],
)
def test_arrays_that_are_no_images_are_refused(array: np.ndarray) -> None:
    with pytest.raises(InputError):
        ArrayImages(array)


def test_an_empty_list_of_files_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        FileImages([])


def test_real_images_of_every_kind(shared_data: Path) -> None:
    folders = (
        "cxr_nih1000/train/1_abnormal",
        "ecg_12lead_images/mi",
        "spine_xray_scoliosis",
        "skin_ham10000_subset/images",
    )
    paths = [path for folder in folders for path in sorted((shared_data / folder).rglob("*.*g"))[:6]]
    assert len(paths) >= 20
    pixels = FileImages(paths).pixels(ImageInput(3, 64))
    assert pixels.dtype == np.uint8
    assert (pixels.reshape(len(paths), -1).std(1) > 10).all()
