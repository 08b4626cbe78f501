"""Images per second: medshot's cold and warm reading beside a plain loop of cv2.imread and cv2.resize.

    python benchmarks/reading.py [FOLDER] [--size 224] [--repeats 5]

Each repeat runs the three one after the other on the same files; ratios are medians over the repeats.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from medshot.imaging import FileImages, ImageInput

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = ("cxr_pneumonia_kermany", "cxr_jsrt_nodule_lungmask/images", "ecg_12lead_images", "cxr_nih1000")


def plain(paths: list[Path], size: int) -> np.ndarray:
    images = [cv2.resize(cv2.imread(str(path)), (size, size), interpolation=cv2.INTER_AREA) for path in paths]
    return np.stack([cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for image in images])


def medshot(paths: list[Path], size: int) -> np.ndarray:
    """As far as a network's batches go: every pixel is touched."""
    pixels = FileImages(paths).pixels(ImageInput(3, size))
    return pixels.sum(dtype=np.uint64)


def seconds(work: Callable[[list[Path], int], object], paths: list[Path], size: int) -> float:
    start = time.perf_counter()
    work(paths, size)
    return time.perf_counter() - start


def measure(name: str, paths: list[Path], size: int, repeats: int) -> None:
    rows = []
    plain(paths[:50], size)  # files into the operating system's cache
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["MEDSHOT_CACHE"] = folder
            rows.append([seconds(work, paths, size) for work in (plain, medshot, medshot)])
    loop, cold, warm = (statistics.median(column) for column in zip(*rows, strict=True))
    cold_ratio, warm_ratio = (statistics.median(row[0] / row[i] for row in rows) for i in (1, 2))
    print(
        f"{name:24} {len(paths):5} images   loop {len(paths) / loop:6.0f}/s   "
        f"cold {len(paths) / cold:6.0f}/s ({cold_ratio:.2f}x)   "
        f"warm {len(paths) / warm:6.0f}/s ({warm_ratio:.1f}x)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="images to read; else the sets in ../shared/data")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    folders = [options.folder] if options.folder else [DATA / name for name in SETS]
    print(f"{os.cpu_count()} processors, {options.size} pixels per side, {options.repeats} repeats")
    for folder in folders:
        suffixes = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
        if paths:
            measure(folder.name, paths, options.size, options.repeats)
        else:
            print(f"{folder}: no images")


if __name__ == "__main__":
    main()
