"""What adapting costs with 5 patients per class: from features that are there, and from files, as a command too.

Usage: python benchmarks/adapt_cost.py [DATA] [--repeats N]

Two classes of each data set. "From files": nothing of the images is known, the encoders' graphs are there, as they are
after the first use. Writes its table to docs/speed.md. Run it on an otherwise idle machine.
"""

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from document import replace_part

from medshot.encoders import ENCODERS, EncodedInput
from medshot.encoders.encoder import load_encoder
from medshot.imaging import FileImages
from medshot.learners import FewShotClassifier, create
from medshot.tasks import Task, draw_episode, load_tasks

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("cxr_jsrt_nodule_lungmask", "lgg_mri_genomics", "spine_xray_scoliosis")
ENCODER = "+".join(ENCODERS)
SHOTS = 5


def support_of(task: Task, seed: int) -> tuple[FileImages, list[str]]:
    """New images objects each time, so that nothing is remembered from the last."""
    episode = draw_episode(task, shots=SHOTS, ways=2, rng=np.random.default_rng(seed))
    assert isinstance(task.images, FileImages)
    images = task.images.take(task.rows[episode.support])
    return images, [task.classes[episode.classes[label]] for label in episode.support_labels]


def fitted(images: FileImages, labels: list[str]) -> float:
    """Seconds of one fit."""
    began = time.perf_counter()
    FewShotClassifier(create("auto", shape=EncodedInput(ENCODER))).fit(images, labels)
    return time.perf_counter() - began


def by_command(images: FileImages, labels: list[str], folder: Path) -> float:
    """Seconds of the whole command, from its start to the model folder."""
    with (folder / "task.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image", "label"])
        for number, (path, label) in enumerate(zip(images.paths, labels, strict=True)):
            name = f"{number}{path.suffix}"
            shutil.copy(path, folder / name)
            rows.writerow([name, label])
    medshot = Path(sys.executable).with_name("medshot")
    command = [medshot, "adapt", folder / "task.csv", "--learner", "auto", "--out", folder / "model"]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def in_fresh_cache(work: Callable[[Path], float]) -> float:
    """`work` with a cache folder that holds the encoders' graphs and nothing else."""
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    lines = [
        "| data set | features there, s | from files, s | the command from files, s |",
        "|---|--:|--:|--:|",
    ]
    for name in NAMES:
        (task,) = load_tasks(arguments.data / name)
        supports = [support_of(task, seed) for seed in range(arguments.repeats)]
        cold = [in_fresh_cache(lambda _, each=each: fitted(*each)) for each in supports]
        command = [in_fresh_cache(lambda folder, each=each: by_command(*each, folder)) for each in supports]
        warm = []
        for seed in range(arguments.repeats):
            fitted(*support_of(task, seed))
            warm.append(fitted(*support_of(task, seed)))
        cells = " | ".join(f"{statistics.median(seconds):.2f}" for seconds in (warm, cold, command))
        lines.append(f"| {name} | {cells} |")
        print(lines[-1], flush=True)
    text = f"""## Adapting `auto`

Two classes, {SHOTS} patients per class, encoders {ENCODER}, {torch.get_num_threads()} threads, median of
{arguments.repeats}, by `python benchmarks/adapt_cost.py`. The command includes starting Python and importing torch.

{chr(10).join(lines)}"""
    replace_part(ROOT / "docs" / "speed.md", "adapting", text)


if __name__ == "__main__":
    main()
