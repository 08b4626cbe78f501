"""What `auto` does where there is nothing to learn: the labels of every support are dealt out anew.

Usage: python benchmarks/noise_labels.py [DATA] [--episodes N]

For every data set supports of 5 patients per class whose labels are permuted, on features of lite0. Writes its table to
docs/auto.md: how often `auto` says that it found nothing, its balanced accuracy on queries with true labels, which is
chance for everyone, and its cross-entropy beside that of its candidates, as shares of that of guessing.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from document import replace_part
from rich.progress import track

from medshot.encoders import EncodedInput
from medshot.evaluation import Protocol, draw_episodes
from medshot.evaluation.metrics import balanced_accuracy
from medshot.selection.auto import Auto
from medshot.selection.outcomes import known_outcomes, without
from medshot.storage import read_json
from medshot.tasks import Support, collate, load_tasks

ROOT = Path(__file__).resolve().parents[1]
FOLDS = read_json(Path(__file__).with_name("folds.json"))["folds"]
SHOTS = 5


def losses_of(auto: Auto, support: Support, queries: torch.Tensor, truth: np.ndarray) -> tuple[str, float, list[float]]:
    """The sentence, the balanced accuracy, and the cross-entropies of `auto` and then of each candidate."""
    classifier = auto.adapt(support)
    mixed = classifier.probabilities(queries)[0].double().numpy()
    said = [mixed]
    found = {name: value[0] for name, value in classifier.adapted.items()}
    for number, candidate in enumerate(auto.candidates):
        logits = candidate.predict_one(auto.of_candidate(number, found), queries[0])
        said.append(logits.softmax(1).double().numpy())
    guessing = np.log(mixed.shape[1])
    losses = [float(-np.log(each[range(len(truth)), truth]).mean() / guessing) for each in said]
    return auto.explain(classifier.adapted), float(balanced_accuracy(mixed, truth)), losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--episodes", type=int, default=30, help="of each data set")
    arguments = parser.parse_args()
    lines = [
        "| data set | found nothing | balanced accuracy, % | chance, % | loss | worst candidate's | never worse |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name in track([name for names in FOLDS.values() for name in names], "data sets"):
        (task,) = load_tasks(arguments.data / name)
        auto = Auto(EncodedInput("lite0"), outcomes=without(known_outcomes(), [task])).eval()
        rows = []
        for number, episode in enumerate(draw_episodes(task, SHOTS, Protocol(episodes=arguments.episodes))):
            batch = collate([episode], auto.shape)
            order = torch.from_numpy(np.random.default_rng(number).permutation(len(episode.support)))
            support = replace(batch.support, labels=batch.support.labels[:, order])
            rows.append(losses_of(auto, support, batch.query.images, episode.query_labels))
        silent = np.mean([sentence.startswith("Found nothing") for sentence, _, _ in rows])
        accuracy = np.mean([accuracy for _, accuracy, _ in rows])
        losses = np.array([losses for _, _, losses in rows])
        worst = losses[:, 1:].max(1)
        never = np.mean(losses[:, 0] <= worst + 1e-5)  # float32
        lines.append(
            f"| {name} | {silent:.0%} | {100 * accuracy:.1f} | {100 / len(task.classes):.1f} "
            f"| {losses[:, 0].mean():.3f} | {worst.mean():.3f} | {never:.0%} |"
        )
        print(lines[-1], flush=True)
    text = f"Written by `python benchmarks/noise_labels.py --episodes {arguments.episodes}`.\n\n" + "\n".join(lines)
    replace_part(ROOT / "docs" / "auto.md", "noise", text)


if __name__ == "__main__":
    main()
