"""Images per second of embedding files into an empty store, compared with ONNX Runtime alone on prepared arrays.

Each repeat runs all on the same images, one after the other: from files to the store (files in the operating system's
memory), and the same graph on prepared float32 arrays, once as medshot runs it and once by ONNX Runtime's own threads.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.tables import table
from benchmarks.common.timing import take_turns
from benchmarks.speed.report import finish
from medshot.encoders import ENCODERS, EncodedInput, reader_of
from medshot.encoders.encoder import load_encoder
from medshot.imaging import FileImages
from medshot.process import in_threads

SETS = ("brain_mri_4class", "ecg_12lead_images")
ENCODER = ENCODERS["lite0"]
ENCODE = load_encoder(ENCODER, torch.device("cpu"))
THREADS = torch.get_num_threads()


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


def clock_and_processors(work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of `work` on the clock and of the processors."""
    clock, processors = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processors


def measure(paths: list[Path], repeats: int) -> list[str]:
    """Return images per second of the three ways, and their ratios."""
    stream = FileImages(paths).stream(ENCODER.input_spec, np.arange(len(paths)))
    pixels = np.stack([image.astype(np.float32) for image in stream])
    session = own_session()
    ways = (
        lambda: from_files(paths),
        lambda: as_medshot_runs_it(pixels),
        lambda: by_threads_of_its_own(session, pixels),
    )
    times = take_turns(ways, repeats, timed=clock_and_processors)  # repeats, ways, clock and processors
    speeds = np.median(len(paths) / times[..., 0], axis=0)
    ratios = np.median(times[:, 1:, 0] / times[:, :1, 0], axis=0)
    processor_ratio = np.median(times[:, 1, 1] / times[:, 0, 1])
    return [f"{speed:.0f}" for speed in speeds] + [f"{ratio:.2f}" for ratio in (*ratios, processor_ratio)]


def main() -> None:
    parser = make_parser("speed.embedding", __doc__, work=False)
    parser.add_argument("folder", type=Path, nargs="?", help="images to embed; else those of two data sets")
    parser.add_argument("--images", type=int, default=300, help="how many files, the first by name")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parse(parser)
    images, repeats = (16, 1) if arguments.quick else (arguments.images, arguments.repeats)
    rows = []
    for folder in [arguments.folder] if arguments.folder else [arguments.data / name for name in SETS]:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".png", ".jpg", ".jpeg"})[:images]
        if paths:
            rows.append([folder.name, str(len(paths)), *measure(paths, repeats)])
    ways = ("from files", "ready", "own threads", "ratio", "ratio, own", "ratio, CPU")
    finish(arguments, "embedding", table(["data", "images", *ways], rows), f"{THREADS} threads, {repeats} repeats.")


if __name__ == "__main__":
    main()
