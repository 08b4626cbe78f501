"""CPU seconds of short commands from the start of Python to its end, and the libraries that they wait for.

Every run is a new process; the files that it imports are in the operating system's cache, and the encoder's graph is in
the cache folder. `predict` gets an image that was never embedded before.
"""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.tables import table
from benchmarks.common.timing import take_turns
from benchmarks.speed.report import finish
from medshot.learners import FewShotClassifier

MEDSHOT = "from medshot.cli import main; main()"
GOALS = {
    "medshot --help": 1.0,
    "a usage error": 1.0,
    "medshot info": 1.0,
    "medshot learners": 2.0,
    "medshot predict": 4.0,
}
REPEATS = 5
LARGEST = 4


def cpu_seconds(code: str, *arguments: str) -> float:
    """Return the CPU time, of the user and the system, of a new Python process that runs `code`."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_utime + usage.ru_stime


def slowest_imports(code: str, *arguments: str) -> str:
    """Return the packages that take most of the time of imports, with their shares."""
    command = [sys.executable, "-X", "importtime", "-c", code, *arguments]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stderr.splitlines()
    times: Counter[str] = Counter()
    for line in lines:
        own, found, rest = line.removeprefix("import time:").partition("|")
        if found and own.strip().isdecimal():
            times[rest.rpartition("|")[2].strip().partition(".")[0]] += int(own)
    return ", ".join(f"{name} {time / times.total():.0%}" for name, time in times.most_common(LARGEST))


def new_image(folder: Path) -> str:
    """Write an image of random pixels and return its path."""
    path = folder / f"{len(list(folder.iterdir()))}.png"
    cv2.imwrite(str(path), np.random.default_rng().integers(0, 256, (64, 64), dtype=np.uint8))
    return str(path)


def make_model(folder: Path, images: Path) -> str:
    """Write a model of the learner that most users have: ridge regression on features of Lite0."""
    support = [new_image(images) for _ in range(6)]
    FewShotClassifier("depth-ridge").fit(support, ["a", "b"] * 3).save(folder / "model")
    return str(folder / "model")


def works(model: str, images: Path) -> dict[str, Callable[[], Sequence[str]]]:
    """Return the arguments of each command; they are made again for every run."""
    return {
        "medshot --help": lambda: ["--help"],
        "a usage error": lambda: ["adapt"],
        "medshot info": lambda: ["info", model],
        "medshot learners": lambda: ["learners"],
        "medshot predict": lambda: ["predict", model, new_image(images)],
    }


def main() -> None:
    parser = make_parser("speed.startup", __doc__, data=False, work=False)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    arguments = parse(parser)
    repeats = 1 if arguments.quick else arguments.repeats
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        images.mkdir()
        commands = works(make_model(Path(folder), images), images)
        timed = [lambda make=make: cpu_seconds(MEDSHOT, *make()) for make in commands.values()]
        timed += [lambda: cpu_seconds("import numpy, cv2"), lambda: cpu_seconds("import torch")]
        times = np.median(take_turns(timed, repeats, timed=lambda work: work()), axis=0)
        rows = [
            [name, f"{seconds:.2f}", f"{GOALS[name]:.0f}", slowest_imports(MEDSHOT, *make())]
            for (name, make), seconds in zip(commands.items(), times, strict=False)
        ]
    rows += [
        [name, f"{seconds:.2f}", "", ""]
        for name, seconds in zip(("numpy and cv2 alone", "torch alone"), times[-2:], strict=True)
    ]
    header = ["command", "CPU seconds", "goal: below", "shares of the time of imports"]
    finish(arguments, "startup", table(header, rows), f"Median of {repeats} runs.")


if __name__ == "__main__":
    main()
