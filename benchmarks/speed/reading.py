"""Images per second of medshot's cold and warm reading, compared with a plain loop of cv2.imread and cv2.resize.

Each repeat runs the three one after the other on the same files; ratios are medians over the repeats.
"""

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.tables import table
from benchmarks.common.timing import take_turns
from benchmarks.speed.report import finish
from medshot.imaging import FileImages, ImageInput

SETS = ("cxr_pneumonia_kermany", "cxr_jsrt_nodule_lungmask/images", "ecg_12lead_images", "cxr_nih1000")
SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}


def plain(paths: list[Path], size: int) -> np.ndarray:
    images = [cv2.resize(cv2.imread(str(path)), (size, size), interpolation=cv2.INTER_AREA) for path in paths]
    return np.stack([cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in images])


def medshot(paths: list[Path], size: int) -> np.ndarray:
    """Read all pixels, as the batches of a network do."""
    pixels = FileImages(paths).pixels(ImageInput(3, size))
    return pixels.sum(dtype=np.uint64)


def measure(name: str, paths: list[Path], size: int, repeats: int) -> list[str]:
    """Return images per second of the plain loop, cold and warm reading."""
    plain(paths[:50], size)  # files into the operating system's cache
    with tempfile.TemporaryDirectory() as folder:
        caches = iter(Path(folder) / str(number) for number in range(repeats))

        def fresh_cache() -> None:
            os.environ["MEDSHOT_CACHE"] = str(next(caches))

        works = [lambda: plain(paths, size), lambda: medshot(paths, size), lambda: medshot(paths, size)]
        times = take_turns(works, repeats, before=fresh_cache)
    loop, cold, warm = len(paths) / np.median(times, axis=0)
    cold_ratio, warm_ratio = np.median(times[:, :1] / times[:, 1:], axis=0)
    speeds = [f"{loop:.0f}", f"{cold:.0f} ({cold_ratio:.2f}×)", f"{warm:.0f} ({warm_ratio:.1f}×)"]
    return [name, str(len(paths)), *speeds]


def main() -> None:
    parser = make_parser("speed.reading", __doc__, work=False)
    parser.add_argument("folder", type=Path, nargs="?", help="images to read; else those of four data sets")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parse(parser)
    rows = []
    for folder in [arguments.folder] if arguments.folder else [arguments.data / name for name in SETS]:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if arguments.quick:
            paths = paths[:20]
        if paths:
            rows.append(measure(folder.name, paths, arguments.size, 1 if arguments.quick else arguments.repeats))
        else:
            print(f"{folder}: no images")
    note = f"{arguments.size} pixels per side, {arguments.repeats} repeats."
    finish(arguments, "reading", table(["data", "images", "plain loop", "cold", "warm"], rows), note)


if __name__ == "__main__":
    main()
