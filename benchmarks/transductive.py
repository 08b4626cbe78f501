"""Transductive prototypes beside logistic regression: the same patient-disjoint episodes, queries balanced and not.

Usage: python benchmarks/transductive.py [DATA]

Writes docs/transductive.md. In half of the rows the shares of the classes among the queries of an episode are drawn
from a Dirichlet distribution with concentration 2 (Veilleux et al., NeurIPS 2021), which no learner is told.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from document import replace_part
from random_tasks import machine
from table_plans import FOLDS, read_pictures

from medshot.encoders import EncodedInput
from medshot.evaluation import Cell, Protocol, Results, draw_episodes, run_episodes
from medshot.evaluation.protocol import compare
from medshot.evaluation.results import Metadata
from medshot.learners import create
from medshot.reporting.wording import percent, points, write_interval
from medshot.tasks import Episode, Task

ROOT = Path(__file__).resolve().parents[1]
COMMAND = "python benchmarks/transductive.py"
PROTOCOL = Protocol(shots=(1, 5, 10), episodes=30, queries=15)
CONCENTRATION = 2.0
BASELINE, LEARNER = "logistic", "transductive-prototypes"
SETTLED_ON = (
    "cxr_jsrt_nodule_lungmask",
    "spine_xray_scoliosis",
    "ecg_12lead_images",
    "skin_ham10000_subset",
    "cxr_nih1000",
    "cxr_pneumonia_kermany",
)


def unbalanced(episode: Episode, number: int) -> Episode:
    """The episode with as many of its queries of each class as shares drawn at random allow, one or more."""
    rng = np.random.default_rng([PROTOCOL.seed, number])
    shares = rng.dirichlet(np.full(episode.ways, CONCENTRATION))
    members = [np.flatnonzero(episode.query_labels == c) for c in range(episode.ways)]
    most = min(len(of_class) / share for of_class, share in zip(members, shares, strict=True))
    kept = [of_class[: max(round(most * share), 1)] for of_class, share in zip(members, shares, strict=True)]
    chosen = np.sort(np.concatenate(kept))
    return replace(episode, query=episode.query[chosen], query_labels=episode.query_labels[chosen])


def scored(task: Task, shots: int, balanced: bool) -> Cell:
    """One cell, with what both learners said."""
    episodes = draw_episodes(task, shots, PROTOCOL)
    if not balanced:
        episodes = [unbalanced(episode, number) for number, episode in enumerate(episodes)]
    cell = Cell(task, shots, episodes)
    for name in (BASELINE, LEARNER):
        cell.predictions[name], cell.seconds[name] = run_episodes(create(name, shape=EncodedInput("lite0")), episodes)
    return cell


def table(results: Results, names: Sequence[str]) -> str:
    """Balanced accuracy of both and their difference, a row for each data set."""
    rows = {(row.task, row.shots, row.learner): row for row in results.rows}
    means = {(row.shots, row.learner): row for row in results.means}
    head = [f"{shots} per class" for shots in PROTOCOL.shots]
    lines = [f"| data set | {' | '.join(head)} |", f"|---|{'---|' * len(head)}"]
    for name in names:
        cells = [_cell(rows[name, shots, BASELINE], rows[name, shots, LEARNER]) for shots in PROTOCOL.shots]
        lines.append(f"| {name}{'' if name in SETTLED_ON else ' *'} | {' | '.join(cells)} |")
    cells = [_cell(means[shots, BASELINE], means[shots, LEARNER]) for shots in PROTOCOL.shots]
    return "\n".join([*lines, f"| **mean** | {' | '.join(cells)} |"])


def _cell(baseline, learner) -> str:
    change = learner.difference
    interval = write_interval(change.new_patients, points)
    return f"{percent(baseline.balanced_accuracy.value)} → {percent(learner.balanced_accuracy.value)} ({interval})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    data = parser.parse_args().data
    torch.set_num_threads(1)
    names = [name for of_fold in FOLDS["folds"].values() for name in of_fold]
    metadata = Metadata(seed=PROTOCOL.seed, date="", machine=machine(), command=COMMAND, version="", notes=[])
    parts = [f"Written by `{COMMAND}`; {machine()}"]
    for balanced in (True, False):
        cells = [scored(read_pictures(data, data, name), shots, balanced) for name in names for shots in PROTOCOL.shots]
        heading = "As many queries of each class" if balanced else "Queries of unbalanced classes"
        parts.append(f"## {heading}\n\n{table(compare(cells, BASELINE, metadata), names)}")
    replace_part(ROOT / "docs" / "transductive.md", "numbers", "\n\n".join(parts))


if __name__ == "__main__":
    main()
