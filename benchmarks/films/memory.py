"""Time and peak memory of cutting one film into its overview and patches and embedding them, by the film's size.

Each film is embedded in a separate process with one thread; memory is counted above what the process held before. Films
are noise of several sizes, and the largest radiographs of pydicom-data. Writes its part of docs/high-resolution.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common.arguments import ROOT, Places, make_parser, parse
from benchmarks.common.pages import replace_part
from benchmarks.common.results import load, save
from benchmarks.common.tables import markdown, table
from benchmarks.common.timing import peak_memory

SIDES = (2048, 4096, 9000)
REAL = 3


def embed(path: Path, small: Path) -> dict[str, float]:
    """Return seconds and megabytes of embedding a film; runs in a separate process."""
    from medshot.encoders import EncodedBagInput, reader_of
    from medshot.imaging import FileImages

    shape = EncodedBagInput("lite0", "patches")
    reader_of(shape).prepare(FileImages([small]))  # imports, the encoder, and what libraries keep
    base, began = peak_memory(), time.perf_counter()
    reader_of(shape).prepare(FileImages([path]))
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "megabytes": peak_memory() - base}


def real_films() -> list[tuple[str, Path]]:
    """Return the largest single-frame radiographs of pydicom-data."""
    import data_store
    from pydicom import dcmread

    found = []
    for path in Path(data_store.__file__).parent.rglob("*.dcm"):
        header = dcmread(path, stop_before_pixels=True, force=True)
        if header.get("Modality") in ("CR", "DX", "MG", "RG") and header.get("Rows") and header.get("Columns"):
            found.append((int(header.Rows) * int(header.Columns), path, f"{header.Rows} × {header.Columns}"))
    return [(f"`{path.name}`, {size}", path) for _, path, size in sorted(found, reverse=True)[:REAL]]


def main() -> None:
    parser = make_parser("films.memory", __doc__, data=False, work=False)
    parser.add_argument("--film", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parse(parser)
    if arguments.film:
        print(json.dumps(embed(*arguments.film)))
        return
    if arguments.report:
        write_report(arguments.places)
        return
    rng, rows = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cv2.imwrite(str(folder / "small.png"), rng.integers(0, 256, (256, 256), dtype=np.uint8))
        films, real = [], real_films()
        for side in SIDES[: 1 if arguments.quick else None]:
            path = folder / f"{side}.png"
            cv2.imwrite(str(path), rng.integers(0, 4096, (side, side), dtype=np.uint16) * np.uint16(16))
            films.append((f"16-bit noise, {side} × {side}", path))
        for what, path in films + real[: 1 if arguments.quick else None]:
            environment = os.environ | {"MEDSHOT_CACHE": str(folder / f"cache-{len(rows)}"), "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-m", "benchmarks.films.memory", "--film", str(path), str(folder / "small.png")]
            done = subprocess.run(command, check=True, capture_output=True, env=environment, cwd=ROOT)
            found = json.loads(done.stdout)
            rows.append([what, f"{found['megabytes']:.0f}", f"{found['seconds']:.1f}"])
    save(arguments.places, "film-memory", table(["film", "peak memory, MB", "seconds"], rows))
    write_report(arguments.places)


def write_report(places: Places) -> None:
    """Write the table of docs/high-resolution.md."""
    about = "Written by `python -m benchmarks.films.memory`; time includes reading the file, on one thread."
    text = f"{about}\n\n{markdown(load(places, 'film-memory'))}"
    replace_part(places.docs / "high-resolution.md", "memory", text)


if __name__ == "__main__":
    main()
