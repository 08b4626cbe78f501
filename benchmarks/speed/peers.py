"""Speed of medshot compared with other libraries, on the same work, in one process.

Needs `pip install "medshot[bench]"`. Before anything is timed, all must compute the same number in double precision.
Then they take turns, and a ratio is the median over the turns of the ratios within a turn, so that a machine that is
slow for a while does not change the comparison. If a library has several ways to go through the tasks, each is timed
and the fastest counts: medshot measures its own engines in the same way before it meta-trains.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from torch import nn

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.tables import table
from benchmarks.common.timing import seconds
from benchmarks.speed.peer_steps import (
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
from benchmarks.speed.random_tasks import Batch, random_batch
from benchmarks.speed.report import finish
from medshot.imaging import FeatureInput, ImageInput
from medshot.learners import Learner, create
from medshot.training import Engine

MEDSHOT, HIGHER, TORCHOPT, METALEARN, LOOP = "medshot", "higher", "torchopt", "parallel-metalearn", "loop over tasks"
COLUMNS = (MEDSHOT, HIGHER, TORCHOPT, METALEARN, LOOP)

Contestants = dict[str, dict[str, Step]]


@dataclass(frozen=True)
class Job:
    """One line of the table: the steps of each library, by the way it goes through the tasks.

    Args:
        title: of the line.
        contestants: the steps.
        same: whether all compute the same numbers.
    """

    title: str
    contestants: Contestants
    same: bool = True


def main() -> None:
    parser = make_parser("speed.peers", __doc__, data=False, work=False)
    parser.add_argument("--repeats", type=int, default=5, help="turns of each job")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    arguments = parse(parser)
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
    for make in jobs[-2:] if arguments.quick else jobs:
        check(make(torch.float64))
        rows.append(measure(make(torch.float32), 1 if arguments.quick else arguments.repeats))
        print(*rows[-1], sep=" | ", flush=True)
    finish(arguments, "peers", table(["Job", *COLUMNS, "times as fast as the best other"], rows))


def maml(dtype: torch.dtype, order: int) -> Job:
    """Return the job in which the whole network adapts; all libraries use medshot's network and rule."""
    batch = random_batch(8, 1, 28, 28).to(dtype)
    learner = seeded("maml" if order == 2 else "fomaml", input_spec=ImageInput(channels=1, size=28), width=32).to(dtype)
    peers = of_peers(lambda: plain(learner), batch, order)
    return Job(f"MAML, {named(order)}: same network", {MEDSHOT: of_medshot(learner, batch)} | peers)


def usual_maml(dtype: torch.dtype, order: int) -> Job:
    """Return the same job with the usual network of each library."""
    batch = random_batch(8, 1, 28, 28).to(dtype)
    learner = seeded("maml" if order == 2 else "fomaml", input_spec=ImageInput(channels=1, size=28), width=32).to(dtype)
    peers = of_peers(lambda: PooledNetwork().to(dtype), batch, order)
    contestants = {MEDSHOT: of_medshot(learner, batch)} | peers
    return Job(f"MAML, {named(order)}: each its usual network", contestants, same=False)


def anil(dtype: torch.dtype, features: int) -> Job:
    """Return the job in which only the head adapts, on features that were computed before."""
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
    """Return those that `medshot.training.fastest_engine` tries."""
    return [Engine("loop"), Engine("vmap"), Engine("chunk", (tasks + 1) // 2)]


def seeded(name: str, **settings: object) -> Learner:
    return create(name, seed=0, **settings)


def on_features_as_they_are(name: str, features: int) -> Learner:
    """Return a learner without its network, which every library would have to run alike."""
    learner = seeded(name, input_spec=FeatureInput((features,)))
    learner.embed = lambda images: images  # type: ignore[method-assign]
    return learner


def named(order: int) -> str:
    return "second order" if order == 2 else "first order"


def check(job: Job) -> None:
    """Stop unless all compute the same numbers."""
    results = {f"{name} ({way})": step() for name, ways in job.contestants.items() for way, step in ways.items()}
    first = next(iter(results.values()))
    for name, result in results.items():
        if job.same and not torch.allclose(result.double(), first.double(), rtol=1e-6):
            raise SystemExit(f"{job.title}: {name} gives {result} and medshot {first}; that is not the same work.")


def measure(job: Job, repeats: int) -> list[str]:
    """Time all contestants in turn, after one turn to warm up, and return the line of the table."""
    keys = [(name, way) for name, ways in job.contestants.items() for way in ways]
    times: dict[tuple[str, str], list[float]] = {key: [] for key in keys}
    for turn in range(repeats + 1):
        for name, way in keys[turn % len(keys) :] + keys[: turn % len(keys)]:
            taken = seconds(job.contestants[name][way])
            if turn:
                times[name, way].append(taken)
    fastest = {
        name: min(ways, key=lambda way, name=name: median(times[name, way])) for name, ways in job.contestants.items()
    }
    medians = {name: median(times[name, way]) for name, way in fastest.items()}
    best = min((name for name in medians if name != MEDSHOT), key=lambda name: medians[name])
    pairs = zip(times[best, fastest[best]], times[MEDSHOT, fastest[MEDSHOT]], strict=True)
    ratios = [peer / ours for peer, ours in pairs]
    cells = [f"{1000 * medians[name]:,.0f} ({fastest[name]})" if name in medians else "has none" for name in COLUMNS]
    return [job.title, *cells, f"**{median(ratios):.2f}** ({min(ratios):.2f} to {max(ratios):.2f})"]


if __name__ == "__main__":
    main()
