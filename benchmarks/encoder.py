"""Images per second: embedding files into an empty store, beside ONNX Runtime alone on arrays that are ready.

    python benchmarks/encoder.py [FOLDER] [--images 300] [--repeats 5] [--json]

Each repeat runs all on the same images, one after the other: from files to the store (files in the operating system's
memory, hashing, decoding, encoding and writing counted), and the same graph on ready float32 arrays, once as medshot
runs it, one batch of 8 in each thread, and once by ONNX Runtime's own threads in batches of 32. Goal: 0.8 of either.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from rich.console import Console
from rich.table import Table

from medshot.encoders import ENCODERS, EncodedInput, reader_of
from medshot.encoders.encoder import load_encoder
from medshot.imaging import FileImages
from medshot.imaging.cache import in_threads

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SETS = ("brain_mri_4class", "ecg_12lead_images")
ENCODER = ENCODERS["lite0"]
ENCODE = load_encoder(ENCODER, torch.device("cpu"))
THREADS = torch.get_num_threads()
KEYS = (
    "files_per_second",
    "ready_per_second",
    "own_threads_per_second",
    "ratio",
    "own_threads_ratio",
    "processor_ratio",
)


def from_files(paths: list[Path]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDSHOT_CACHE"] = folder
        reader_of(EncodedInput()).prepare(FileImages(paths))


def as_medshot_runs_it(pixels: np.ndarray) -> None:
    for _ in in_threads(ENCODE, (pixels[start : start + 8] for start in range(0, len(pixels), 8)), THREADS):
        pass


def by_threads_of_its_own(session: onnxruntime.InferenceSession, pixels: np.ndarray) -> None:
    for start in range(0, len(pixels), 32):
        session.run(None, {"pixels": pixels[start : start + 32]})


def own_session() -> onnxruntime.InferenceSession:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDSHOT_CACHE"] = folder
        load_encoder.__wrapped__(ENCODER, torch.device("cpu"))
        (graph,) = Path(folder).glob("*.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        return onnxruntime.InferenceSession(graph.read_bytes(), options, providers=["CPUExecutionProvider"])


def seconds(work: Callable[[], None]) -> tuple[float, float]:
    """On the clock, and of the processors."""
    clock, processors = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processors


def measure(paths: list[Path], repeats: int) -> dict[str, float]:
    stream = FileImages(paths).stream(ENCODER.shape, np.arange(len(paths)))
    pixels = np.stack([image.astype(np.float32) for image in stream])
    session = own_session()
    ways = (
        lambda: from_files(paths),
        lambda: as_medshot_runs_it(pixels),
        lambda: by_threads_of_its_own(session, pixels),
    )
    times = np.array([[seconds(way) for way in ways] for _ in range(repeats)])  # repeats, ways, clock and processors
    files, ready, own = np.median(len(paths) / times[..., 0], axis=0)
    ratio, own_ratio = np.median(times[:, 1:, 0] / times[:, :1, 0], axis=0)
    processor_ratio = np.median(times[:, 1, 1] / times[:, 0, 1])
    values = map(float, (files, ready, own, ratio, own_ratio, processor_ratio))
    return {"images": len(paths), **dict(zip(KEYS, values, strict=True))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="images to embed; else sets in ../shared/data")
    parser.add_argument("--images", type=int, default=300, help="how many files, the first by name")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {}
    for folder in [options.folder] if options.folder else [DATA / name for name in SETS]:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".png", ".jpg", ".jpeg"})
        if paths:
            results[folder.name] = measure(paths[: options.images], options.repeats)
    if options.json:
        print(json.dumps({"threads": THREADS, "repeats": options.repeats, "folders": results}, indent=2))
        return
    columns = ("from files", "ready", "own threads", "ratio", "ratio, own", "ratio, CPU")
    table = Table("images", *columns, title=f"{THREADS} threads; images per second, and ratios")
    for name, found in results.items():
        table.add_row(name, *(f"{found[key]:.0f}" if key.endswith("second") else f"{found[key]:.2f}" for key in KEYS))
    Console().print(table)


if __name__ == "__main__":
    main()
