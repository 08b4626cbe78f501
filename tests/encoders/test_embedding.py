import hashlib
import os
import shutil
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from processes import run_at_once
from torch import Tensor, nn

from medshot.encoders import ENCODERS, EncodedInput, embedding, reader_of
from medshot.encoders.embedding import Embeddings, EmbeddingStore, normalised
from medshot.encoders.encoder import Encoder, load_encoder
from medshot.errors import InputError, StorageError
from medshot.imaging import ArrayImages, FileImages, ImageInput, Vectors, cache
from medshot.imaging.cache import PIXELS_VERSION

PIXELS = ImageInput(channels=3, size=16)


class Corners(nn.Module):
    """A quick encoder: the mean of each channel, and two pixels of the first, relative to mid-grey."""

    def forward(self, pixels: Float[Tensor, "images 3 16 16"]) -> Float[Tensor, "images 5"]:
        return torch.cat([pixels.mean((2, 3)), pixels[:, 0, 8, 4:6]], dim=1) - 127


CORNERS = Encoder(input_spec=PIXELS, blocks=(3, 2), sha256="c0" * 32, build=Corners)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the store, which need not exist yet."""
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(ENCODERS, "corners", CORNERS)
    return tmp_path / "cache" / f"encoder-c0c0c0c0c0c0c0c0-{PIXELS_VERSION}"


@pytest.fixture
def shape(folder: Path) -> EncodedInput:
    return EncodedInput("corners")


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect the sizes of the batches that an encoder is called with."""
    sizes: list[int] = []

    def counting(encoder: Encoder, device: torch.device) -> Any:
        encode = load_encoder(encoder, device)
        return lambda pixels: sizes.append(len(pixels)) or encode(pixels)

    monkeypatch.setattr(embedding, "load_encoder", counting)
    return sizes


def random_images(count: int, seed: int = 0, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, (count, 12, 16, 3), dtype=dtype)


def write_images(folder: Path, images: np.ndarray) -> list[Path]:
    paths = [folder / f"{index}.png" for index in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(cv2.imencode(".png", image[..., ::-1])[1].tobytes())
    return paths


def expected(source: ArrayImages | FileImages) -> np.ndarray:
    pixels = source.pixels(PIXELS)
    features = Corners()(torch.from_numpy(pixels.astype(np.float32) * np.float32(255 / np.iinfo(pixels.dtype).max)))
    return normalised(features.numpy(), CORNERS.blocks)


def whole(shape: EncodedInput, source: ArrayImages | FileImages) -> np.ndarray:
    return reader_of(shape).read(source, np.arange(len(source))).numpy()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_rows_of_files_and_of_arrays_are_read_as_the_encoder_sees_them(
    tmp_path: Path, shape: EncodedInput, dtype: type
) -> None:
    images = random_images(30, dtype=dtype)
    rows = np.random.default_rng(1).integers(0, 30, 50)
    for source in (ArrayImages(images), FileImages(write_images(tmp_path, images))):
        features = reader_of(shape).read(source, rows)
        assert features.dtype == torch.float32
        np.testing.assert_allclose(features.numpy(), expected(source)[rows], rtol=1e-4, atol=1e-5)


def test_8_and_16_bits_of_one_picture_have_the_same_features(tmp_path: Path, shape: EncodedInput) -> None:
    shallow = random_images(6) // 128 * np.uint8(255)  # black and white: the window of 16-bit images leaves them alone
    deep = shallow[:3].astype(np.uint16) * np.uint16(257)
    (tmp_path / "deep").mkdir()
    mixed = FileImages([*write_images(tmp_path, shallow), *write_images(tmp_path / "deep", deep)])
    features = whole(shape, mixed)
    np.testing.assert_allclose(features[6:], features[:3], rtol=1e-5)
    assert len(np.unique(features[:6].round(3), axis=0)) == 6


def test_fingerprints_and_measures_are_those_of_the_pixels(shape: EncodedInput) -> None:
    source = ArrayImages(random_images(20))
    np.testing.assert_array_equal(reader_of(shape).fingerprints(source), reader_of(PIXELS).fingerprints(source))
    found, measured = reader_of(shape).measures(source), reader_of(PIXELS).measures(source)
    assert list(found) == list(measured)
    for name, values in measured.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6)


def test_a_second_run_touches_no_pixel(tmp_path: Path, shape: EncodedInput, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = write_images(tmp_path, random_images(5))
    first = whole(shape, FileImages(paths))
    moved = [path.rename(path.with_stem(f"moved {path.stem}")) for path in paths][::-1]
    monkeypatch.setattr(cache, "decoded", None)
    monkeypatch.setattr(embedding, "load_encoder", None)
    again = FileImages(moved)
    reader_of(shape).prepare(again)
    np.testing.assert_array_equal(whole(shape, again), first[::-1])
    assert len(reader_of(shape).fingerprints(again)) == len(reader_of(shape).measures(again)["contrast"]) == 5
    monkeypatch.undo()
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path / "another"))
    monkeypatch.setattr(cache, "decoded", None)
    monkeypatch.setitem(ENCODERS, "corners", CORNERS)
    with pytest.raises(TypeError):  # what the first run did, and this one cannot
        reader_of(shape).prepare(FileImages(moved))


def test_each_image_is_embedded_once(shape: EncodedInput, folder: Path, encoded: list[int]) -> None:
    images = random_images(20)
    source = ArrayImages(images[[0, 1, 0, 2, 1, 0]])
    np.testing.assert_allclose(whole(shape, source), expected(source), rtol=1e-4, atol=1e-5)
    assert sum(encoded) == 3
    np.testing.assert_allclose(whole(shape, ArrayImages(images)), expected(ArrayImages(images)), rtol=1e-4, atol=1e-5)
    assert sum(encoded) == 20
    assert {path.name: path.stat().st_size for path in folder.iterdir() if path.suffix} == {
        "features.f32": 20 * 5 * 4,
        "fingerprints.u8": 20 * 32,
        "measures.f32": 20 * 3 * 4,
        "hashes.u8": 20 * 32,
    }


def test_what_another_process_has_done_meanwhile_is_not_done_again(
    shape: EncodedInput, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = random_images(300)  # 256 of them are embedded between two writes
    stream = ArrayImages.stream

    def interrupted(*given: Any) -> Any:
        monkeypatch.setattr(ArrayImages, "stream", stream)
        whole(shape, ArrayImages(images))
        return stream(*given)

    monkeypatch.setattr(ArrayImages, "stream", interrupted)
    source = ArrayImages(images)
    np.testing.assert_allclose(whole(shape, source), expected(source), rtol=1e-4, atol=1e-5)
    assert sum(encoded) in (300 + 256, 300 + 44), "only what was begun before is done twice"


def test_a_cache_that_is_emptied_in_the_middle_is_reported(
    shape: EncodedInput, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ArrayImages(random_images(3))
    with monkeypatch.context() as patch:
        patch.setattr(EmbeddingStore, "append", lambda *_: shutil.rmtree(folder))
        with pytest.raises(StorageError, match="run it again"):
            reader_of(shape).prepare(source)
    np.testing.assert_allclose(whole(shape, source), expected(source), rtol=1e-4, atol=1e-5)


FILES = ("features.f32", "fingerprints.u8", "measures.f32", "hashes.u8")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=st.tuples(*[st.floats(0, 1)] * 4), excess=st.tuples(*[st.integers(0, 100)] * 4), missing=st.booleans())
def test_torn_and_superfluous_bytes_are_mended(
    folder: Path, kept: Sequence[float], excess: Sequence[int], missing: bool
) -> None:
    shape, images = EncodedInput("corners"), random_images(12)
    shutil.rmtree(folder, ignore_errors=True)
    whole(shape, ArrayImages(images[:9]))
    for name, share, more in zip(FILES, kept, excess, strict=True):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: round(share * len(content))] + (b"\xff" * more if share == 1 else b""))
    if missing:
        (folder / FILES[0]).unlink()
    source = ArrayImages(images)
    np.testing.assert_allclose(whole(shape, source), expected(source), rtol=1e-4, atol=1e-5)
    assert {(folder / name).stat().st_size / width for name, width in zip(FILES, (20, 32, 12, 32), strict=True)} == {12}


def test_a_killed_writer_leaves_what_counted_before(shape: EncodedInput, folder: Path) -> None:
    images = random_images(9)
    whole(shape, ArrayImages(images[:4]))
    reader = ArrayImages(images[:4])
    before = whole(shape, reader)
    for name in FILES[:3]:
        with (folder / name).open("ab") as file:
            file.write(b"\xff" * 77)
    np.testing.assert_array_equal(whole(shape, ArrayImages(images[:4])), before)
    source = ArrayImages(images)
    np.testing.assert_allclose(whole(shape, source), expected(source), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(whole(shape, reader), before)


def test_a_cache_that_was_emptied_is_filled_again(shape: EncodedInput, folder: Path) -> None:
    source = ArrayImages(random_images(4))
    first = whole(shape, source)
    store = EmbeddingStore(folder, features=5, measures=3)
    assert (store.find([bytes.fromhex(digest) for digest in source.hashes()]) >= 0).all()
    shutil.rmtree(folder)
    np.testing.assert_array_equal(whole(shape, source), first)
    assert (store.find([bytes.fromhex(digest) for digest in source.hashes()]) < 0).all()
    other = ArrayImages(random_images(4)[::-1])
    np.testing.assert_array_equal(whole(shape, other), first[::-1])


def digest_of(number: int) -> bytes:
    return hashlib.sha256(str(int(number)).encode()).digest()


def rows_of(numbers: Sequence[int]) -> tuple[list[bytes], Embeddings]:
    """Return rows that all differ between images."""
    column = np.array(numbers)[:, None]
    return [digest_of(number) for number in numbers], Embeddings(
        features=np.tile(column, 64).astype(np.float32),
        fingerprints=np.tile(column % 256, 32).astype(np.uint8),
        measures=np.tile(column, 3).astype(np.float32),
    )


def write_rows(folder: Path, seed: int, barrier: Any) -> None:
    store = EmbeddingStore(folder, features=64, measures=3)
    order = np.random.default_rng(seed).permutation(200)
    barrier.wait()
    for start in range(0, 200, 20):
        store.append(*rows_of([int(number) for number in order[start : start + 20]]))
        assert (store.find([digest_of(number) for number in order[: start + 20]]) >= 0).all()


def test_processes_that_write_at_once_give_one_whole_store(folder: Path) -> None:
    run_at_once(write_rows, [(folder, seed) for seed in range(2)])
    store = EmbeddingStore(folder, features=64, measures=3)
    hashes, wanted = rows_of(range(200))
    rows, there = store.find(hashes), store.read()
    assert len(there.features) == 200
    for name, array in vars(wanted).items():
        np.testing.assert_array_equal(vars(there)[name][rows], array)


def test_an_unreadable_image_is_named_and_the_others_stay(
    tmp_path: Path, shape: EncodedInput, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "SystemRandom", lambda: SimpleNamespace(shuffle=lambda chunks: None))
    paths = write_images(tmp_path, random_images(260))
    sound = paths[259].read_bytes()
    paths[259].write_bytes(sound[:-30])
    with pytest.raises(InputError, match=r"259\.png"):
        reader_of(shape).prepare(FileImages(paths))
    assert sum(encoded) >= 256
    paths[259].write_bytes(sound)
    source = FileImages(paths)
    np.testing.assert_allclose(whole(shape, source), expected(source), rtol=1e-4, atol=1e-5)
    assert sum(encoded) == 260, "what was embedded before is not embedded again"


def test_vectors_and_volumes_are_refused(shape: EncodedInput) -> None:
    reader = reader_of(shape)
    for use in (reader.prepare, reader.fingerprints, reader.measures, lambda source: reader.read(source, np.arange(1))):
        with pytest.raises(InputError, match="feature vectors"):
            use(Vectors(np.ones((2, 5))))
        with pytest.raises(InputError, match="this learner takes pictures"):
            use(ArrayImages(np.zeros((2, 8, 8, 8), np.uint8)))


def test_a_cache_that_cannot_be_written_to_is_named_before_the_work(
    tmp_path: Path, shape: EncodedInput, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(StorageError, match="set MEDSHOT_CACHE"):
        reader_of(shape).prepare(ArrayImages(random_images(3)))
    assert encoded == []


def test_a_store_of_someone_else_is_refused_before_the_work(
    shape: EncodedInput, folder: Path, encoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", forbidden)  # whoever tests as root is forbidden nothing
    with pytest.raises(StorageError, match=r"Permission denied.*set MEDSHOT_CACHE"):
        reader_of(shape).prepare(ArrayImages(random_images(3)))
    assert encoded == []


def test_a_full_disk_is_reported_and_partial_rows_do_not_count(
    shape: EncodedInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ArrayImages(random_images(3))
    reader_of(shape).prepare(ArrayImages(random_images(1, seed=1)))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match=r"No space left on device.*set MEDSHOT_CACHE"):
            reader_of(shape).prepare(source)
    np.testing.assert_allclose(whole(shape, source), expected(source), rtol=1e-4, atol=1e-5)


def test_memory_does_not_grow_with_the_number_of_images(
    tmp_path: Path, shape: EncodedInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "_CHUNK", 32)
    reader_of(shape).prepare(ArrayImages(random_images(1)))
    peaks = []
    for seed, count in enumerate((60, 240)):
        images = np.random.default_rng(seed).integers(0, 256, (count, 100, 100), dtype=np.uint8)
        (tmp_path / str(count)).mkdir()
        source = FileImages(write_images(tmp_path / str(count), np.stack([images] * 3, axis=-1)))
        source.hashes()
        tracemalloc.start()
        reader_of(shape).prepare(source)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 180 * 2000  # an image has 30,000 bytes, and its row a few hundred


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_stream_gives_the_pixels_of_its_rows(tmp_path: Path, dtype: type) -> None:
    images = random_images(40, dtype=dtype)
    rows = np.random.default_rng(2).integers(0, 40, 30)
    for source in (ArrayImages(images), FileImages(write_images(tmp_path, images))):
        np.testing.assert_array_equal(np.stack(list(source.stream(PIXELS, rows))), source.pixels(PIXELS)[rows])


@given(count=st.integers(0, 50), threads=st.integers(1, 4), taken=st.integers(0, 50))
def test_threads_keep_the_order_and_stay_a_few_items_ahead(count: int, threads: int, taken: int) -> None:
    begun: list[int] = []

    def items() -> Any:
        for item in range(count):
            begun.append(item)
            yield item

    results = cache.in_threads(lambda item: item * item, items(), threads)
    first = [next(results) for _ in range(min(taken, count))]
    assert first == [item * item for item in range(len(first))]
    assert len(begun) <= len(first) + cache._AHEAD * threads
    assert list(results) == [item * item for item in range(len(first), count)]


def test_progress_is_shown_when_it_takes_long(
    shape: EncodedInput, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader_of(shape).prepare(ArrayImages(random_images(3)))
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    monkeypatch.setattr("medshot.progress.PATIENCE", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    reader_of(shape).prepare(ArrayImages(random_images(3, seed=1)))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "embedding images" in captured.err
