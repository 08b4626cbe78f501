"""Transductive prototypes and logistic regression on the same episodes, with and without balanced queries.

In half of the rows the class shares of an episode's queries come from a Dirichlet distribution with concentration 2
(Veilleux et al., NeurIPS 2021), and learners do not get these shares.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from rich.progress import track

from benchmarks.common.arguments import Places, make_parser, parse
from benchmarks.common.pages import replace_part
from benchmarks.common.results import load, machine, metadata, save
from benchmarks.common.tables import Table, markdown, table
from benchmarks.common.tasks import names_for, read_task
from medshot.encoders import EncodedInput
from medshot.evaluation import Cell, Protocol, Results, draw_episodes, run_episodes
from medshot.evaluation.protocol import compare
from medshot.learners import create
from medshot.reporting.wording import percent, points, write_interval
from medshot.tasks import Episode, Task

COMMAND = "python -m benchmarks.accuracy.transductive"
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
    """Return the episode with as many queries of each class as random shares allow, at least one."""
    rng = np.random.default_rng([PROTOCOL.seed, number])
    shares = rng.dirichlet(np.full(episode.ways, CONCENTRATION))
    members = [np.flatnonzero(episode.query_labels == c) for c in range(episode.ways)]
    most = min(len(of_class) / share for of_class, share in zip(members, shares, strict=True))
    kept = [of_class[: max(round(most * share), 1)] for of_class, share in zip(members, shares, strict=True)]
    chosen = np.sort(np.concatenate(kept))
    return replace(episode, query=episode.query[chosen], query_labels=episode.query_labels[chosen])


def scored(task: Task, shots: int, balanced: bool, protocol: Protocol) -> Cell:
    """Return one cell with the predictions of both learners."""
    episodes = draw_episodes(task, shots, protocol)
    if not balanced:
        episodes = [unbalanced(episode, number) for number, episode in enumerate(episodes)]
    cell = Cell(task, shots, episodes)
    for name in (BASELINE, LEARNER):
        cell.predictions[name], cell.seconds[name] = run_episodes(
            create(name, input_spec=EncodedInput("lite0")), episodes
        )
    return cell


def changes(results: Results, names: Sequence[str]) -> Table:
    """Return balanced accuracy of both and their difference, a row for each data set."""
    rows = {(row.task, row.shots, row.learner): row for row in results.rows}
    rows |= {("**mean**", row.shots, row.learner): row for row in results.means}
    cells = [
        [f"{name}{'' if name in SETTLED_ON or name == '**mean**' else ' *'}"]
        + [_cell(rows[name, shots, BASELINE], rows[name, shots, LEARNER]) for shots in PROTOCOL.shots]
        for name in (*names, "**mean**")
    ]
    return table(["data set", *(f"{shots} per class" for shots in PROTOCOL.shots)], cells, 4)


def _cell(baseline, learner) -> str:
    change = learner.difference
    interval = write_interval(change.new_patients, points)
    return f"{percent(baseline.balanced_accuracy.value)} → {percent(learner.balanced_accuracy.value)} ({interval})"


def write_report(places: Places) -> None:
    """Write the tables of docs/transductive.md."""
    found = load(places, "transductive")
    parts = [f"Written by `{COMMAND}`; {found['machine']}"]
    for heading in ("As many queries of each class", "Queries of unbalanced classes"):
        parts.append(f"## {heading}\n\n{markdown(found[heading])}")
    replace_part(places.docs / "transductive.md", "numbers", "\n\n".join(parts))


def main() -> None:
    arguments = parse(make_parser("accuracy.transductive", __doc__, work=False))
    if arguments.report:
        write_report(arguments.places)
        return
    torch.set_num_threads(1)
    names = names_for(arguments.quick)
    protocol = replace(PROTOCOL, episodes=2) if arguments.quick else PROTOCOL
    found = {"machine": machine()}
    for balanced, heading in ((True, "As many queries of each class"), (False, "Queries of unbalanced classes")):
        work = [(name, shots) for name in names for shots in PROTOCOL.shots]
        cells = [
            scored(read_task(arguments.data, name), shots, balanced, protocol) for name, shots in track(work, heading)
        ]
        found[heading] = changes(compare(cells, BASELINE, metadata(COMMAND)), names)
    save(arguments.places, "transductive", found)
    write_report(arguments.places)


if __name__ == "__main__":
    main()
