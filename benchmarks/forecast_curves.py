"""Learning curves of past tasks, from which `medshot forecast` learned, and how often its intervals hold.

Usage: python benchmarks/forecast_curves.py [DATA] [--draws N] [--runs FOLDER]

Every data set gives supports that are drawn at random: all classes or some of them, a number of labelled patients per
class, what cross-validation says on these, and balanced accuracy on other patients as patients are added. So does
noise: labels dealt out anew to patients. What is done is kept under --runs, so the command goes on where it was
stopped, and more draws add to those there are. When all is there, the store in the package and docs/forecast.md are
written.
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from forecast_report import write_report
from rich.progress import track
from sklearn.metrics import balanced_accuracy_score
from table_plans import FOLDS, read_pictures

from medshot.encoders import EncodedInput
from medshot.learners import Learner, create
from medshot.selection.forecasting import MORE, STORE, Curve, write_curves
from medshot.selection.task_features import TaskFeatures, pooled_predictions, task_features
from medshot.storage import read_json, write_json
from medshot.tasks import Episode, Task, draw_episode, keep_classes

ROOT = Path(__file__).resolve().parents[1]
DRAWS = 60
NOISE = 0.2
"""Draws of noise for each draw of the set itself."""
WRITTEN_EVERY = 4
LEAST, MOST = 2, 30
HELD_OUT, FEWEST_HELD_OUT = 100, 15


@dataclass(frozen=True)
class Set:
    """What curves are drawn from.

    Args:
        name: of the data set.
        source: it and what is left out together with it.
        share: of the draws that a real set gives.
        tasks: one of which each draw takes.
        noise: whether labels are dealt out anew for each draw.
    """

    name: str
    source: str
    share: float
    tasks: Callable[[], list[Task]]
    noise: bool = False


def all_sets(data: Path) -> list[Set]:
    """The data sets, and noise on each."""
    together = {name: " and ".join(group) for group in FOLDS["together"] for name in group}
    real = [name for names in FOLDS["folds"].values() for name in names]
    sets = [Set(name, together.get(name, name), 1.0, partial(real_task, data, name)) for name in real]
    return [*sets, *map(noise_on, sets)]


def noise_on(each: Set) -> Set:
    """The same images with labels dealt out anew."""
    return replace(each, name=f"{each.name}, noise", share=NOISE * each.share, noise=True)


def real_task(data: Path, name: str) -> list[Task]:
    """The data set's one task."""
    return [read_pictures(data, data, name)]


def draws_of(each: Set, learner: Learner, folder: Path, draws: int) -> list[Curve]:
    """The set's curves, those made now that the folder lacks."""
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
    """The curves that were made before."""
    rows = read_json(path)["curves"] if path.exists() else []
    return [Curve(**row | {"features": TaskFeatures(**row["features"])}) for row in rows]


def draw(each: Set, tasks: list[Task], learner: Learner, number: int) -> Curve:
    """One support, and what becomes of it; it depends on the set and the number alone."""
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
    """All classes in half of the draws, else any two or more of them."""
    count = len(task.classes)
    ways = count if rng.random() < 0.5 else int(rng.integers(2, count + 1))
    return keep_classes(task, rng.permutation(count)[:ways].tolist())


def shuffled(task: Task, rng: np.random.Generator) -> Task:
    """The task with one image of each patient, and labels that are dealt out anew."""
    _, first_of = np.unique(task.patient_codes, return_index=True)
    chosen = task.select(np.sort(first_of))
    return replace(chosen, name=f"{task.name}, noise", labels=rng.permutation(len(chosen)) % len(task.classes))


def first(episode: Episode, shots: int) -> Episode:
    """The episode with the first patients of each class in its support, so that supports contain one another."""
    kept = np.concatenate([np.flatnonzero(episode.support_labels == c)[:shots] for c in range(episode.ways)])
    return replace(episode, support=episode.support[kept], support_labels=episode.support_labels[kept])


def accuracies(learner: Learner, episodes: list[Episode]) -> list[float]:
    """Balanced accuracy on the queries, which are the same in all episodes."""
    probabilities, labels = pooled_predictions(learner, episodes)
    parts = zip(np.split(labels, len(episodes)), np.split(probabilities.argmax(1), len(episodes)), strict=True)
    return [float(balanced_accuracy_score(truth, said)) for truth, said in parts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--draws", type=int, default=DRAWS, help="from each real data set")
    parser.add_argument("--runs", type=Path, default=Path("runs/forecast"), help="where what is done is kept")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    learner = create("logistic", shape=EncodedInput("lite0"))
    sets = all_sets(arguments.data)
    curves = {each.name: draws_of(each, learner, arguments.runs, arguments.draws) for each in sets}
    about = {
        "learner": "logistic on features of lite0",
        "made by": f"python benchmarks/forecast_curves.py --draws {arguments.draws}",
        "data sets": ", ".join(sorted({name.removesuffix(", noise") for name in curves})),
    }
    write_curves(STORE, [curve for of_set in curves.values() for curve in of_set], about)
    write_report(curves, about["made by"], ROOT / "docs")


if __name__ == "__main__":
    main()
