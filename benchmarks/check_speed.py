"""How fast `medshot check` goes over images, beside a bare decode of the same files; and over a million of them.

    python benchmarks/check_speed.py [FOLDER] [--repeats 3]
    python benchmarks/check_speed.py --million [--rows 1000000]

The first reads every file with the same decoder on the same cores, in the same run, and prints the ratio. The second
writes a manifest of a million rows over hard links to a few thousand made images, kills the check after some seconds,
starts it again, and prints time and peak memory of each part.
"""

import argparse
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from medshot.audit.facts import FactStore
from medshot.audit.listing import listings
from medshot.audit.measuring import measure_all
from medshot.imaging.cache import in_threads
from medshot.imaging.reading import read_image

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = ("cxr_pneumonia_kermany", "cxr_jsrt_nodule_lungmask", "ecg_12lead_images", "brain_mri_4class")
DISTINCT = 5_000
KILLED_AFTER = 60  # seconds


def bare(paths: list[str]) -> None:
    for _ in in_threads(lambda path: read_image(path).shape, paths, os.cpu_count() or 1):
        pass


def measure_speed(folder: Path, repeats: int) -> None:
    (listing,) = listings(folder)
    bare(list(listing.paths))  # files into the operating system's cache
    rows = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            start = time.perf_counter()
            bare(list(listing.paths))
            middle = time.perf_counter()
            measure_all(listing, FactStore(Path(cache)))
            end = time.perf_counter()
            measure_all(listing, FactStore(Path(cache)))
            rows.append((middle - start, end - middle, time.perf_counter() - end))
    decode, check, again = (len(listing) / statistics.median(column) for column in zip(*rows, strict=True))
    ratio = statistics.median(row[1] / row[0] for row in rows)
    print(
        f"| {folder.name} | {len(listing):,} | {decode:,.0f} | {check:,.0f} | {ratio:.2f} | {again:,.0f} |", flush=True
    )


def make_million(folder: Path, rows: int) -> Path:
    """A manifest of hard links to a few thousand made pictures, two classes, ten images of each patient."""
    rng = np.random.default_rng(0)
    for number in range(DISTINCT):
        picture = cv2.resize(rng.normal(128, 50, (8, 8)), (32, 32), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"made{number}.png"), picture.clip(0, 255).astype(np.uint8))
    with (folder / "task.csv").open("w") as manifest:
        manifest.write("image,label,patient\n")
        for number in range(rows):
            part = folder / f"{number // 10_000:03d}"
            part.mkdir(exist_ok=True)
            os.link(folder / f"made{number % DISTINCT}.png", part / f"{number:07d}.png")
            manifest.write(f"{part.name}/{number:07d}.png,{'ab'[number // 10 % 2]},p{number // 10}\n")
    return folder / "task.csv"


def check(manifest: Path, cache: Path, seconds: float | None = None) -> tuple[int, float, float]:
    """Exit status, seconds and peak memory in MB of one check of its own process; killed where `seconds` are given."""
    command = [
        sys.executable,
        "-c",
        "from medshot.cli import main; main()",
        "check",
        str(manifest),
        "--encoder",
        "none",
    ]
    start = time.perf_counter()
    process = subprocess.Popen(
        command, env=os.environ | {"MEDSHOT_CACHE": str(cache)}, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    _, status, usage = os.wait4(process.pid, 0) if process.returncode is None else (0, process.returncode, None)
    peak = (usage or resource.getrusage(resource.RUSAGE_CHILDREN)).ru_maxrss / 1024
    return status, time.perf_counter() - start, peak


def measure_million(rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        manifest, cache = make_million(Path(folder), rows), Path(folder) / "cache"
        print(f"{rows:,} rows over {DISTINCT:,} pictures made in {time.perf_counter() - start:.0f} s\n", flush=True)
        print("| run | seconds | peak memory of the main process, MB | images measured so far |\n|---|---|---|---|")
        for name, seconds in ((f"killed after {KILLED_AFTER} s", KILLED_AFTER), ("goes on", None), ("again", None)):
            _, took, peak = check(manifest, cache, seconds)
            (known,) = [(store / "keys").stat().st_size // 16 for store in cache.glob("audit-*")] or [0]
            print(f"| {name} | {took:.0f} | {peak:.0f} | {known:,} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="data to check; else the sets in ../shared/data")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    if options.million:
        measure_million(options.rows)
        return
    print(f"{os.cpu_count()} processors, medians of {options.repeats} repeats, images per second\n")
    print("| data | images | bare decode | check's pass | its time over the decode's | known already |")
    print("|---|---|---|---|---|---|")
    for folder in [options.folder] if options.folder else [DATA / name for name in SETS]:
        measure_speed(folder, options.repeats)


if __name__ == "__main__":
    main()
