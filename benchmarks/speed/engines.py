"""Episodes per second of meta-training METAL under each engine (loop, vmap, chunks), on pixels and on voxels."""

from functools import partial

import numpy as np
import torch

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.tables import table
from benchmarks.common.timing import take_turns
from benchmarks.speed.report import finish
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
    parser = make_parser("speed.engines", __doc__, data=False, work=False)
    parser.add_argument("--tasks", type=int, default=3, help="tasks in a batch; each gives five episodes")
    parser.add_argument("--repeats", type=int, default=3, help="measurements of each engine")
    arguments = parse(parser)
    tasks, repeats = (1, 1) if arguments.quick else (arguments.tasks, arguments.repeats)
    networks = list(NETWORKS.items())[:1] if arguments.quick else NETWORKS.items()
    rows = [row for title, (shape, settings) in networks for row in measure(title, shape, settings, tasks, repeats)]
    finish(arguments, "engines", table(["network", "engine", "episodes per second", "times the loop"], rows, 2))


def measure(title: str, shape: GridInput, settings: dict, tasks: int, repeats: int) -> list[list[str]]:
    """Return episodes per second of every engine for one network."""
    learner = create("metal", input_spec=shape, **settings)
    family = "organ" if shape.axes == 3 else "spine_xray"
    hospitals = [simulate(family, seed=seed, patients=12, size=shape.size) for seed in range(tasks)]
    batch_settings = BatchSettings(tasks=tasks, ways=2, shots=(5,), queries=5)
    episodes = draw_batch(hospitals, batch_settings, np.random.default_rng(0), cross_validated=True)
    batch = to_tensors(episodes, learner.input_spec, torch.device("cpu"))
    engines = [Engine("loop"), Engine("vmap"), Engine("chunk", (len(batch) + 1) // 2)]

    def run(engine: Engine) -> None:
        learner.engine = engine
        learner.zero_grad()
        learner.scores(batch)[0].mean().backward()

    works = [partial(run, engine) for engine in engines]
    take_turns(works, 1)
    times = np.median(take_turns(works, repeats), axis=0)
    return [
        [title, str(engine), f"{len(batch) / time:.1f}", f"{times[0] / time:.2f}"]
        for engine, time in zip(engines, times, strict=True)
    ]


if __name__ == "__main__":
    main()
