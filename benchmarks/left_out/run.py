"""Features learned across medical tasks and the choice of learner, each on data sets that were left out.

First train the encoders by `python -m benchmarks.left_out.medical_encoders one two three`, and for the ablation of
their training by `… three --steps 100 --objective episodic`, `… --parameters low-rank` and so on.

For each fold of common/folds.json this meta-trains depth-ridge on the other folds, scores every column on the fold's
own data sets, records the outcomes of the candidates of `auto`, and scores `auto` with their outcomes on the other
folds. Finished work is kept in the --out folder. At the end the outcomes are written to src/medshot/selection, and the
initial values of depth-ridge to src/medshot/learners/closed_form, where the installed `auto` finds them.
"""

import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from rich.progress import track

from benchmarks.common.arguments import ROOT, make_parser, parse
from benchmarks.common.cells import read_cell, write_cell
from benchmarks.left_out.columns import (
    BASELINE,
    BOTH,
    CANDIDATES,
    CHOSEN,
    ECG,
    FIXED,
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
from benchmarks.left_out.measuring import save_results
from benchmarks.left_out.report import write_report
from medshot.errors import TooFewPatients
from medshot.evaluation import EpisodePredictions, Protocol, draw_episodes, refuse_overlap, run_episodes
from medshot.evaluation.metrics import balanced_accuracy
from medshot.evaluation.outcome_log import SUPPORTS, mean_loss, spread_of
from medshot.learners.creation import weights_file
from medshot.selection.outcomes import Outcome
from medshot.storage import write_arrays, write_bytes
from medshot.tasks import marks_of

SELECTION = ROOT / "src" / "medshot" / "selection"
LEARNED = ("depth-ridge", "even-ridge")
MORE_SHOTS = (2, 3, 15, 20, 30, 40)


def score(setting: Setting, column: str, make: Make, fold: str, shots: Sequence[int]) -> str:
    """Write the predictions of one column on one fold for every episode's queries."""
    torch.set_num_threads(1)
    for name in [ECG] if column == WHOLE_PAGES else setting.folds[fold]:
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
            write_cell(setting.cell(column, name, number), *run_episodes(learner, episodes))
    return f"{column}, fold {fold}"


def finished(setting: Setting, column: str, name: str, shots: int) -> bool:
    """Whether a cell has as many episodes as are wanted; delete --out if an encoder was trained again."""
    path = setting.cell(column, name, shots)
    return path.exists() and len(read_cell(path)[0]) == episodes_of(setting, shots)


def episodes_of(setting: Setting, shots: int) -> int:
    return setting.episodes if shots in Protocol.shots else setting.episodes // 2


def write_outcomes(setting: Setting) -> None:
    """Write the outcome of each candidate of `auto` on each data set, as lines of JSON."""
    rows = []
    for fold, names in setting.folds.items():
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
    """Return the mean balanced accuracy of the episodes."""
    return float(np.mean([balanced_accuracy(each.probabilities, each.labels) for each in predictions]))


def main() -> None:
    parser = make_parser("left_out", __doc__)
    parser.add_argument(
        "--encoders", type=Path, default=Path("runs/left_out-medical_encoders"), help="trained encoders"
    )
    parser.add_argument("--episodes", type=int, default=100, help="of each cell")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    arguments = parse(parser)
    if arguments.report:
        write_report(arguments.places)
        return
    episodes = 4 if arguments.quick else arguments.episodes
    encoders = arguments.encoders.absolute()
    setting = Setting(arguments.data, encoders, arguments.out.absolute(), episodes, arguments.quick)
    torch.set_num_threads(1)  # its small steps are slower on more
    for name, fold in product(LEARNED, [*setting.folds, "free"]):
        prior_of(setting, name, fold)
    for stage in stages(setting):
        if stage[0][0] in CHOSEN:
            write_outcomes(setting)
        work = Parallel(arguments.jobs, return_as="generator_unordered")(
            delayed(score)(setting, *each) for each in stage
        )
        for done in track(work, "columns × folds", total=len(stage)):
            print("done:", done, flush=True)
    if not arguments.quick:
        write_bytes(SELECTION / OUTCOMES, (setting.runs / OUTCOMES).read_bytes())
        for name in LEARNED:
            prior = prior_of(setting, name, "free").state_dict()
            write_arrays(weights_file(name), {key: value.numpy() for key, value in prior.items()})
    command = f"python -m benchmarks.left_out --episodes {episodes}"
    save_results(
        setting,
        [*FIXED, *CHOSEN],
        list(CANDIDATES),
        list(ablations(setting)),
        arguments.places,
        arguments.jobs,
        command,
    )
    write_report(arguments.places)


def stages(setting: Setting) -> list[list[tuple[str, Make, str, Sequence[int]]]]:
    """Return the work in three stages: fixed columns, the baseline's learning curve, and `auto`, which needs them."""
    folds, shots = setting.folds, Protocol.shots
    whole = [(WHOLE_PAGES, automatic(BOTH, cut=False), fold, shots) for fold in folds if ECG in folds[fold]]
    return [
        [(name, make, fold, shots) for name, make in FIXED.items() for fold in folds]
        + [(name, make, setting.ablated, shots) for name, make in ablations(setting).items()],
        [(BASELINE, FIXED[BASELINE], fold, MORE_SHOTS) for fold in folds],
        [(name, make, fold, shots) for name, make in CHOSEN.items() for fold in folds] + whole,
    ]


if __name__ == "__main__":
    main()
