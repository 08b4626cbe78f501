"""Pictures that Pillow decodes to arrays: PNG, JPEG, GIF, BMP, WebP and JPEG 2000, and HEIC by pillow-heif."""

from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import UInt
from PIL import ExifTags
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Image import Image as PillowImage
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from medshot.imaging.formats import BMP, GIF, HEIC, JPEG, JPEG2000, PLAIN, PNG, TIFF, WEBP, FileFormat, starts_as
from medshot.imaging.scan import Image
from medshot.process import capture_warnings

# the classes are called themselves, because PIL.Image.open has a limit of pixels of its own
_CLASSES: dict[FileFormat, type[ImageFile]] = {
    PNG: PngImageFile,
    JPEG: JpegImageFile,
    TIFF: TiffImageFile,
    GIF: GifImageFile,
    BMP: BmpImageFile,
    WEBP: WebPImageFile,
    JPEG2000: Jpeg2KImageFile,
}


class Unsuitable(Exception):
    """The end of the sentence that says why a sound file cannot be used."""


def decode_picture(content: bytes, pixel_limit: int) -> Image:
    """Decode the first frame of a picture in its stored values, upright.

    Raises:
        Unsuitable: it has more pixels than the limit, or a package is missing.
        Exception: nearly anything, if the file is damaged.
    """
    file = _opened(content)
    judge_size(*file.size, pixel_limit)
    if starts_as(content, GIF) and not content.rstrip(b"\0\r\n").endswith(b";"):  # Pillow reads without the trailer
        raise ValueError("truncated file")
    file.load()
    return upright(pillow_array(file), orientation_of(file))


def frame_count(content: bytes) -> int:
    """Return the number of frames of a picture that may be an animation; 1 if the file is damaged."""
    if not starts_as(content, *(known for known in PLAIN if known.animated)):
        return 1
    try:
        file = _opened(content)
        with capture_warnings():
            return int(getattr(file, "n_frames", 1))
    except Exception:  # reading the picture raises what is wrong with it
        return 1


def judge_size(width: int, height: int, pixel_limit: int) -> None:
    """Raise Unsuitable if a picture has no pixels, or more than the limit."""
    if width < 1 or height < 1:
        raise Unsuitable("has no pixels; replace the file or remove it from the data")
    if width * height > pixel_limit:
        raise Unsuitable(f"has {width} × {height} pixels, more than the limit of {pixel_limit:,}; make it smaller")


def pillow_array(file: PillowImage) -> Image:
    """Return the values of a picture: palettes are looked up, alpha is composited on black."""
    if file.mode.startswith("I"):
        return np.asarray(file).astype(np.uint16)
    if file.mode in ("L", "RGB") and "transparency" not in file.info:
        return np.asarray(file)
    if file.mode == "1" and "transparency" not in file.info:
        return np.asarray(file.convert("L"))
    if file.mode == "LA" or file.mode in ("1", "L"):
        return on_black(np.asarray(file.convert("LA")))[..., 0]
    if file.mode == "RGBA" or "transparency" in file.info:
        return on_black(np.asarray(file.convert("RGBA")))
    return np.asarray(file.convert("RGB"))


def on_black(
    image: UInt[np.ndarray, "height width channels"],
) -> UInt[np.ndarray, "height width channels-1"]:
    """Return colours times alpha, which is the last channel, rounded."""
    top = np.iinfo(image.dtype).max
    product = image[..., :-1].astype(np.uint32) * image[..., -1:]
    return ((product + top // 2) // top).astype(image.dtype)


def orientation_of(file: PillowImage) -> int:
    """Return the EXIF orientation of a picture, 1 if it has none."""
    with capture_warnings():
        return file.getexif().get(ExifTags.Base.Orientation, 1)


def upright(image: Image, orientation: int) -> UInt[np.ndarray, "upright_height upright_width *channels"]:
    """Undo the EXIF orientation (Exif 3.0, tag 274); 5 to 8 have rows and columns swapped."""
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return image


def _opened(content: bytes) -> PillowImage:
    """Open a picture by the format that its first bytes show."""
    known = next(known for known in PLAIN if starts_as(content, known))
    opened: Any = _heic_class() if known is HEIC else _CLASSES[known]
    with capture_warnings():
        return opened(BytesIO(content))


def _heic_class() -> type[ImageFile]:
    """Return the class of pillow-heif, which turns pictures upright itself."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise Unsuitable(
            "is a HEIC picture, which needs the package pillow-heif; install medshot[heic], or convert it to PNG"
        ) from None
    return HeifImageFile
