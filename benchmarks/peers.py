"""Speed of medshot beside its peers, on the same work, in one process; writes docs/speed.md.

Usage: python benchmarks/peers.py [--repeats N] [--threads N] [--json]

Needs `pip install "medshot[bench]"`. Before anything is timed, all are seen to compute the same number in double
precision. Then they take turns, and a ratio is the median over the turns of the ratios within a turn, so that a machine
that is slow for a while does not change the comparison. Where a library offers several ways to go through the tasks,
each is timed and its fastest counts: medshot measures its own engines in the same way before it meta-trains.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import torch
from document import replace_part
from peer_steps import (
    PooledNetwork,
    Step,
    head_with_medshot,
    looped,
    plain,
    prototypes_by_cdist,
    prototypes_with_metalearn,
    ridge_by_solve,
    with_higher,
    with_medshot,
    with_metalearn,
    with_torchopt,
)
from random_tasks import Batch, machine, random_batch
from torch import nn

from medshot.imaging import FeatureInput, ImageInput
from medshot.learners import Learner, create
from medshot.training import Engine

PAGE = Path(__file__).resolve().parents[1] / "docs" / "speed.md"
MEDSHOT, HIGHER, TORCHOPT, METALEARN, LOOP = "medshot", "higher", "torchopt", "parallel-metalearn", "loop over tasks"
COLUMNS = (MEDSHOT, HIGHER, TORCHOPT, METALEARN, LOOP)

Contestants = dict[str, dict[str, Step]]


@dataclass(frozen=True)
class Job:
    """One line of the table: the steps of each library, by the way it goes through the tasks."""

    title: str
    contestants: Contestants
    same: bool = True
    """Whether all compute the same numbers."""


@dataclass(frozen=True)
class Row:
    """What was measured of a job, in seconds: of each library, its fastest way."""

    title: str
    seconds: dict[str, float]
    ways: dict[str, str]
    best_peer: str
    ratio: float
    ratios: list[float] = field(repr=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="turns of each job")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    jobs: list[Callable[[torch.dtype], Job]] = [
        partial(maml, order=2),
        partial(maml, order=1),
        partial(usual_maml, order=2),
        partial(usual_maml, order=1),
        partial(anil, features=2816),
        partial(anil, features=384),
        prototypes,
        ridge,
    ]
    rows = []
    for make in jobs:
        check(make(torch.float64))
        rows.append(measure(make(torch.float32), arguments.repeats))
        if not arguments.json:
            print(line(rows[-1]), flush=True)
    if arguments.json:
        print(json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2))
    replace_part(PAGE, "peers", page(rows))


def maml(dtype: torch.dtype, order: int) -> Job:
    """The whole network adapts; everyone has medshot's network and rule."""
    batch = random_batch(8, 1, 28, 28).to(dtype)
    learner = seeded("maml" if order == 2 else "fomaml", shape=ImageInput(channels=1, size=28), width=32).to(dtype)
    peers = of_peers(lambda: plain(learner), batch, order)
    return Job(f"MAML, {named(order)}: same network", {MEDSHOT: of_medshot(learner, batch)} | peers)


def usual_maml(dtype: torch.dtype, order: int) -> Job:
    """As above for medshot; the peers have the network that their users have."""
    batch = random_batch(8, 1, 28, 28).to(dtype)
    learner = seeded("maml" if order == 2 else "fomaml", shape=ImageInput(channels=1, size=28), width=32).to(dtype)
    peers = of_peers(lambda: PooledNetwork().to(dtype), batch, order)
    contestants = {MEDSHOT: of_medshot(learner, batch)} | peers
    return Job(f"MAML, {named(order)}: each its usual network", contestants, same=False)


def anil(dtype: torch.dtype, features: int) -> Job:
    """The head alone adapts, on features that were computed before."""
    batch = random_batch(64, features).to(dtype)
    learner = on_features_as_they_are("anil", features).to(dtype)
    contestants = {MEDSHOT: of_medshot(learner, batch)} | of_peers(lambda: plain(learner), batch, order=2)
    return Job(f"ANIL's head on {features:,} features, 64 tasks", contestants)


def prototypes(dtype: torch.dtype) -> Job:
    batch = random_batch(1000, 384).to(dtype)
    learner = on_features_as_they_are("protonet", 384).to(dtype)
    contestants = {
        MEDSHOT: {str(engine): head_with_medshot(learner, batch, engine) for engine in engines(len(batch))},
        METALEARN: {f"chunk:{chunk}": prototypes_with_metalearn(batch, chunk) for chunk in (8, len(batch))},
        LOOP: {"cdist": lambda: looped(prototypes_by_cdist, batch)},
    }
    return Job("Prototypes on 384 features, 1,000 tasks", contestants)


def ridge(dtype: torch.dtype) -> Job:
    batch = random_batch(1000, 384).to(dtype)
    learner = on_features_as_they_are("ridge", 384).to(dtype)
    contestants = {
        MEDSHOT: {str(engine): head_with_medshot(learner, batch, engine) for engine in engines(len(batch))},
        LOOP: {"solve": lambda: looped(ridge_by_solve, batch)},
    }
    return Job("Ridge regression on 384 features, 1,000 tasks", contestants)


def of_medshot(learner: Learner, batch: Batch) -> dict[str, Step]:
    return {str(engine): with_medshot(learner, batch, engine) for engine in engines(len(batch))}


def of_peers(network: Callable[[], nn.Module], batch: Batch, order: int) -> Contestants:
    contestants = {HIGHER: {"loop": with_higher(network(), batch, order)}}
    if order == 2:
        contestants[TORCHOPT] = {"loop": with_torchopt(network(), batch)}
    contestants[METALEARN] = {
        backend: with_metalearn(network(), batch, order, backend) for backend in ("vmap", "sequential")
    }
    return contestants


def engines(tasks: int) -> list[Engine]:
    """Those that `medshot.training.fastest_engine` tries."""
    return [Engine("loop"), Engine("vmap"), Engine("chunk", (tasks + 1) // 2)]


def seeded(name: str, **settings: object) -> Learner:
    return create(name, seed=0, **settings)


def on_features_as_they_are(name: str, features: int) -> Learner:
    """A learner whose network, which every library would have to run alike, is left out."""
    learner = seeded(name, shape=FeatureInput((features,)))
    learner.embed = lambda images: images  # type: ignore[method-assign]
    return learner


def named(order: int) -> str:
    return "second order" if order == 2 else "first order"


def check(job: Job) -> None:
    """See to it that all compute the same numbers."""
    results = {f"{name} ({way})": step() for name, ways in job.contestants.items() for way, step in ways.items()}
    first = next(iter(results.values()))
    for name, result in results.items():
        if job.same and not torch.allclose(result.double(), first.double(), rtol=1e-6):
            raise SystemExit(f"{job.title}: {name} gives {result} and medshot {first}; that is not the same work.")


def measure(job: Job, repeats: int) -> Row:
    """Time all contestants in turn, after one turn to warm up."""
    keys = [(name, way) for name, ways in job.contestants.items() for way in ways]
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in keys}
    for turn in range(repeats + 1):
        for key in keys[turn % len(keys) :] + keys[: turn % len(keys)]:
            start = time.perf_counter()
            job.contestants[key[0]][key[1]]()
            if turn:
                seconds[key].append(time.perf_counter() - start)
    fastest = {
        name: min(ways, key=lambda way, name=name: median(seconds[name, way])) for name, ways in job.contestants.items()
    }
    medians = {name: median(seconds[name, way]) for name, way in fastest.items()}
    best_peer = min((name for name in medians if name != MEDSHOT), key=lambda name: medians[name])
    pairs = zip(seconds[best_peer, fastest[best_peer]], seconds[MEDSHOT, fastest[MEDSHOT]], strict=True)
    ratios = [peer / ours for peer, ours in pairs]
    return Row(job.title, medians, fastest, best_peer, median(ratios), ratios)


def page(rows: list[Row]) -> str:
    return "\n".join(
        [
            "# Speed and memory",
            "",
            "## Beside its peers",
            "",
            f"Written by `python benchmarks/peers.py`; do not edit. {machine()}",
            "",
            HEADING,
            "",
            "| Job | " + " | ".join(COLUMNS) + " | times as fast as the best peer |",
            "| --- |" + " --: |" * (len(COLUMNS) + 1),
            *map(line, rows),
            "",
            NOTES,
        ]
    )


def line(row: Row) -> str:
    cells = [
        f"{1000 * row.seconds[name]:,.0f} ({row.ways[name]})" if name in row.seconds else "has none" for name in COLUMNS
    ]
    ratio = f"**{row.ratio:.2f}** ({min(row.ratios):.2f} to {max(row.ratios):.2f})"
    return f"| {row.title} | " + " | ".join(cells) + f" | {ratio} |"


HEADING = """Milliseconds for one batch of tasks of 5 classes, 5 shots and 15 queries per class: the median of the
turns, in brackets the way through the tasks that was fastest for that library. The last column says how many times as
fast as the best peer medshot is, with the range over the turns."""

NOTES = """MAML: eight tasks of grey images at 28 px, five inner steps of the whole network, forward and backward pass
of the meta-loss, which first order takes past the inner gradients. *Same network*: all have medshot's (four
convolutions of width 32 with stride 2, GroupNorm, ReLU, the mean over positions, features less the support's mean, a
head that starts at zero) and one fixed rate; medshot also differentiates by its learned rates. *Each its usual
network*: the peers have what papers and their own examples call Conv4-32 (max-pooling, BatchNorm on the batch at hand).
TorchOpt's `MetaSGD` has no first order. ANIL: five inner steps of a linear head and the meta-gradient through them.
Prototypes and ridge: the mean query loss, without gradients. "Loop over tasks" is written out in
`benchmarks/peer_steps.py` as easyfsl and learn2learn do it; neither can be installed beside this release of torch and
Python."""


if __name__ == "__main__":
    main()
