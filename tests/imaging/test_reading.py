import struct
import threading
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageOps

from medshot.errors import InputError
from medshot.imaging import read_image

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (40, 52), dtype=np.uint8)
RGB = RANDOM.integers(0, 256, (40, 52, 3), dtype=np.uint8)
GREY16 = RANDOM.integers(0, 65536, (40, 52), dtype=np.uint16)
RGB16 = RANDOM.integers(0, 65536, (40, 52, 3), dtype=np.uint16)
ALPHA = RANDOM.integers(0, 256, (40, 52), dtype=np.uint8)
SMOOTH = cv2.GaussianBlur(RGB, (0, 0), 4)


def pillow_bytes(image: np.ndarray | Pillow.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    (Pillow.fromarray(image) if isinstance(image, np.ndarray) else image).save(stream, kind, **options)
    return stream.getvalue()


def opencv_bytes(extension: str, image: np.ndarray) -> bytes:
    return cv2.imencode(extension, image)[1].tobytes()


def png_bytes(samples: np.ndarray, depth: int, colour_type: int, width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def on_black(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    top = np.iinfo(image.dtype).max
    scaled = image * (alpha.astype(np.float64) / np.iinfo(alpha.dtype).max).reshape(
        alpha.shape + (1,) * (image.ndim - 2)
    )
    return np.clip(np.rint(scaled), 0, top).astype(image.dtype)


PALETTE = Pillow.fromarray(SMOOTH).quantize(16)
BINARY = np.where(GREY > 127, 255, 0).astype(np.uint8)
RGBA = np.dstack([RGB, ALPHA])
GREY_ALPHA16 = np.dstack([GREY16, ALPHA.astype(np.uint16) * 257])
RGBA16 = np.dstack([RGB16, ALPHA.astype(np.uint16) * 257])

LOSSLESS = {
    "grey.png": (pillow_bytes(GREY, "PNG"), GREY),
    "grey_alpha.png": (
        pillow_bytes(Pillow.merge("LA", [Pillow.fromarray(GREY), Pillow.fromarray(ALPHA)]), "PNG"),
        on_black(GREY, ALPHA),
    ),
    "rgb.png": (pillow_bytes(RGB, "PNG"), RGB),
    "rgba.png": (pillow_bytes(RGBA, "PNG"), on_black(RGB, ALPHA)),
    "palette.png": (pillow_bytes(PALETTE, "PNG"), np.asarray(PALETTE.convert("RGB"))),
    "binary.png": (pillow_bytes(Pillow.fromarray(GREY > 127), "PNG"), BINARY),
    "grey16.png": (opencv_bytes(".png", GREY16), GREY16),
    "rgb16.png": (opencv_bytes(".png", RGB16[..., ::-1]), RGB16),
    "rgba16.png": (opencv_bytes(".png", RGBA16[..., [2, 1, 0, 3]]), on_black(RGB16, RGBA16[..., 3])),
    "grey_alpha16.png": (
        png_bytes(GREY_ALPHA16.astype(">u2"), 16, 4, 52, 40),
        on_black(GREY16, GREY_ALPHA16[..., 1]),
    ),
    "grey.gif": (pillow_bytes(GREY, "GIF"), GREY),
    "palette.gif": (pillow_bytes(PALETTE, "GIF"), np.asarray(PALETTE.convert("RGB"))),
    "grey.bmp": (pillow_bytes(GREY, "BMP"), GREY),
    "rgb.bmp": (pillow_bytes(RGB, "BMP"), RGB),
    "rgb.webp": (pillow_bytes(RGB, "WEBP", lossless=True), RGB),
    "rgba.webp": (pillow_bytes(RGBA, "WEBP", lossless=True, exact=True), on_black(RGB, ALPHA)),
    "grey.jp2": (pillow_bytes(GREY, "JPEG2000"), GREY),
    "rgb.jp2": (pillow_bytes(RGB, "JPEG2000"), RGB),
    "rgba.jp2": (pillow_bytes(RGBA, "JPEG2000"), on_black(RGB, ALPHA)),
    "grey16.j2k": (pillow_bytes(Pillow.fromarray(GREY16), "JPEG2000", no_jp2=True), GREY16),
    "grey.tif": (pillow_bytes(GREY, "TIFF"), GREY),
    "grey_alpha.tif": (
        pillow_bytes(Pillow.merge("LA", [Pillow.fromarray(GREY), Pillow.fromarray(ALPHA)]), "TIFF"),
        on_black(GREY, ALPHA),
    ),
    "rgb.tif": (pillow_bytes(RGB, "TIFF", compression="tiff_lzw"), RGB),
    "rgba.tif": (pillow_bytes(RGBA, "TIFF"), on_black(RGB, ALPHA)),
    "palette.tif": (pillow_bytes(PALETTE, "TIFF"), np.asarray(PALETTE.convert("RGB"))),
    "binary.tif": (pillow_bytes(Pillow.fromarray(GREY > 127), "TIFF", compression="group4"), BINARY),
    "grey16.tif": (pillow_bytes(GREY16, "TIFF", compression="tiff_adobe_deflate"), GREY16),
    "rgb16.tif": (opencv_bytes(".tif", RGB16[..., ::-1]), RGB16),
    "white_is_zero16.tif": (pillow_bytes(GREY16, "TIFF", tiffinfo={262: 0}), 65535 - GREY16),
}
SOUND = {name: content for name, (content, _) in LOSSLESS.items()} | {
    "baseline.jpg": pillow_bytes(SMOOTH, "JPEG"),
    "progressive.jpg": pillow_bytes(SMOOTH, "JPEG", progressive=True),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_files_give_their_pixels(tmp_path: Path, name: str) -> None:
    content, expected = LOSSLESS[name]
    (tmp_path / name).write_bytes(content)
    image = read_image(tmp_path / name)
    assert image.dtype == expected.dtype
    np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 40}])
def test_jpeg_is_what_opencv_gives(tmp_path: Path, options: dict[str, object]) -> None:
    for index, picture in enumerate((SMOOTH, cv2.GaussianBlur(GREY, (0, 0), 3))):
        path = tmp_path / f"{index}.jpg"
        path.write_bytes(pillow_bytes(picture, "JPEG", **options))
        flag = cv2.IMREAD_COLOR_RGB if picture.ndim == 3 else cv2.IMREAD_GRAYSCALE
        reference = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), flag)
        assert np.abs(read_image(path).astype(int) - reference.astype(int)).max() <= 2


def test_real_images_are_what_opencv_gives(shared_data: Path) -> None:
    folders = ("cxr_jsrt_nodule_lungmask/images", "ecg_12lead_images/mi", "cxr_nih1000/valid/0_normal")
    for folder in folders:
        for path in sorted((shared_data / folder).iterdir())[:8]:
            image = read_image(path)
            flag = cv2.IMREAD_COLOR_RGB if image.ndim == 3 else cv2.IMREAD_GRAYSCALE
            reference = cv2.imdecode(np.fromfile(path, np.uint8), flag)
            assert np.abs(image.astype(int) - reference.astype(int)).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "samples"), [("PNG", RGB), ("PNG", GREY16), ("TIFF", RGB), ("TIFF", GREY16)])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, kind: str, samples: np.ndarray) -> None:
    exif = Pillow.Exif()
    exif[274] = orientation
    options = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif}
    (tmp_path / "turned").write_bytes(pillow_bytes(samples, kind, **options))
    picture = Pillow.fromarray(samples)
    picture.getexif()[274] = orientation
    np.testing.assert_array_equal(read_image(tmp_path / "turned"), np.asarray(ImageOps.exif_transpose(picture)))


@pytest.mark.parametrize("name", ["a b.png", 'it\'s "quoted".png', "Röntgen 肺.png", "no_extension", "wrong.jpg"])
def test_names_do_not_matter(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(LOSSLESS["grey.png"][0])
    np.testing.assert_array_equal(read_image(tmp_path / name), GREY)
    np.testing.assert_array_equal(read_image(str(tmp_path / name)), GREY)


def read_or_reason(path: Path) -> tuple[np.ndarray | None, str]:
    try:
        return read_image(path), ""
    except InputError as error:
        return None, str(error)


def one_sentence(error: pytest.ExceptionInfo[InputError], path: Path) -> str:
    message = str(error.value)
    assert str(path) in message
    assert message.endswith(".")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", SOUND)
def test_no_truncation_is_half_decoded(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Every cut is refused, and the codecs print nothing."""
    content, path = SOUND[name], tmp_path / name
    ends = [len(content) - lost for lost in (1, 2, 5, 13)]
    for length in [*np.linspace(9, len(content) - 20, 12, dtype=int), *ends]:
        path.write_bytes(content[:length])
        with pytest.raises(InputError) as error:
            read_image(path)
        one_sentence(error, path)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.parametrize("name", SOUND)
def test_damaged_bytes_raise_only_input_errors_and_print_nothing(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    random, path = np.random.default_rng(1), tmp_path / name
    for _ in range(25):
        content = np.frombuffer(SOUND[name], np.uint8).copy()
        content[random.integers(4, len(content), 4)] = random.integers(0, 256, 4)
        path.write_bytes(content.tobytes())
        image, reason = read_or_reason(path)
        assert image is not None or str(path) in reason
        assert "\n" not in reason
    assert capfd.readouterr().err == ""


def test_missing_empty_text_folder_and_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("this is not an image")
    (tmp_path / "image.psd").write_bytes(b"8BPS\0\1" + bytes(40))
    (tmp_path / "image.webp").write_bytes(b"RIFF\0\0\0\0WEBPVP8 ")
    reasons = {
        "missing.png": "does not exist",
        "empty.png": "empty",
        "text.png": "not a picture that medshot reads .*convert it to PNG",
        "image.psd": "not a picture that medshot reads .*convert it to PNG",
        "image.webp": "not a readable image",
        "": "could not be read",
    }
    for name, reason in reasons.items():
        with pytest.raises(InputError, match=reason) as error:
            read_image(tmp_path / name)
        one_sentence(error, tmp_path / name)


def test_unsuitable_tiff_is_refused(tmp_path: Path) -> None:
    pages = [Pillow.fromarray(GREY), Pillow.fromarray(GREY)]
    for name, content, reason in [
        (
            "pages.tif",
            pillow_bytes(pages[0], "TIFF", save_all=True, append_images=pages[1:]),
            "several pages",
        ),
        ("float.tif", pillow_bytes(GREY.astype(np.float32), "TIFF"), "float32"),
        ("wide.tif", pillow_bytes(GREY.astype(np.int32), "TIFF"), "int32"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=reason) as error:
            read_image(tmp_path / name)
        one_sentence(error, tmp_path / name)


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff"])
def test_a_bomb_is_refused_from_its_header(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    side, path = 30_000, tmp_path / f"bomb.{kind}"
    if kind == "png":
        path.write_bytes(png_bytes(np.zeros((1, 8), np.uint8), 1, 0, side, side))
    elif kind == "jpeg":
        content = bytearray(pillow_bytes(GREY, "JPEG"))
        frame = content.index(b"\xff\xc0")
        content[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
        path.write_bytes(bytes(content))
    else:
        content = bytearray(pillow_bytes(GREY, "TIFF"))
        for tag in (256, 257):
            place = (
                content.index(struct.pack("<HH", tag, 4))
                if struct.pack("<HH", tag, 4) in content
                else content.index(struct.pack("<HH", tag, 3))
            )
            content[place : place + 12] = struct.pack("<HHII", tag, 4, 1, side)
        path.write_bytes(bytes(content))
    decoded = []
    monkeypatch.setattr(cv2, "imdecode", lambda *_: decoded.append("OpenCV"))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: decoded.append("Pillow"))
    with pytest.raises(InputError, match="30000 × 30000") as error:
        read_image(path)
    one_sentence(error, path)
    assert decoded == []


def test_the_pixel_limit_is_the_largest_size_allowed(tmp_path: Path) -> None:
    (tmp_path / "grey.png").write_bytes(LOSSLESS["grey.png"][0])
    assert read_image(tmp_path / "grey.png", pixel_limit=40 * 52).shape == (40, 52)
    with pytest.raises(InputError, match="limit"):
        read_image(tmp_path / "grey.png", pixel_limit=40 * 52 - 1)


def test_the_largest_images_within_the_limit_raise_no_warning(tmp_path: Path) -> None:
    """Pillow warns of its own, lower limit."""
    white = Pillow.new("1", (9_700, 9_700), 1)
    (tmp_path / "large.png").write_bytes(pillow_bytes(white, "PNG"))
    assert read_image(tmp_path / "large.png").shape == (9_700, 9_700)


def test_threads_leave_the_log_and_the_warnings_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(LOSSLESS["rgb.tif"][0])
    level, filters = cv2.utils.logging.getLogLevel(), list(warnings.filters)
    barrier = threading.Barrier(8)

    def read(_: int) -> np.ndarray:
        barrier.wait()
        return read_image(tmp_path / "a.tif")

    with ThreadPoolExecutor(8) as pool:
        for image in pool.map(read, range(64)):
            np.testing.assert_array_equal(image, RGB)
    assert cv2.utils.logging.getLogLevel() == level
    assert list(warnings.filters) == filters
