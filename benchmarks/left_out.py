"""Features learned across medical tasks and the choice of learner, each on data sets that were left out of it.

Usage: python benchmarks/left_out.py [DATA] [--encoders FOLDER] [--runs FOLDER] [--episodes N] [--jobs N]

First train the encoders: `python benchmarks/medical_encoders.py one two three`, and for the ablation of how
`… three --steps 100 --objective episodic`, `… --parameters low-rank` and so on. For each fold of benchmarks/folds.json
this meta-trains depth-ridge on the other folds, scores every column on the fold's own data sets, writes
down what the candidates of `auto` had, and scores `auto` with what they had on the other folds. What is done is kept
under --runs, so the command goes on where it was stopped. When all is there, the tables are written to docs/results.md
and the outcomes to src/medshot/selection, from which the installed `auto` takes them.
"""

import argparse
import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from cells import read_cell, write_cell
from joblib import Parallel, delayed
from left_out_columns import (
    ABLATED,
    BASELINE,
    BOTH,
    CANDIDATES,
    CHOSEN,
    ECG,
    FIXED,
    FOLDS,
    OUTCOMES,
    TRIED,
    WHOLE_PAGES,
    Make,
    Setting,
    ablations,
    automatic,
    candidate,
    prior_of,
)
from left_out_report import write_report
from rich.progress import track

from medshot.errors import TooFewPatients
from medshot.evaluation import EpisodePredictions, Protocol, draw_episodes, refuse_overlap, run_episodes
from medshot.evaluation.metrics import balanced_accuracy
from medshot.evaluation.outcome_log import SUPPORTS, mean_loss, spread_of
from medshot.selection.candidates import prior_file
from medshot.selection.outcomes import Outcome
from medshot.storage import write_arrays, write_bytes
from medshot.tasks import marks_of

ROOT = Path(__file__).resolve().parents[1]
SELECTION = ROOT / "src" / "medshot" / "selection"
LEARNED = ("depth-ridge", "even-ridge")
MORE_SHOTS = (2, 3, 15, 20, 30, 40)


def score(setting: Setting, column: str, make: Make, fold: str, shots: Sequence[int]) -> str:
    """One column on one fold: what it says of every episode's queries, written to files."""
    torch.set_num_threads(1)
    for name in [ECG] if column == WHOLE_PAGES else FOLDS[fold]:
        todo = [number for number in shots if not finished(setting, column, name, number)]
        if not todo:
            continue
        task = setting.task(name)
        learner = make(setting, fold, task)
        refuse_overlap(learner, [task])
        for number in todo:
            protocol = Protocol(episodes=episodes_of(setting, number))
            try:
                episodes = draw_episodes(task, number, protocol)
            except TooFewPatients:
                continue
            path = setting.cell(column, name, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_cell(path, *run_episodes(learner, episodes))
    return f"{column}, fold {fold}"


def finished(setting: Setting, column: str, name: str, shots: int) -> bool:
    """Whether a cell is there, of as many episodes as are wanted; delete --runs where an encoder was trained anew."""
    path = setting.cell(column, name, shots)
    return path.exists() and len(read_cell(path)[0]) == episodes_of(setting, shots)


def episodes_of(setting: Setting, shots: int) -> int:
    return setting.episodes if shots in Protocol.shots else setting.episodes // 2


def write_outcomes(setting: Setting) -> None:
    """Write down what each candidate of `auto` had on each data set, as lines of JSON."""
    rows = []
    for fold, names in FOLDS.items():
        for name in names:
            task = setting.task(name)
            tried = {column: candidate(*key)(setting, fold, task) for column, key in TRIED.items()}
            for shots in Protocol.shots:
                episodes = draw_episodes(task, shots, Protocol(episodes=SUPPORTS))
                for column, (learner, takes) in TRIED.items():
                    predictions, _ = read_cell(setting.cell(column, name, shots))
                    rows.append(
                        Outcome(
                            source=name,
                            task=name,
                            learner=learner,
                            takes=takes,
                            shots=shots,
                            ways=predictions[0].probabilities.shape[1],
                            spread=round(spread_of(episodes, tried[column]), 5),
                            loss=round(mean_loss(predictions), 5),
                            accuracy=round(accuracy_of(predictions), 5),
                            episodes=len(predictions),
                            images=marks_of(task),
                        )
                    )
    lines = "".join(row.model_dump_json() + "\n" for row in rows)
    write_bytes(setting.runs / OUTCOMES, lines.encode())


def accuracy_of(predictions: Sequence[EpisodePredictions]) -> float:
    """The mean balanced accuracy of the episodes."""
    return float(np.mean([balanced_accuracy(each.probabilities, each.labels) for each in predictions]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--encoders", type=Path, default=Path("runs/encoders"), help="where encoders were trained to")
    parser.add_argument("--runs", type=Path, default=Path("runs/left_out"), help="where what is done is kept")
    parser.add_argument("--episodes", type=int, default=100, help="of each cell")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    arguments = parser.parse_args()
    setting = Setting(arguments.data, arguments.encoders.absolute(), arguments.runs, arguments.episodes)
    run = Parallel(arguments.jobs, return_as="generator_unordered")
    torch.set_num_threads(1)  # its small steps are slower on more
    for name, fold in product(LEARNED, [*FOLDS, "free"]):
        prior_of(setting, name, fold)
    ablated = ablations(setting)
    stages = [
        [(name, make, fold, Protocol.shots) for name, make in FIXED.items() for fold in FOLDS]
        + [(name, make, ABLATED, Protocol.shots) for name, make in ablated.items()],
        [(BASELINE, FIXED[BASELINE], fold, MORE_SHOTS) for fold in FOLDS],
        [(name, make, fold, Protocol.shots) for name, make in CHOSEN.items() for fold in FOLDS]
        + [(WHOLE_PAGES, automatic(BOTH, cut=False), fold, Protocol.shots) for fold in FOLDS if ECG in FOLDS[fold]],
    ]
    for number, stage in enumerate(stages):
        if number == len(stages) - 1:
            write_outcomes(setting)
        work = run(delayed(score)(setting, *each) for each in stage)
        for done in track(work, "columns × folds", total=len(stage)):
            print("done:", done, flush=True)
    write_bytes(SELECTION / OUTCOMES, (setting.runs / OUTCOMES).read_bytes())
    for name in LEARNED:
        prior = prior_of(setting, name, "free").state_dict()
        write_arrays(prior_file(name), {key: value.numpy() for key, value in prior.items()})
    write_report(
        setting.cell,
        columns=[*FIXED, *CHOSEN],
        ablated=list(ablated),
        ablated_names=FOLDS[ABLATED],
        candidates=list(CANDIDATES),
        names=[name for names in FOLDS.values() for name in names],
        jobs=arguments.jobs,
        command=f"python benchmarks/left_out.py --episodes {arguments.episodes}",
    )


if __name__ == "__main__":
    main()
