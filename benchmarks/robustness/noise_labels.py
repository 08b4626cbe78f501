"""Measure `auto` on tasks without anything to learn: the labels of every support are permuted.

Supports have 5 patients per class of each data set, on features of lite0. Measures how often `auto` reports that it
found nothing, its balanced accuracy on queries with true labels, which is chance for any learner, and the cross-entropy
of `auto` and of its candidates, as shares of that of guessing.
"""

from dataclasses import replace

import numpy as np
import torch
from rich.progress import track

from benchmarks.common.arguments import Places, make_parser, parse
from benchmarks.common.pages import replace_part
from benchmarks.common.results import load, save
from benchmarks.common.tables import markdown, table
from benchmarks.common.tasks import names_for, read_task
from medshot.encoders import EncodedInput
from medshot.evaluation import Protocol, draw_episodes
from medshot.evaluation.metrics import balanced_accuracy
from medshot.selection.auto import Auto
from medshot.selection.outcomes import known_outcomes, without
from medshot.tasks import Support, Task, collate

HEADER = ("data set", "found nothing", "balanced accuracy, %", "chance, %", "loss", "worst candidate's", "never worse")
SHOTS = 5


def losses_of(auto: Auto, support: Support, queries: torch.Tensor, truth: np.ndarray) -> tuple[str, float, list[float]]:
    """Return the sentence, the balanced accuracy, and the cross-entropies of `auto` and then of each candidate."""
    classifier = auto.adapt(support)
    mixed = classifier.probabilities(queries)[0].double().numpy()
    probabilities = [mixed]
    found = {name: value[0] for name, value in classifier.adapted.items()}
    for number, candidate in enumerate(auto.candidates):
        logits = candidate.predict_one(auto.of_candidate(number, found), queries[0])
        probabilities.append(logits.softmax(1).double().numpy())
    guessing = np.log(mixed.shape[1])
    losses = [float(-np.log(each[range(len(truth)), truth]).mean() / guessing) for each in probabilities]
    return auto.explain(classifier.adapted), float(balanced_accuracy(mixed, truth)), losses


def measure(task: Task, episodes: int) -> list[str]:
    """Return the numbers of one data set."""
    auto = Auto(EncodedInput("lite0"), outcomes=without(known_outcomes(), [task])).eval()
    rows = []
    for number, episode in enumerate(draw_episodes(task, SHOTS, Protocol(episodes=episodes))):
        batch = collate([episode], auto.input_spec)
        order = torch.from_numpy(np.random.default_rng(number).permutation(len(episode.support)))
        support = replace(batch.support, labels=batch.support.labels[:, order])
        rows.append(losses_of(auto, support, batch.query.images, episode.query_labels))
    silent = np.mean([sentence.startswith("Found nothing") for sentence, _, _ in rows])
    accuracy = np.mean([accuracy for _, accuracy, _ in rows])
    losses = np.array([losses for _, _, losses in rows])
    worst = losses[:, 1:].max(1)
    never = np.mean(losses[:, 0] <= worst + 1e-5)  # float32
    shares = [f"{silent:.0%}", f"{100 * accuracy:.1f}", f"{100 / len(task.classes):.1f}"]
    return [*shares, f"{losses[:, 0].mean():.3f}", f"{worst.mean():.3f}", f"{never:.0%}"]


def write_report(places: Places) -> None:
    """Write the table of docs/auto.md."""
    found = load(places, "noise-labels")
    text = f"Written by `{found['command']}`.\n\n{markdown(found['table'])}"
    replace_part(places.docs / "auto.md", "noise", text)


def main() -> None:
    parser = make_parser("robustness.noise_labels", __doc__, work=False)
    parser.add_argument("--episodes", type=int, default=30, help="of each data set")
    arguments = parse(parser)
    if arguments.report:
        write_report(arguments.places)
        return
    episodes = 2 if arguments.quick else arguments.episodes
    names = track(names_for(arguments.quick), "data sets")
    rows = [[name, *measure(read_task(arguments.data, name), episodes)] for name in names]
    command = f"python -m benchmarks.robustness.noise_labels --episodes {episodes}"
    save(arguments.places, "noise-labels", {"command": command, "table": table(HEADER, rows)})
    write_report(arguments.places)


if __name__ == "__main__":
    main()
