"""Compare strategies of active learning on real data sets, and learn the learned one.

From 2 labelled patients per class, each strategy chooses 10 images of other patients at once; logistic regression on
EfficientNet-Lite0 features is fitted to both and scored on patients who are in neither. The learned strategy is learned
again for each data set, from sets that share no images with it. `--learn` also writes the coefficients that come with
medshot, learned from all data sets with a licence that allows it.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from rich.progress import track

from benchmarks.active_learning.learning import Experience, experience, learned
from benchmarks.active_learning.measuring import Measured, numbers
from benchmarks.active_learning.report import write_report
from benchmarks.active_learning.tasks import labellings
from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.results import rounded, save
from benchmarks.common.tasks import QUICK, TOGETHER, names_for, read_task
from medshot.evaluation import EpisodePredictions
from medshot.evaluation.intervals import Replicates, bootstrap, draw_replicates
from medshot.selection.active_learning import STRATEGIES, Pool
from medshot.selection.active_learning.pool import FEATURES
from medshot.selection.active_learning.strategies import SHIPPED, Coefficients, choose_greedily
from medshot.storage import write_json
from medshot.tasks import Task

FREE = (
    "brain_mri_4class",
    "cxr_pneumonia_kermany",
    "pneumoniamnist",
    "cxr_nih1000",
    "medical_mnist_6class",
    "spine_xray_scoliosis",
    "ecg_12lead_images",
)
"""Data sets with a licence that allows any use of coefficients learned from them."""
COUNTS = (5, 10)
Predictions = dict[tuple[str, int], list[EpisodePredictions]]


def main() -> None:
    parser = make_parser("active_learning", __doc__, work=False)
    parser.add_argument("--repeats", type=int, default=20, help="splits of each data set to score on")
    parser.add_argument("--states", type=int, default=120, help="simulated states of each data set to learn from")
    parser.add_argument("--learn", action="store_true", help="write the coefficients that come with medshot")
    arguments = parse(parser)
    if arguments.report:
        write_report(arguments.places)
        return
    torch.set_num_threads(1)
    repeats, states = (2, 2) if arguments.quick else (arguments.repeats, arguments.states)
    command = f"python -m benchmarks.active_learning --repeats {repeats} --states {states} --learn"
    names = names_for(arguments.quick)
    tasks = {name: read_task(arguments.data, name) for name in names}
    free = QUICK if arguments.quick else FREE
    experiences = {
        name: experience(tasks[name], states, np.random.default_rng([1, *name.encode()]))
        for name in track(free, "learning")
    }
    if arguments.learn and not arguments.quick:
        write_json(SHIPPED, rounded(coefficients(experiences, command).model_dump()))
    measured = {}
    for name, task in track(tasks.items(), "scoring"):
        gains = learned(experiences, sources(name, free))
        as_fitted, evened = scored(task, gains, repeats)
        measured[name] = Measured(gains, replicates(as_fitted), replicates(evened))
    save(arguments.places, "active-learning", numbers(measured, learned(experiences, free), COUNTS, repeats, command))
    write_report(arguments.places)


def sources(name: str, free: Sequence[str]) -> list[str]:
    """Return the data sets from which the strategy for this one is learned."""
    alike = {name, *(other for group in TOGETHER if name in group for other in group)}
    return [other for other in free if other not in alike]


def coefficients(experiences: Mapping[str, Experience], command: str) -> Coefficients:
    """Return the coefficients that come with medshot."""
    gains = dict(zip(FEATURES, learned(experiences, FREE).tolist(), strict=True))
    return Coefficients(gains=gains, learned_from=list(FREE), command=command)


def scored(task: Task, gains: Float[np.ndarray, " quantities"], repeats: int) -> tuple[Predictions, Predictions]:
    """Return the predictions without choices and after the first choices of each strategy, on the same splits.

    They are returned as fitted, and moved from the class frequencies of the labelled samples to equal ones.
    """
    as_fitted: Predictions = {}
    evened: Predictions = {}
    for seed, labelling in enumerate(labellings(task, repeats, np.random.default_rng([2, *task.name.encode()]))):
        for key, chosen in choices(labelling.candidates(), gains, seed):
            predictions = labelling.predictions(chosen)
            as_fitted.setdefault(key, []).append(predictions)
            evened.setdefault(key, []).append(labelling.evened(predictions, chosen))
    return as_fitted, evened


def choices(
    pool: Pool, gains: Float[np.ndarray, " quantities"], seed: int
) -> Iterator[tuple[tuple[str, int], Int[np.ndarray, " chosen"]]]:
    """Yield the first choices of each strategy by its name and their number, and none."""
    yield ("none", 0), np.array([], dtype=np.int64)
    for name, strategy in STRATEGIES.items():
        if name == "learned":
            chosen, _ = choose_greedily(pool, gains, max(COUNTS))
        else:
            chosen, _ = strategy.choose(pool, max(COUNTS), seed)
        for count in COUNTS:
            yield (name, count), chosen[:count]


def replicates(found: Predictions) -> dict[tuple[str, int], Replicates]:
    """Return balanced accuracy in bootstrap replicates of patients crossed with splits, the same for all strategies."""
    draws = draw_replicates(found["none", 0])
    return {
        key: bootstrap(predictions, draws, ["balanced_accuracy"])["balanced_accuracy"]
        for key, predictions in found.items()
    }


if __name__ == "__main__":
    main()
