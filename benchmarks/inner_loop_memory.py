"""Peak memory of one meta-gradient as the inner loop grows longer; writes docs/images/inner_loop_memory.svg.

Usage: python benchmarks/inner_loop_memory.py [--json]

Each point is a process of its own: the most memory it held while it computed the meta-gradient of one task, above what
it held just before. The table goes into docs/speed.md.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

import torch
from document import replace_part
from random_tasks import SHOTS, Batch, machine, random_batch
from torch.nn.functional import cross_entropy

from medshot.imaging import ImageInput
from medshot.learners import create
from medshot.training import Engine

DOCS = Path(__file__).resolve().parents[1] / "docs"
PLOT = "images/inner_loop_memory.svg"
LEARNERS = {"maml": "MAML, second order", "fomaml": "MAML, first order", "imaml": "iMAML, implicit"}
STEPS = (1, 2, 5, 10, 20, 50)
Megabytes = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("point", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    arguments = parser.parse_args()
    if arguments.point:
        learner, steps = arguments.point
        print(meta_gradient_peak(learner, int(steps)))
        return
    measured = {learner: [peak_of(learner, steps) for steps in STEPS] for learner in LEARNERS}
    text = table(measured)
    print(
        json.dumps({"machine": machine(), "steps": STEPS, "megabytes": measured}, indent=2) if arguments.json else text
    )
    draw(measured)
    replace_part(DOCS / "speed.md", "memory", page(text))


def meta_gradient_peak(name: str, steps: int) -> float:
    """MB that this process needs for the meta-gradient of one task."""
    torch.set_num_threads(1)
    batch = random_batch(1, 1, 28, 28)
    meta_gradient(
        name, 1, Batch(*(tensor[:, ::SHOTS] for tensor in vars(batch).values()))
    )  # loads what torch loads late
    before = peak()
    meta_gradient(name, steps, batch)
    return peak() - before


def meta_gradient(name: str, steps: int, batch: Batch) -> None:
    learner = create(name, shape=ImageInput(channels=1, size=28), width=32, steps=steps).train()
    learner.engine = Engine("loop")
    cross_entropy(learner.adapt(batch.supports())(batch.query)[0], batch.query_labels[0]).backward()


def peak() -> float:
    """The most memory that this process held so far, in MB; macOS counts it in bytes, Linux in kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def peak_of(learner: str, steps: int) -> float:
    command = [sys.executable, __file__, learner, str(steps)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(measured: Megabytes) -> str:
    lines = ["| Learner | " + " | ".join(f"{steps} step{'s' * (steps > 1)}" for steps in STEPS) + " |"]
    lines.append("| --- |" + " --: |" * len(STEPS))
    for learner, megabytes in measured.items():
        lines.append(f"| {LEARNERS[learner]} | " + " | ".join(f"{value:.0f}" for value in megabytes) + " |")
    return "\n".join(lines)


def draw(measured: Megabytes) -> None:
    from matplotlib import rcParams
    from matplotlib.figure import Figure  # only now: a child's recorded peak starts at what its parent holds

    rcParams["svg.hashsalt"] = "medshot"
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for learner, megabytes in measured.items():
        (drawn,) = axes.plot(STEPS, megabytes, marker="o")
        axes.annotate(LEARNERS[learner], (STEPS[-1], megabytes[-1]), xytext=(-4, 8), textcoords="offset points")
        axes.texts[-1].set(color=drawn.get_color(), ha="right")
    axes.set(xlabel="inner steps", ylabel="peak memory of one meta-gradient, MB", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / PLOT, metadata={"Date": None})


def page(text: str) -> str:
    return f"""## Memory of the inner loop

Written by `python benchmarks/inner_loop_memory.py`; do not edit. {machine()}

Peak memory in MB of the meta-gradient of one task, above what the process held before: grey images at 28 px, 5 classes,
5 shots, 15 queries per class, width 32. Second order keeps every step for the way back. First order keeps of each step
no more than its gradient, by which the rates are learned. The implicit gradient needs only the solution, however many
steps lead to it.

![Peak memory against inner steps]({PLOT})

{text}"""


if __name__ == "__main__":
    main()
