"""Which image to label next: strategies compared on real data sets, and the learned one learned.

    python benchmarks/label_next.py [DATA] [--repeats 20] [--states 120] [--learn]

From 2 labelled patients per class, each strategy chooses 10 images of other patients at once; logistic regression on
EfficientNet-Lite0 features is fitted to both and scored on patients who are in neither. The learned strategy is learned
anew for each data set, from sets that share no images with it. `--learn` also writes the coefficients that come with
medshot, learned from all data sets whose licence allows that.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from document import replace_part, rounded
from jaxtyping import Float, Int
from label_next_learning import Experience, experience, learned
from label_next_report import Measured, page, write_numbers
from label_next_tasks import labellings
from rich.console import Console
from table_plans import PICTURES

from medshot.evaluation import EpisodePredictions
from medshot.evaluation.intervals import Replicates, bootstrap, draw_replicates
from medshot.selection.active_learning import STRATEGIES, Pool
from medshot.selection.active_learning.pool import FEATURES
from medshot.selection.active_learning.strategies import SHIPPED, Coefficients, choose_greedily
from medshot.storage import write_json
from medshot.tasks import Task

ROOT = Path(__file__).resolve().parents[1]
FREE = (
    "brain_mri_4class",
    "cxr_pneumonia_kermany",
    "pneumoniamnist",
    "cxr_nih1000",
    "medical_mnist_6class",
    "spine_xray_scoliosis",
    "ecg_12lead_images",
)
"""Their licences allow that what was learned from them is given on, for whatever use."""
COUNTS = (5, 10)
Predictions = dict[tuple[str, int], list[EpisodePredictions]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--repeats", type=int, default=20, help="draws of each data set to score on")
    parser.add_argument("--states", type=int, default=120, help="simulated states of each data set to learn from")
    parser.add_argument("--learn", action="store_true", help="write the coefficients that come with medshot")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    command = f"python benchmarks/label_next.py --repeats {arguments.repeats} --states {arguments.states} --learn"
    note = Console(stderr=True).print
    tasks = {name: PICTURES.read(arguments.data, Path(), name) for name in PICTURES.names()}
    experiences = {}
    for name in FREE:
        start = time.process_time()
        experiences[name] = experience(tasks[name], arguments.states, np.random.default_rng([1, *name.encode()]))
        note(f"{name}: {arguments.states} states in {time.process_time() - start:.0f} s")
    if arguments.learn:
        write_json(SHIPPED, rounded(coefficients(experiences, command).model_dump()))
    measured = {}
    for name, task in tasks.items():
        start = time.process_time()
        gains = learned(experiences, sources(name))
        as_fitted, evened = scored(task, gains, arguments.repeats)
        measured[name] = Measured(gains, replicates(as_fitted), replicates(evened))
        note(f"{name}: {arguments.repeats} repeats in {time.process_time() - start:.0f} s")
    shown = learned(experiences, FREE)
    replace_part(ROOT / "docs" / "next.md", "numbers", page(measured, shown, COUNTS, command, arguments.repeats))
    write_numbers(ROOT / "docs" / "results" / "next.json", measured, shown, COUNTS, command)


def sources(name: str) -> list[str]:
    """The data sets that the strategy is learned from which is scored on this one."""
    alike = {name, *(other for group in PICTURES.together if name in group for other in group)}
    return [other for other in FREE if other not in alike]


def coefficients(experiences: Mapping[str, Experience], command: str) -> Coefficients:
    """What comes with medshot."""
    gains = dict(zip(FEATURES, learned(experiences, FREE).tolist(), strict=True))
    return Coefficients(gains=gains, learned_from=list(FREE), command=command)


def scored(task: Task, gains: Float[np.ndarray, " quantities"], repeats: int) -> tuple[Predictions, Predictions]:
    """The predictions with nothing chosen, and with the first of what each strategy chose, on the same draws.

    Once as fitted, and once moved from the class frequencies of what was labelled to equal ones.
    """
    as_fitted: Predictions = {}
    evened: Predictions = {}
    for seed, labelling in enumerate(labellings(task, repeats, np.random.default_rng([2, *task.name.encode()]))):
        for key, chosen in choices(labelling.candidates(), gains, seed):
            said = labelling.predictions(chosen)
            as_fitted.setdefault(key, []).append(said)
            evened.setdefault(key, []).append(labelling.evened(said, chosen))
    return as_fitted, evened


def choices(
    pool: Pool, gains: Float[np.ndarray, " quantities"], seed: int
) -> Iterator[tuple[tuple[str, int], Int[np.ndarray, " chosen"]]]:
    """The first of what each strategy chooses, by its name and their number; and none."""
    yield ("none", 0), np.array([], dtype=np.int64)
    for name, strategy in STRATEGIES.items():
        if name == "learned":
            chosen, _ = choose_greedily(pool, gains, max(COUNTS))
        else:
            chosen, _ = strategy.choose(pool, max(COUNTS), seed)
        for count in COUNTS:
            yield (name, count), chosen[:count]


def replicates(found: Predictions) -> dict[tuple[str, int], Replicates]:
    """Balanced accuracy in bootstrap replicates of patients crossed with draws, the same for every strategy."""
    draws = draw_replicates(found["none", 0])
    return {key: bootstrap(said, draws, ["balanced_accuracy"])["balanced_accuracy"] for key, said in found.items()}


if __name__ == "__main__":
    main()
