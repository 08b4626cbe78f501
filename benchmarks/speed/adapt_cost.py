"""The cost of adapting with 5 patients per class: from features, from files, and as a command.

Tasks have two classes of each data set. "From files" means that the cache holds the encoders' graphs, as after the
first use, but nothing of the images. Run it on an otherwise idle machine.
"""

import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.tables import table
from benchmarks.common.tasks import read_task
from benchmarks.common.timing import seconds
from benchmarks.speed.report import finish
from medshot.encoders import ENCODERS, EncodedInput
from medshot.encoders.encoder import load_encoder
from medshot.imaging import FileImages
from medshot.learners import FewShotClassifier, create
from medshot.tasks import Task, draw_episode

NAMES = ("cxr_jsrt_nodule_lungmask", "lgg_mri_genomics", "spine_xray_scoliosis")
ENCODER = "+".join(ENCODERS)
SHOTS = 5


def support_of(task: Task, seed: int) -> tuple[FileImages, list[str]]:
    """Return new image objects each time, so that none has cached features."""
    episode = draw_episode(task, shots=SHOTS, ways=2, rng=np.random.default_rng(seed))
    assert isinstance(task.images, FileImages)
    images = task.images.take(task.rows[episode.support])
    return images, [task.classes[episode.classes[label]] for label in episode.support_labels]


def fitted(images: FileImages, labels: list[str]) -> float:
    """Return the seconds of one fit."""
    return seconds(lambda: FewShotClassifier(create("auto", input_spec=EncodedInput(ENCODER))).fit(images, labels))


def by_command(images: FileImages, labels: list[str], folder: Path) -> float:
    """Return the seconds of the whole command, from its start to the model folder."""
    with (folder / "task.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "label"])
        for number, (path, label) in enumerate(zip(images.paths, labels, strict=True)):
            name = f"{number}{path.suffix}"
            shutil.copy(path, folder / name)
            rows.writerow([name, label])
    medshot = Path(sys.executable).with_name("medshot")
    command = [medshot, "adapt", folder / "task.csv", "--learner", "auto", "--out", folder / "model"]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))


def in_fresh_cache(work: Callable[[Path], float]) -> float:
    """Run `work` with a cache folder that holds the encoders' graphs and nothing else."""
    usual = os.environ.get("MEDSHOT_CACHE")
    with tempfile.TemporaryDirectory() as folder:
        for encoder in ENCODERS.values():
            name = f"encoder-{encoder.sha256[:16]}.onnx"
            os.environ["MEDSHOT_CACHE"] = str(Path(folder) / "cache")
            load_encoder.cache_clear()
            load_encoder(encoder, torch.device("cpu"))
            assert (Path(folder) / "cache" / name).exists()
        load_encoder.cache_clear()
        try:
            return work(Path(folder))
        finally:
            del os.environ["MEDSHOT_CACHE"]
            if usual is not None:
                os.environ["MEDSHOT_CACHE"] = usual


def main() -> None:
    parser = make_parser("speed.adapt_cost", __doc__, work=False)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parse(parser)
    repeats = 1 if arguments.quick else arguments.repeats
    rows = []
    for name in NAMES[: 1 if arguments.quick else None]:
        task = read_task(arguments.data, name)
        supports = [support_of(task, seed) for seed in range(repeats)]
        cold = [in_fresh_cache(lambda _, each=each: fitted(*each)) for each in supports]
        command = [in_fresh_cache(lambda folder, each=each: by_command(*each, folder)) for each in supports]
        warm = []
        for seed in range(repeats):
            fitted(*support_of(task, seed))
            warm.append(fitted(*support_of(task, seed)))
        rows.append([name, *(f"{statistics.median(times):.2f}" for times in (warm, cold, command))])
    header = ["data set", "features there, s", "from files, s", "the command from files, s"]
    finish(arguments, "adapt_cost", table(header, rows), f"Median of {repeats} repeats.")


if __name__ == "__main__":
    main()
