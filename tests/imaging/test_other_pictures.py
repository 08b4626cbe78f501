"""Pictures beside PNG, JPEG and TIFF: animations, HEIC, `.npy` arrays, and what is said of files that are not read."""

import importlib.util
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from medshot.errors import InputError
from medshot.imaging import all_image_paths, read, read_image
from medshot.imaging.decoding import decoded
from medshot.imaging.inputs import ImageInput, VolumeInput

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (40, 52), dtype=np.uint8)
RGB = RANDOM.integers(0, 256, (40, 52, 3), dtype=np.uint8)
PICTURES = ImageInput(channels=1, size=16)
VOLUMES = VolumeInput(size=16)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_the_first_frame_of_an_animation_is_read_and_that_is_said(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"moving.{suffix}"
    frames = [Pillow.fromarray(GREY), Pillow.fromarray(255 - GREY), Pillow.fromarray(GREY.T.copy().reshape(40, 52))]
    frames[0].save(path, save_all=True, append_images=frames[1:], **({"lossless": True} if suffix == "webp" else {}))
    image = read_image(path)
    np.testing.assert_array_equal(image if image.ndim == 2 else image[..., 0], GREY)
    assert [sentence for sentence in read(path).assumed if "animation of 3 frames; the first" in sentence]


def test_one_frame_is_no_animation(tmp_path: Path) -> None:
    Pillow.fromarray(GREY).save(tmp_path / "still.gif")
    assert not [sentence for sentence in read(tmp_path / "still.gif").assumed if "animation" in sentence]


def test_heic_is_read_by_the_extra(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    flat = np.full((64, 64, 3), (200, 90, 30), np.uint8)
    pillow_heif.from_pillow(Pillow.fromarray(flat)).save(tmp_path / "photo.heic", quality=100)
    assert np.abs(read_image(tmp_path / "photo.heic").astype(int) - flat).max() <= 4


@pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is not None, reason="pillow-heif is installed")
def test_heic_without_the_extra_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400))
    with pytest.raises(InputError, match=r"photo\.heic is a HEIC picture.*medshot\[heic\].*convert it to PNG\.$"):
        read(tmp_path / "photo.heic")


@pytest.mark.parametrize("array", [GREY, GREY.astype(np.uint16) * 200, RGB], ids=["grey", "16 bits", "colour"])
def test_an_array_file_of_a_picture_is_the_picture(tmp_path: Path, array: np.ndarray) -> None:
    save(tmp_path / "image.npy", array)
    np.testing.assert_array_equal(decoded(tmp_path / "image.npy", PICTURES), array)


def test_an_array_file_of_three_axes_is_a_volume(tmp_path: Path) -> None:
    volume = RANDOM.integers(0, 256, (5, 40, 52), dtype=np.uint8)
    save(tmp_path / "volume.npy", volume)
    np.testing.assert_array_equal(decoded(tmp_path / "volume.npy", VOLUMES), volume)
    with pytest.raises(InputError, match="three dimensions"):
        decoded(tmp_path / "volume.npy", PICTURES)


def test_other_numbers_are_scaled_and_that_is_said(tmp_path: Path) -> None:
    save(tmp_path / "ct.npy", np.linspace(-1000, 1000, 40 * 52).reshape(40, 52).astype(np.float32))
    scan = read(tmp_path / "ct.npy")
    assert (scan.array.dtype, scan.array.min(), scan.array.max()) == (np.uint16, 0, 65535)
    assert [sentence for sentence in scan.assumed if "float32" in sentence and "-990 (black) to 990" in sentence]
    save(tmp_path / "mask.npy", GREY > 127)
    np.testing.assert_array_equal(read(tmp_path / "mask.npy").array[0], np.where(GREY > 127, 255, 0))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(5, np.uint8), "shape"),
        (np.zeros((2, 3, 4, 5), np.uint8), "shape"),
        (np.full((4, 4), np.nan, np.float32), "NaN"),
        (np.zeros((4, 4), np.complex64), "complex64"),
        (np.array([["a"]]), "<U1"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, array: np.ndarray, reason: str) -> None:
    save(tmp_path / "other.npy", array)
    with pytest.raises(InputError, match=reason):
        read(tmp_path / "other.npy")


def test_damaged_and_pickled_arrays_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "cut.npy", GREY)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-5])
    save(tmp_path / "pickled.npy", np.array([{}], dtype=object))
    (tmp_path / "text.npy").write_text("no array")
    for name, reason in (("cut", "differs from the header"), ("pickled", "pickled"), ("text", "not a readable")):
        with pytest.raises(InputError, match=reason):
            read(tmp_path / f"{name}.npy")


def test_what_is_not_read_is_answered_with_what_is(tmp_path: Path) -> None:
    (tmp_path / "drawing.svg").write_text("<svg></svg>" * 50)
    with pytest.raises(InputError, match=r"PNG, JPEG, TIFF, GIF, BMP, WebP, JPEG 2000, HEIC, DICOM.*NumPy.*convert it"):
        read(tmp_path / "drawing.svg")


def test_folders_list_pictures_of_every_format(tmp_path: Path) -> None:
    for name in ("a.gif", "b.bmp", "c.webp", "d.jp2"):
        Pillow.fromarray(GREY).save(tmp_path / name)
    save(tmp_path / "e.npy", GREY)
    (tmp_path / "f.heic").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    assert [path.name for path in all_image_paths(tmp_path)] == ["a.gif", "b.bmp", "c.webp", "d.jp2", "e.npy", "f.heic"]


def save(path: Path, array: np.ndarray) -> None:
    content = BytesIO()
    np.lib.format.write_array(content, array)
    path.write_bytes(content.getvalue())
