"""Peak memory of one meta-gradient for longer and longer inner loops; draws docs/images/inner_loop_memory.svg.

Each point is measured in a separate process: its peak memory during the meta-gradient of one task, above the memory
that it held just before.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from benchmarks.common.arguments import ROOT, make_parser, parse
from benchmarks.common.tables import table
from benchmarks.common.timing import peak_memory
from benchmarks.speed.random_tasks import SHOTS, Batch, random_batch
from benchmarks.speed.report import finish
from medshot.imaging import ImageInput
from medshot.learners import create
from medshot.training import Engine

LEARNERS = {"maml": "MAML, second order", "fomaml": "MAML, first order", "imaml": "iMAML, implicit"}
STEPS = (1, 2, 5, 10, 20, 50)
Megabytes = dict[str, list[float]]


def main() -> None:
    parser = make_parser("speed.inner_loop_memory", __doc__, data=False, work=False)
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)
    arguments = parse(parser)
    if arguments.point:
        learner, steps = arguments.point
        print(meta_gradient_peak(learner, int(steps)))
        return
    counts = STEPS[:2] if arguments.quick else STEPS
    measured = {learner: [peak_of(learner, steps) for steps in counts] for learner in LEARNERS}
    draw(measured, counts, arguments.places.docs / "images" / "inner_loop_memory.svg")
    header = ["Learner", *(f"{steps} step{'s' * (steps > 1)}" for steps in counts)]
    rows = [[LEARNERS[learner], *(f"{value:.0f}" for value in values)] for learner, values in measured.items()]
    finish(arguments, "inner_loop_memory", table(header, rows))


def meta_gradient_peak(name: str, steps: int) -> float:
    """Return the MB that this process needs for the meta-gradient of one task."""
    torch.set_num_threads(1)
    batch = random_batch(1, 1, 28, 28)
    meta_gradient(
        name, 1, Batch(*(tensor[:, ::SHOTS] for tensor in vars(batch).values()))
    )  # loads what torch loads late
    before = peak_memory()
    meta_gradient(name, steps, batch)
    return peak_memory() - before


def meta_gradient(name: str, steps: int, batch: Batch) -> None:
    learner = create(name, input_spec=ImageInput(channels=1, size=28), width=32, steps=steps).train()
    learner.engine = Engine("loop")
    cross_entropy(learner.adapt(batch.supports())(batch.query)[0], batch.query_labels[0]).backward()


def peak_of(learner: str, steps: int) -> float:
    command = [sys.executable, "-m", "benchmarks.speed.inner_loop_memory", "--point", learner, str(steps)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)


def draw(measured: Megabytes, counts: Sequence[int], path: Path) -> None:
    from matplotlib import rcParams
    from matplotlib.figure import Figure  # only now: a child's recorded peak starts at its parent's

    rcParams["svg.hashsalt"] = "medshot"
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for learner, megabytes in measured.items():
        (line,) = axes.plot(counts, megabytes, marker="o")
        axes.annotate(LEARNERS[learner], (counts[-1], megabytes[-1]), xytext=(-4, 8), textcoords="offset points")
        axes.texts[-1].set(color=line.get_color(), ha="right")
    axes.set(xlabel="inner steps", ylabel="peak memory of one meta-gradient, MB", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
