"""Time of quickstart and of a small evaluation beside a busy program of two threads, and alone.

The other program multiplies matrices in two threads of torch. Each work runs alone and beside it, in turns, as a new
process. CPU seconds tell whether waiting threads spin: they hardly grow if waiting threads sleep.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.tables import table
from benchmarks.speed.report import finish
from medshot.imaging import ImageInput
from medshot.simulated import simulate

MEDSHOT = "from medshot.cli import main; main()"
BURNER = "import torch; torch.set_num_threads(2); a = torch.rand(1000, 1000)\nwhile True: a @ a"
GOAL = 2.5
REPEATS = 3


@contextmanager
def busy_program() -> Iterator[None]:
    """Run another program that keeps two threads busy in this block."""
    process = subprocess.Popen([sys.executable, "-c", BURNER])
    try:
        time.sleep(5)  # until it has imported torch
        yield
    finally:
        process.kill()
        process.wait()


def run(*arguments: str) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of a command of medshot."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", MEDSHOT, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"medshot {' '.join(arguments)} failed")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def make_task(folder: Path) -> str:
    """Write a simulated task of two classes as class folders."""
    task = simulate("brain", seed=0, patients=20, size=64)
    every = task.images.pixels(ImageInput(channels=1, size=64))
    for number, (pixels, label) in enumerate(zip(every, task.labels, strict=True)):
        place = folder / "task" / task.classes[label] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place), pixels[0])
    return str(folder / "task")


def works(folder: Path) -> dict[str, Callable[[str], tuple[float, float]]]:
    """Return each work as a function of a new output folder."""
    task = make_task(folder)
    evaluation = ["evaluate", task, "--learners", "scratch,logistic", "--shots", "5", "--episodes", "20"]
    return {
        "evaluate, pixels of 32 a side": lambda out: run(*evaluation, "--size", "32", "--out", out),
        "evaluate, features of Lite0": lambda out: run(*evaluation, "--out", out),
        "quickstart": lambda out: run("quickstart", "--out", out),
    }


def main() -> None:
    parser = make_parser("speed.load", __doc__, data=False, work=False)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    arguments = parse(parser)
    repeats = 1 if arguments.quick else arguments.repeats
    rows = []
    with tempfile.TemporaryDirectory() as name:
        os.environ["MEDSHOT_OUTCOMES"] = "off"
        every = works(Path(name))
        for number, (title, work) in enumerate(every.items()):
            if arguments.quick and title == "quickstart":
                continue
            alone, beside = [], []
            for turn in range(repeats):
                place = f"{name}/{number}-{turn}"
                alone.append(work(f"{place}-alone"))
                with busy_program():
                    beside.append(work(f"{place}-beside"))
            (alone_s, alone_cpu), (beside_s, beside_cpu) = np.median(alone, axis=0), np.median(beside, axis=0)
            ratio = np.median(np.array(beside)[:, 0] / np.array(alone)[:, 0])
            cells = [alone_s, beside_s, ratio, alone_cpu, beside_cpu]
            rows.append([title, *(f"{cell:.1f}" for cell in cells)])
    header = ["work", "alone, s", "beside, s", "ratio", "alone, CPU s", "beside, CPU s"]
    finish(arguments, "load", table(header, rows), f"Median of {repeats} turns. Goal: a ratio of at most {GOAL}.")


if __name__ == "__main__":
    main()
