"""Read plain pictures as scans: PNG, JPEG, GIF and others, including TIFF files of several pages."""

import re
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from medshot.errors import InputError
from medshot.imaging.formats import TIFF, starts_as
from medshot.imaging.pillow import frame_count
from medshot.imaging.reading import PIXEL_LIMIT, read_content, read_image, unsuitable_samples
from medshot.imaging.scan import Scan
from medshot.process import capture_warnings, opencv_silent

BYTE_LIMIT = 1_000_000_000
PAGE_LIMIT = 10_000
_WIDTH, _HEIGHT, _SAMPLES, _BITS, _DESCRIPTION, _COLOURS, _FORMAT = _TAGS = (256, 257, 277, 258, 270, 262, 339)
NO_SIZE = "A plain picture has neither a pixel spacing nor a position in the patient."


def read_picture(path: Path) -> Scan:
    """Read a picture; several TIFF pages become frames, or a volume if ImageJ calls them slices.

    Raises:
        InputError: as for `read_image`, or the pages differ in size or are too many or too large together.
    """
    content = read_content(path)
    if starts_as(content, TIFF):
        pages = _pages(path, content)
        if len(pages) > 1:
            return _stack(path, content, pages)
    array = read_image(path)[None]
    span = (0.0, 255.0) if array.dtype == np.uint8 and array.ndim == 3 else None
    return Scan(array=array, kind="picture", span=span, assumed=(NO_SIZE, *animation_of(content)))


def animation_of(content: bytes) -> tuple[str, ...]:
    """Return a sentence if a file is an animation, because only its first frame is read."""
    frames = frame_count(content)
    return (f"The file is an animation of {frames} frames; the first was taken.",) if frames > 1 else ()


def _pages(path: Path, content: bytes) -> list[dict[int, Any]]:
    """Return the needed tags of each page; one empty page if the file is damaged, which `read_image` reports."""
    file = BytesIO(content)
    with capture_warnings():
        try:
            tags = ImageFileDirectory_v2(content[: 16 if 43 in content[2:4] else 8])
            seen, pages, place = set[int](), list[dict[int, Any]](), tags.next
            while place and place not in seen and len(pages) <= PAGE_LIMIT:
                seen.add(place)
                file.seek(place)
                tags.load(file)
                pages.append({tag: tags.get(tag) for tag in _TAGS})
                place = tags.next
        except Exception:
            return [{}]
    if len(pages) > PAGE_LIMIT:
        raise InputError(f"{path} has more than {PAGE_LIMIT:,} pages; split it.")
    if place in seen and len(pages) > 1:
        raise InputError(
            f"{path} is not a readable image (its pages run in a circle or are cut off); replace the file."
        )
    return pages


def _stack(path: Path, content: bytes, pages: list[dict[int, Any]]) -> Scan:
    layouts = {(page[_WIDTH], page[_HEIGHT], page[_SAMPLES] or 1, str(page[_BITS])) for page in pages}
    if len(layouts) > 1:
        raise InputError(f"{path} has pages of {len(layouts)} sizes or types; save each as a file of its own.")
    width, height, samples, _ = layouts.pop()
    if not all(isinstance(value, int) and value > 0 for value in (width, height, samples)):
        raise InputError(f"{path} is not a readable image (a page has no size); replace the file.")
    if width * height > PIXEL_LIMIT or width * height * samples * 2 * len(pages) > BYTE_LIMIT:
        raise InputError(f"{path} has {len(pages)} pages of {width} × {height} pixels, more than the limit; split it.")
    unsuitable = unsuitable_samples(pages[0])
    if unsuitable:
        raise InputError(f"{path} {unsuitable}.")
    with opencv_silent():
        try:
            sound, images = cv2.imdecodemulti(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            sound, images = False, ()
    if not sound or len(images) != len(pages):
        raise InputError(f"{path} is not a readable image (of {len(pages)} pages {len(images)} are sound); replace it.")
    array = np.stack(images)
    if array.dtype not in (np.uint8, np.uint16) or (array.ndim == 4 and array.shape[-1] != 3):
        raise InputError(
            f"{path} has pages of {array.dtype} samples in {samples} channels; save 8 or 16 bits, grey or RGB."
        )
    if array.ndim == 4:
        array = np.ascontiguousarray(array[..., ::-1])
    slices = re.search(r"^slices=(\d+)\s*$", str(pages[0][_DESCRIPTION] or ""), re.MULTILINE)
    if slices is not None and int(slices[1]) == len(array):
        return Scan(array=array, kind="volume", assumed=(NO_SIZE, "The pages are slices, as ImageJ wrote."))
    return Scan(array=array, kind="frames", assumed=(NO_SIZE, "The pages were taken as frames in their order."))
