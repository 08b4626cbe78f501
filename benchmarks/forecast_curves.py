"""Learning curves of past tasks, from which `medshot forecast` learned, and how often its intervals hold.

Usage: python benchmarks/forecast_curves.py [DATA] [--runs FOLDER]

Every data set gives supports that are drawn at random: all classes or some of them, a number of labelled patients per
class, what cross-validation says on these, and balanced accuracy on other patients as patients are added. Simulated
families give some too, and so does noise: labels dealt out anew to patients. What is done is kept under --runs, so the
command goes on where it was stopped. When all is there, the store in the package and docs/forecast.md are written.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from forecast_report import write_report
from rich.progress import track
from sklearn.metrics import balanced_accuracy_score
from table_plans import FOLDS, read_pictures

from medshot.learners import Learner, create
from medshot.networks.encoders import EncodedShape
from medshot.selection.forecasting.curves import MORE, STORE, Curve, write_curves
from medshot.selection.forecasting.signs import Signs, pooled, signs_of
from medshot.storage import read_json, write_json
from medshot.tasks import Episode, Task, draw_episode, keep_classes, simulate

ROOT = Path(__file__).resolve().parents[1]
REAL, SIMULATED, NOISE = 30, 18, 5
LEAST, MOST = 2, 30
HELD_OUT, FEWEST_HELD_OUT = 100, 15
FAMILIES = ("chest", "brain", "ecg", "spine_xray", "spine_mri")
HOSPITALS = ((0, 0.3), (1, 0.7))
PATIENTS = 45


@dataclass(frozen=True)
class Set:
    """What curves are drawn from.

    Args:
        name: of the data set.
        source: it and what is left out together with it.
        draws: how many.
        tasks: one of which each draw takes.
        noise: whether labels are dealt out anew for each draw.
    """

    name: str
    source: str
    draws: int
    tasks: Callable[[], list[Task]]
    noise: bool = False


def all_sets(data: Path) -> Iterator[Set]:
    """Real data sets, simulated families, and noise on each."""
    together = {name: " and ".join(group) for group in FOLDS["together"] for name in group}
    for name in (name for names in FOLDS["folds"].values() for name in names):
        def read(name: str = name) -> list[Task]:
            return [read_pictures(data, data, name)]

        yield Set(name, together.get(name, name), REAL, read)
        yield Set(f"{name}, noise", together.get(name, name), NOISE, read, noise=True)
    for family in FAMILIES:
        def render(family: str = family) -> list[Task]:
            return [simulate(family, seed=s, patients=PATIENTS, size=224, difficulty=d) for s, d in HOSPITALS]

        yield Set(f"simulated {family}", f"simulated {family}", SIMULATED, render)
        yield Set(f"simulated {family}, noise", f"simulated {family}", NOISE, render, noise=True)


def draws_of(each: Set, learner: Learner, folder: Path) -> list[Curve]:
    """The set's curves, made now where the folder lacks them."""
    path = folder / f"{each.name}.json"
    if not path.exists():
        tasks, began = each.tasks(), time.process_time()
        found = [draw(each, tasks, learner, number) for number in track(range(each.draws), each.name)]
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, {"curves": list(map(asdict, found)), "seconds": time.process_time() - began})
    return [Curve(**row | {"signs": Signs(**row["signs"])}) for row in read_json(path)["curves"]][: each.draws]


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
    accuracies = [None if size is None else accuracy(learner, first(episode, size)) for size in sizes]
    support = task.select(first(episode, shots).support)
    return Curve(each.source, task.name, signs_of(support, learner, rng), tuple(accuracies))


def some_classes(task: Task, rng: np.random.Generator) -> Task:
    """All classes in half of the draws, else any two or more of them."""
    count = len(task.classes)
    ways = count if rng.random() < 0.5 else int(rng.integers(2, count + 1))
    return keep_classes(task, rng.permutation(count)[:ways].tolist())


def shuffled(task: Task, rng: np.random.Generator) -> Task:
    """The task with one image of each patient, and labels that are dealt out anew."""
    _, first_of = np.unique(task.patient_codes, return_index=True)
    chosen = task.select(np.sort(first_of))
    return replace(chosen, name=f"{task.name}, noise", labels=rng.permutation(chosen.labels))


def first(episode: Episode, shots: int) -> Episode:
    """The episode with the first patients of each class in its support, so that supports contain one another."""
    kept = np.concatenate([np.flatnonzero(episode.support_labels == c)[:shots] for c in range(episode.ways)])
    return replace(episode, support=episode.support[kept], support_labels=episode.support_labels[kept])


def accuracy(learner: Learner, episode: Episode) -> float:
    """Balanced accuracy on the episode's queries."""
    probabilities, labels = pooled(learner, [episode])
    return float(balanced_accuracy_score(labels, probabilities.argmax(1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--runs", type=Path, default=Path("runs/forecast"), help="where what is done is kept")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    learner = create("logistic", shape=EncodedShape("lite0"))
    curves = {each.name: draws_of(each, learner, arguments.runs) for each in all_sets(arguments.data)}
    about = {
        "learner": "logistic on features of lite0",
        "made by": "python benchmarks/forecast_curves.py",
        "data sets": ", ".join(sorted({name.removesuffix(", noise") for name in curves})),
    }
    write_curves(STORE, [curve for of_set in curves.values() for curve in of_set], about)
    write_report(curves, ROOT / "docs")


if __name__ == "__main__":
    main()
