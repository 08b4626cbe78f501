"""Speed of `medshot check` compared with a bare decode of the same files; and its cost for a million images.

Both read every file with the same decoder on the same cores, in the same run. With --million, a manifest of a million
rows over hard links to a few thousand made images is checked: the check is killed after some seconds, started again,
and run a third time, with time and peak memory of each.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.tables import Table, table
from benchmarks.common.timing import take_turns
from benchmarks.speed.report import finish
from medshot.audit.facts import FactStore
from medshot.audit.listing import listings
from medshot.audit.measuring import measure_all
from medshot.imaging.reading import read_image
from medshot.process import in_threads

SETS = ("cxr_pneumonia_kermany", "cxr_jsrt_nodule_lungmask", "ecg_12lead_images", "brain_mri_4class")
DISTINCT = 5_000
KILLED_AFTER = 60  # seconds


def bare(paths: list[str]) -> None:
    for _ in in_threads(lambda path: read_image(path).shape, paths, os.cpu_count() or 1):
        pass


def measure_speed(folder: Path, repeats: int) -> list[str]:
    """Return images per second of the bare decode, of the check and of a second check."""
    (listing,) = listings(folder)
    bare(list(listing.paths))  # files into the operating system's cache
    with tempfile.TemporaryDirectory() as cache:
        caches = iter(Path(cache) / str(number) for number in range(repeats))
        current = Path(cache)

        def fresh_cache() -> None:
            nonlocal current
            current = next(caches)

        def check_pass() -> None:
            measure_all(listing, FactStore(current))

        times = take_turns([lambda: bare(list(listing.paths)), check_pass, check_pass], repeats, before=fresh_cache)
    decode, checked, again = len(listing) / np.median(times, axis=0)
    ratio = np.median(times[:, 1] / times[:, 0])
    return [folder.name, f"{len(listing):,}", f"{decode:,.0f}", f"{checked:,.0f}", f"{ratio:.2f}", f"{again:,.0f}"]


def make_million(folder: Path, rows: int) -> Path:
    """Write a manifest of hard links to a few thousand made images, two classes, ten images of each patient."""
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
    """Return exit status, seconds and peak memory in MB of a check in its own process, killed after `seconds`."""
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


def measure_million(rows: int, killed_after: int) -> Table:
    """Return time and peak memory of a check that is killed, one that continues, and one more."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        manifest, cache = make_million(Path(folder), rows), Path(folder) / "cache"
        for name, seconds in ((f"killed after {killed_after} s", killed_after), ("goes on", None), ("again", None)):
            _, took, peak = check(manifest, cache, seconds)
            (known,) = [(store / "keys").stat().st_size // 16 for store in cache.glob("audit-*")] or [0]
            lines.append([name, f"{took:.0f}", f"{peak:.0f}", f"{known:,}"])
    header = ["run", "seconds", "peak memory of the main process, MB", "images measured so far"]
    return table(header, lines)


def main() -> None:
    parser = make_parser("speed.check", __doc__, work=False)
    parser.add_argument("folder", type=Path, nargs="?", help="data to check; else four data sets")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parse(parser)
    if arguments.million:
        rows, killed_after = (2_000, 4) if arguments.quick else (arguments.rows, KILLED_AFTER)
        finish(arguments, "check_million", measure_million(rows, killed_after), f"{rows:,} rows.")
        return
    sets = ["cxr_jsrt_nodule_lungmask"] if arguments.quick else SETS
    repeats = 1 if arguments.quick else arguments.repeats
    folders = [arguments.folder] if arguments.folder else [arguments.data / name for name in sets]
    header = ["data", "images", "bare decode", "check's pass", "its time over the decode's", "known already"]
    found = table(header, [measure_speed(folder, repeats) for folder in folders])
    finish(arguments, "check", found, f"Median of {repeats} repeats.")


if __name__ == "__main__":
    main()
