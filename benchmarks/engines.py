"""Episodes per second of meta-training METAL under each engine (loop, vmap, chunks), on pixels and on voxels.

Usage: python benchmarks/engines.py [--tasks N] [--repeats N]

The engines take turns within one run, and each line gives the median and its ratio to the loop, so that a machine that
is busy or slow for a while does not change the comparison. An episode is one adaptation and its meta-gradient.
"""

import argparse
import statistics
import time
from functools import partial

import numpy as np
import torch

from medshot.imaging import GridInput, ImageInput, VolumeInput
from medshot.learners import create
from medshot.simulated import simulate
from medshot.training import BatchSettings, Engine, draw_batch, to_tensors

PICTURES = partial(ImageInput, 1)
NETWORKS = {
    "28 px, width 32, whole network, first order": (PICTURES(28), {"width": 32, "adapt_parameters": "all", "order": 1}),
    "28 px, width 32, whole network, second order": (
        PICTURES(28),
        {"width": 32, "adapt_parameters": "all", "order": 2},
    ),
    "64 px, width 64, whole network, first order": (PICTURES(64), {"width": 64, "adapt_parameters": "all", "order": 1}),
    "64 px, width 64, head alone, first order": (PICTURES(64), {"width": 64, "adapt_parameters": "head", "order": 1}),
    "32 voxels, width 32, whole network, first order": (
        VolumeInput(size=32),
        {"width": 32, "adapt_parameters": "all", "order": 1},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=3, help="tasks in a batch; each gives five episodes")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each engine")
    arguments = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    for title, (shape, settings) in NETWORKS.items():
        measure(title, shape, settings, arguments.tasks, arguments.repeats)


def measure(title: str, shape: GridInput, settings: dict, tasks: int, repeats: int) -> None:
    """Print episodes per second of every engine for one network."""
    learner = create("metal", shape=shape, **settings)
    family = "organ" if shape.axes == 3 else "spine_xray"
    hospitals = [simulate(family, seed=seed, patients=12, size=shape.size) for seed in range(tasks)]
    drawn = BatchSettings(tasks=tasks, ways=2, shots=(5,), queries=5)
    episodes = draw_batch(hospitals, drawn, np.random.default_rng(0), cross_validated=True)
    batch = to_tensors(episodes, learner.shape, torch.device("cpu"))
    engines = [Engine("loop"), Engine("vmap"), Engine("chunk", (len(batch) + 1) // 2)]
    seconds: dict[Engine, list[float]] = {engine: [] for engine in engines}
    for repeat in range(repeats + 1):
        for engine in engines:
            learner.engine = engine
            learner.zero_grad()
            start = time.perf_counter()
            learner.loss(batch).backward()
            if repeat:
                seconds[engine].append(time.perf_counter() - start)
    median = {engine: statistics.median(values) for engine, values in seconds.items()}
    print(f"\n{title}, {len(batch)} episodes of 2 classes, 5 shots, {learner.steps} inner steps")
    for engine in engines:
        rate, ratio = len(batch) / median[engine], median[engines[0]] / median[engine]
        print(f"  {engine!s:9} {rate:8.1f} episodes/s   {ratio:5.2f} × loop")


if __name__ == "__main__":
    main()
