"""Learning curves of past tasks, from which `medshot forecast` learns, and how often its intervals hold.

A curve begins with a random support of a data set: all or some classes, and a number of labelled patients per class. It
holds the results of cross-validation on the support, and balanced accuracy on other patients as patients are added.
Curves of noise have labels that are permuted over patients. Finished curves are kept in the --out folder, and more
draws add to them. At the end the store in the package and docs/forecast.md are written.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from sklearn.metrics import balanced_accuracy_score

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.results import machine, save
from benchmarks.common.tasks import TOGETHER, names_for, read_task
from benchmarks.forecast.report import write_report
from medshot.encoders import EncodedInput
from medshot.learners import Learner, create
from medshot.selection.forecasting import MORE, STORE, Curve, write_curves
from medshot.selection.task_features import TaskFeatures, pooled_predictions, task_features
from medshot.storage import read_json, write_json
from medshot.tasks import Episode, Task, draw_episode, keep_classes

DRAWS = 60
NOISE = 0.2
"""Supports of noise for each support of the set itself."""
WRITTEN_EVERY = 4
LEAST, MOST = 2, 30
HELD_OUT, FEWEST_HELD_OUT = 100, 15


@dataclass(frozen=True)
class Set:
    """A source of curves.

    Args:
        name: of the data set.
        source: the data set and those that are left out together with it.
        share: number of curves, relative to that of a real set.
        tasks: from which each curve takes one.
        noise: whether labels are permuted for each curve.
    """

    name: str
    source: str
    share: float
    tasks: Callable[[], list[Task]]
    noise: bool = False


def all_sets(data: Path, quick: bool) -> list[Set]:
    """Return the data sets, and noise on each."""
    together = {name: " and ".join(group) for group in TOGETHER for name in group}
    sets = [Set(name, together.get(name, name), 1.0, partial(real_task, data, name)) for name in names_for(quick)]
    return [*sets, *map(noise_on, sets)]


def noise_on(each: Set) -> Set:
    """Return a set of the same images with permuted labels."""
    return replace(each, name=f"{each.name}, noise", share=NOISE * each.share, noise=True)


def real_task(data: Path, name: str) -> list[Task]:
    """Return the one task of a data set."""
    return [read_task(data, name)]


def draws_of(each: Set, learner: Learner, folder: Path, draws: int) -> list[Curve]:
    """Return the curves of a set; those that the folder lacks are made."""
    path, wanted = folder / f"{each.name}.json", math.ceil(each.share * draws)
    found = [asdict(curve) for curve in kept(path)]
    folder.mkdir(parents=True, exist_ok=True)
    if len(found) < wanted:
        tasks = each.tasks()
        for number in track(range(len(found), wanted), each.name):
            found.append(asdict(draw(each, tasks, learner, number)))
            if len(found) % WRITTEN_EVERY == 0 or len(found) == wanted:
                write_json(path, {"curves": found})
    return kept(path)[:wanted]


def kept(path: Path) -> list[Curve]:
    """Return the curves in the file."""
    rows = read_json(path)["curves"] if path.exists() else []
    return [Curve(**row | {"features": TaskFeatures(**row["features"])}) for row in rows]


def draw(each: Set, tasks: list[Task], learner: Learner, number: int) -> Curve:
    """Return the curve of one random support, which depends on the set and the number alone."""
    rng = np.random.default_rng([*each.name.encode(), number])
    task = some_classes(tasks[rng.integers(len(tasks))], rng)
    if each.noise:
        task = shuffled(task, rng)
    room = min(map(len, task.members)) - FEWEST_HELD_OUT
    shots = int(np.exp(rng.uniform(np.log(LEAST), np.log(min(MOST, room) + 1))))
    sizes = [shots + more if shots + more <= room else None for more in MORE]
    episode = draw_episode(task, shots=max(filter(None, sizes)), queries=HELD_OUT, rng=rng)
    measured = iter(accuracies(learner, [first(episode, size) for size in sizes if size is not None]))
    later = tuple(None if size is None else next(measured) for size in sizes)
    support = task.select(first(episode, shots).support)
    return Curve(each.source, task.name, task_features(support, learner, rng), later)


def some_classes(task: Task, rng: np.random.Generator) -> Task:
    """Return the task with all classes in half of the cases, else with any two or more of them."""
    count = len(task.classes)
    ways = count if rng.random() < 0.5 else int(rng.integers(2, count + 1))
    return keep_classes(task, rng.permutation(count)[:ways].tolist())


def shuffled(task: Task, rng: np.random.Generator) -> Task:
    """Return the task with one image of each patient and permuted labels."""
    _, first_of = np.unique(task.patient_codes, return_index=True)
    chosen = task.select(np.sort(first_of))
    return replace(chosen, name=f"{task.name}, noise", labels=rng.permutation(len(chosen)) % len(task.classes))


def first(episode: Episode, shots: int) -> Episode:
    """Return the episode with the first patients of each class as its support, so that supports are nested."""
    kept = np.concatenate([np.flatnonzero(episode.support_labels == c)[:shots] for c in range(episode.ways)])
    return replace(episode, support=episode.support[kept], support_labels=episode.support_labels[kept])


def accuracies(learner: Learner, episodes: list[Episode]) -> list[float]:
    """Return balanced accuracy on the queries, which are the same in all episodes."""
    probabilities, labels = pooled_predictions(learner, episodes)
    parts = zip(np.split(labels, len(episodes)), np.split(probabilities.argmax(1), len(episodes)), strict=True)
    return [float(balanced_accuracy_score(truth, guess)) for truth, guess in parts]


def main() -> None:
    parser = make_parser("forecast", __doc__)
    parser.add_argument("--draws", type=int, default=DRAWS, help="curves of each real data set")
    arguments = parse(parser)
    if arguments.report:
        write_report(arguments.places, STORE)
        return
    torch.set_num_threads(1)
    draws = 6 if arguments.quick else arguments.draws
    learner = create("logistic", input_spec=EncodedInput("lite0"))
    sets = all_sets(arguments.data, arguments.quick)
    curves = {each.name: draws_of(each, learner, arguments.out, draws) for each in sets}
    about = {
        "learner": "logistic on features of lite0",
        "made by": f"python -m benchmarks.forecast --draws {draws}",
        "data sets": ", ".join(sorted({name.removesuffix(", noise") for name in curves})),
    }
    store = arguments.out / "curves.json" if arguments.quick else STORE
    write_curves(store, [curve for of_set in curves.values() for curve in of_set], about)
    save(arguments.places, "forecast", {"command": about["made by"], "machine": machine()})
    write_report(arguments.places, store)


if __name__ == "__main__":
    main()
