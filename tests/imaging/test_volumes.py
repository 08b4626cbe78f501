"""Volumes: files to cubes, through memory, cache and fingerprints."""

import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medshot.encoders import reader_of
from medshot.errors import InputError
from medshot.imaging import (
    ArrayImages,
    FileImages,
    ImageInput,
    ImageSource,
    VolumeInput,
    cache,
    fingerprints,
    fit_cube,
    near_duplicates,
    read_volume,
)

SHAPE = VolumeInput(channels=1, size=8)
VOLUMES = arrays(
    st.sampled_from([np.uint8, np.uint16]), st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(4, 20))
)


def smooth(count: int, *sides: int, seed: int = 0) -> np.ndarray:
    """Make volumes of a few random waves, as uint8."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid(*(np.linspace(0, 1, side) for side in sides), indexing="ij"))
    waves = rng.normal(0, 15, (count, 30, 3)).transpose(1, 0, 2) @ places.reshape(3, -1)
    volumes = np.sin(waves + rng.uniform(0, 6.3, (30, count, 1))).sum(0)
    volumes = (volumes - volumes.min(1, keepdims=True)) / np.ptp(volumes, axis=1, keepdims=True)
    return np.uint8(255 * volumes.reshape(count, *sides))


def written(folder: Path, name: str = "scan.npz", **contents: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / name, **contents)
    return folder / name


@pytest.mark.parametrize(("channels", "size"), [(1, 7), (1, 257), (0, 32), (3, 32)])
def test_shapes_that_no_network_has_are_refused(channels: int, size: int) -> None:
    with pytest.raises(InputError, match="choose"):
        VolumeInput(channels=channels, size=size)


@settings(max_examples=60)
@given(VOLUMES, st.integers(8, 24))
def test_a_cube_keeps_type_range_proportions_and_middle(volume: np.ndarray, size: int) -> None:
    shape = VolumeInput(1, size)
    fitted = fit_cube(np.maximum(volume, 1), shape)
    assert fitted.shape == shape.dimensions
    assert fitted.dtype == volume.dtype
    assert fitted.max() <= max(volume.max(), 1)
    filled = np.argwhere(fitted[0])
    for axis, side in enumerate(volume.shape):
        expected = max(1, round(side * size / max(volume.shape)))
        first, last = filled[:, axis].min(), filled[:, axis].max()
        assert last - first + 1 == expected
        assert first == (size - expected) // 2


@settings(max_examples=30)
@given(st.sampled_from([2, 3]), st.integers(0, 99))
def test_shrinking_averages_over_all_that_a_voxel_covers(factor: int, seed: int) -> None:
    volume = np.random.default_rng(seed).integers(0, 256, (8 * factor,) * 3, dtype=np.uint8)
    blocks = volume.reshape(8, factor, 8, factor, 8, factor).mean((1, 3, 5))
    np.testing.assert_allclose(fit_cube(volume, SHAPE)[0], blocks, atol=0.501)


@settings(max_examples=20)
@given(VOLUMES.filter(lambda volume: max(volume.shape) >= 8))
def test_what_fits_already_is_left_as_it_is(volume: np.ndarray) -> None:
    fitted = fit_cube(volume, VolumeInput(1, max(volume.shape)))[0]
    places = tuple(slice((len(fitted) - side) // 2, (len(fitted) - side) // 2 + side) for side in volume.shape)
    np.testing.assert_array_equal(fitted[places], volume)
    assert fitted.sum(dtype=np.int64) == volume.sum(dtype=np.int64)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_give_what_their_files_would(tmp_path: Path, dtype: type) -> None:
    volumes = smooth(3, 10, 14, 12).astype(dtype) * (np.iinfo(dtype).max // 255)
    paths = [written(tmp_path, f"{number}.npz", flair=volume) for number, volume in enumerate(volumes)]
    files, array = FileImages(paths), ArrayImages(volumes)
    assert isinstance(files, ImageSource)
    assert files.axes == array.axes == 3
    assert files.pixels(SHAPE).shape == (3, 1, 8, 8, 8)
    assert not files.pixels(SHAPE).flags.writeable
    np.testing.assert_array_equal(files.pixels(SHAPE), array.pixels(SHAPE))
    rows = np.array([2, 0])
    np.testing.assert_array_equal(np.stack(list(files.stream(SHAPE, rows))), array.pixels(SHAPE)[rows])
    read = reader_of(SHAPE).read(files, rows)
    assert read.shape == (2, *SHAPE.dimensions)
    assert 0 <= read.min() < read.max() <= 1


def test_a_second_reading_decodes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDSHOT_CACHE", str(tmp_path / "cache"))
    paths = [written(tmp_path, f"{number}.npz", a=volume) for number, volume in enumerate(smooth(2, 9, 9, 9))]
    first = FileImages(paths).pixels(SHAPE)
    moved = [path.rename(path.with_stem(f"moved {path.stem}")) for path in paths]
    monkeypatch.setattr(cache, "decoded", None)
    np.testing.assert_array_equal(FileImages(moved).pixels(SHAPE), first)
    with pytest.raises(TypeError):  # another shape is another entry
        FileImages(moved).pixels(VolumeInput(1, 9))


def test_one_volume_of_16_bits_makes_the_task_16_bits(tmp_path: Path) -> None:
    volume = smooth(1, 8, 8, 8)[0]
    paths = [written(tmp_path, "8.npz", a=volume), written(tmp_path, "16.npz", a=volume.astype(np.uint16) * 16)]
    pixels = FileImages(paths).pixels(SHAPE)
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels[0, 0], volume.astype(np.uint16) * 257)


def test_volumes_and_pictures_are_not_taken_for_each_other(tmp_path: Path) -> None:
    pictures, volumes = ArrayImages(smooth(2, 9, 9, 9)[:, 0]), ArrayImages(smooth(2, 9, 9, 9))
    files = FileImages([written(tmp_path, a=smooth(1, 9, 9, 9)[0])])
    for source in (volumes, files):
        for use in (source.pixels, lambda shape, source=source: source.stream(shape, np.arange(1)).__next__()):
            with pytest.raises(InputError, match=r"this learner takes pictures; use .* --dimensions 3"):
                use(ImageInput(1, 16))
    (tmp_path / "a.png").write_bytes(b"whatever")
    for source in (pictures, FileImages([tmp_path / "a.png"])):
        with pytest.raises(InputError, match=r"this learner takes volumes; use .* --dimensions 2"):
            source.pixels(SHAPE)


def test_one_array_of_an_archive_is_the_volume(tmp_path: Path) -> None:
    before, after = smooth(2, 5, 6, 7)
    path = written(tmp_path, flair=before, mask=after, age=np.array(51))
    np.testing.assert_array_equal(read_volume(path), before)
    np.testing.assert_array_equal(read_volume(f"{path}#mask"), after)
    images = FileImages([path, f"{path}#flair", f"{path}#mask"])
    assert len(set(images.hashes())) == 3
    np.testing.assert_array_equal(images.pixels(SHAPE)[0], images.pixels(SHAPE)[1])


VOLUME = smooth(1, 4, 5, 6)[0]


@pytest.mark.parametrize(
    ("contents", "name", "sentence"),
    [
        ({"pre": VOLUME, "post": VOLUME}, "scan.npz", r"holds 2 arrays .*pre, post.*scan\.npz#pre"),
        ({"mask": VOLUME, "age": np.array(3)}, "scan.npz", "holds 0 arrays"),
        ({"pre": VOLUME}, "scan.npz#post", "holds no array 'post'; choose one of: pre"),
        ({"pre": VOLUME.astype(float)}, "scan.npz", "float64 values; convert them"),
        ({"pre": VOLUME.astype(np.int16)}, "scan.npz", "int16 values; convert them"),
        ({"pre": VOLUME[0]}, "scan.npz#pre", "not a volume"),
        ({"pre": VOLUME[..., :3]}, "scan.npz", "not a volume"),
        ({"pre": VOLUME[:0]}, "scan.npz", "not a volume"),
        ({"pre": VOLUME.astype(object)}, "scan.npz", "pickled"),
        ({"pre": VOLUME}, "other.npz", r"other\.npz does not exist"),
    ],
)
def test_arrays_that_are_not_volumes_are_refused_in_one_sentence(
    tmp_path: Path, contents: dict, name: str, sentence: str
) -> None:
    written(tmp_path, **contents)
    with pytest.raises(InputError, match=sentence) as refused:
        read_volume(tmp_path / name)
    assert str(refused.value).count("\n") == 0


@settings(max_examples=40)
@given(st.data())
def test_damaged_archives_are_refused_or_read(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = written(tmp_path_factory.mktemp("damaged"), a=VOLUME)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with suppress(InputError):
        assert read_volume(path).ndim == 3


def test_too_many_voxels_are_refused_from_the_header(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "scan.npz", "w") as archive, archive.open("a.npy", "w") as member:
        header = {"descr": "|u1", "fortran_order": False, "shape": (1000, 1000, 401)}
        np.lib.format.write_array_header_1_0(member, header)
    with zipfile.ZipFile(tmp_path / "scan.npz", "a") as archive:  # no voxels follow: reading them is another refusal
        archive.writestr("b.npy", b"")
        archive.getinfo("a.npy").file_size += 401_000_000
    with pytest.raises(InputError, match="more than 400,000,000 in all"):
        read_volume(tmp_path / "scan.npz#a")


def test_fingerprints_find_a_volume_at_another_size_brightness_and_depth() -> None:
    volumes = smooth(12, 40, 40, 40)
    prints = fingerprints(ArrayImages(volumes).pixels(VolumeInput(1, 32)))
    assert {tuple(pair) for pair in near_duplicates(prints, prints)} == {(k, k) for k in range(12)}
    darker = (volumes // 2).astype(np.uint8)
    deeper = volumes.astype(np.uint16) * 257
    for others, size in ((volumes, 40), (volumes, 24), (darker, 32), (deeper, 32)):
        again = fingerprints(ArrayImages(others).pixels(VolumeInput(1, size)))
        assert {tuple(pair) for pair in near_duplicates(again, prints)} == {(k, k) for k in range(12)}


@given(st.integers(0, 255))
@settings(max_examples=5)
def test_volumes_without_structure_are_never_duplicates(value: int) -> None:
    empty = ArrayImages(np.full((2, 12, 12, 12), value, np.uint8))
    assert not fingerprints(empty.pixels(SHAPE)).any()


def test_measures_of_volumes() -> None:
    dark, bright = np.full((9, 9, 9), 51, np.uint8), np.full((9, 9, 9), 204, np.uint8)
    found = reader_of(SHAPE).measures(ArrayImages(np.stack([dark, bright])))
    np.testing.assert_allclose(found["brightness"], [0.2, 0.8], atol=1e-6)
    np.testing.assert_allclose(found["contrast"], 0, atol=1e-6)
    np.testing.assert_array_equal(found["colourfulness"], 0)
