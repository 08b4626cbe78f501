"""Time and peak memory of cutting one film into its overview and patches and embedding them, by the film's size.

    python benchmarks/film_memory.py

Each film in a process of its own, with one thread; memory is what the process takes beyond what it held before.
Films of noise of several sizes, and the largest radiographs that pydicom-data has. Writes its part of
docs/high-resolution.md.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from document import replace_part

PAGE = Path(__file__).resolve().parents[1] / "docs" / "high-resolution.md"
SIDES = (2048, 4096, 9000)
REAL = 3


def embed(path: Path, small: Path) -> dict[str, float]:
    """Runs in a process of its own."""
    from medshot.encoders import EncodedBagInput, reader_of
    from medshot.imaging import FileImages

    reader = reader_of(EncodedBagInput("lite0", "patches"))
    reader.prepare(FileImages([small]))  # imports, the encoder, and what libraries keep
    base, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    reader.prepare(FileImages([path]))
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "megabytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024}


def real_films() -> list[tuple[str, Path]]:
    """The largest single-frame radiographs of pydicom-data."""
    import data_store
    from pydicom import dcmread

    found = []
    for path in Path(data_store.__file__).parent.rglob("*.dcm"):
        header = dcmread(path, stop_before_pixels=True, force=True)
        if header.get("Modality") in ("CR", "DX", "MG", "RG") and header.get("Rows") and header.get("Columns"):
            found.append((int(header.Rows) * int(header.Columns), path, f"{header.Rows} × {header.Columns}"))
    return [(f"`{path.name}`, {size}", path) for _, path, size in sorted(found, reverse=True)[:REAL]]


def main() -> None:
    rng, rows = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cv2.imwrite(str(folder / "small.png"), rng.integers(0, 256, (256, 256), dtype=np.uint8))
        films = real_films()
        for side in SIDES:
            path = folder / f"{side}.png"
            cv2.imwrite(str(path), rng.integers(0, 4096, (side, side), dtype=np.uint16) * np.uint16(16))
            films.insert(len(films) - REAL, (f"16-bit noise, {side} × {side}", path))
        for what, path in films:
            environment = os.environ | {"MEDSHOT_CACHE": str(folder / f"cache-{len(rows)}"), "OMP_NUM_THREADS": "1"}
            command = [sys.executable, __file__, str(path), str(folder / "small.png")]
            done = json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)
            rows.append(f"| {what} | {done['megabytes']:.0f} | {done['seconds']:.1f} |")
    head = "| film | peak memory, MB | seconds |\n|---|--:|--:|\n"
    written = "Written by `python benchmarks/film_memory.py`; time includes reading the file, on one thread.\n\n"
    replace_part(PAGE, "memory", written + head + "\n".join(rows))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(embed(Path(sys.argv[1]), Path(sys.argv[2]))))
    else:
        main()
