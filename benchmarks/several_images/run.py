"""Samples of several images with one or two missing: LGG's three contrasts, each removed in turn.

The task is whether a slice shows tumour. Fusion is compared untrained (the plain mean of the images' features) and
meta-trained on other tasks of several images, with and without modality dropout. Predictions are kept in the --out
folder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.results import save
from benchmarks.several_images.measuring import numbers
from benchmarks.several_images.report import write_report
from benchmarks.several_images.tasks import HOSPITALS, NAMES, glioma, training_tasks
from medshot.encoders import EncodedBagInput, EncodedInput
from medshot.evaluation import EpisodePredictions, Protocol, draw_episodes, refuse_overlap, run_episodes
from medshot.imaging import MISSING, SeveralImages
from medshot.learners import Learner, create, load_learner
from medshot.learners.run import meta_train
from medshot.networks.bag_network import BagNetwork
from medshot.storage import read_arrays, read_json, write_arrays, write_json
from medshot.tasks import Episode, Task
from medshot.training import BatchSettings, OuterSettings

SHAPE = EncodedBagInput("lite0", images=len(NAMES))
SHOTS = (1, 5, 10)
LEFT = {"all": NAMES} | {f"without {name}": tuple(set(NAMES) - {name}) for name in NAMES}
LEFT |= {f"{name} alone": (name,) for name in NAMES}
"""Images of a sample that remain, by condition."""
CONDITIONS = (
    {"all": ("all", "all")}
    | {f"{name} missing in queries": ("all", f"without {name}") for name in NAMES}
    | {f"{name} missing in the support": (f"without {name}", "all") for name in NAMES}
    | {f"{name} missing in both": (f"without {name}", f"without {name}") for name in NAMES}
    | {f"only {name} in queries": ("all", f"{name} alone") for name in NAMES}
    | {f"only {name} in both": (f"{name} alone", f"{name} alone") for name in NAMES}
)
"""Entries of `LEFT` for the support and for the queries, by condition."""


@dataclass(frozen=True)
class Fusion:
    """A way of making one classifier of several images.

    Args:
        learner: its name in the registry.
        trained: whether it is meta-trained on other tasks of several images.
        dropout: whether images are dropped during meta-training.
        even: whether its attention is reset to the plain mean after meta-training.
    """

    learner: str
    trained: bool = False
    dropout: bool = False
    even: bool = False

    def __str__(self) -> str:
        if not self.trained:
            return f"{self.learner}, plain mean"
        how = "dropout" if self.dropout else "no dropout"
        return f"{self.learner}, trained, {how}" + (", attention made even" if self.even else "")

    @property
    def folder(self) -> str:
        return str(self).replace(", ", "-").replace(" ", "-")


UNTRAINED = [Fusion(name) for name in ("logistic", "ridge", "protonet")]
TRAINED = [
    Fusion(name, trained=True, dropout=dropout, even=even)
    for name in ("ridge", "protonet")
    for dropout, even in ((True, False), (True, True), (False, False))
]


def built(fusion: Fusion, data: Path, runs: Path, steps: int, hospitals: int) -> Learner:
    """Return the learner, meta-trained if the fusion is; a finished run is used again."""
    learner = create(fusion.learner, input_spec=SHAPE)
    if not fusion.trained:
        return learner
    run = runs / replace(fusion, even=False).folder / "run"
    if not (run / "run.json").exists():
        settings = OuterSettings(steps=steps, batch=BatchSettings(shots=(1, 2, 3, 5, 10), augment=fusion.dropout))
        run.parent.mkdir(parents=True, exist_ok=True)
        tasks = training_tasks(data, hospitals)
        meta_train(learner, tasks, settings=settings, folder=run, resume=run.exists(), report=lambda event: None)
    learner = load_learner(run)
    if fusion.even:
        (network,) = (module for module in learner.modules() if isinstance(module, BagNetwork))
        torch.nn.init.zeros_(network.pooling.output.weight)
    return learner


def with_variants(task: Task) -> Task:
    """Return the task once per entry of `LEFT`, one after the other; the last image of a sample always stays."""
    images = task.images
    assert isinstance(images, SeveralImages)
    parts = []
    for left in LEFT.values():
        removed = images.rows.copy()
        removed[:, [name not in left for name in images.names]] = MISSING
        parts.append(np.where((removed == MISSING).all(1, keepdims=True), images.rows, removed))
    rows = np.concatenate(parts)
    return replace(
        task,
        images=SeveralImages(images.sources, dict(zip(images.names, rows.T, strict=True))),
        rows=np.arange(len(rows)),
        labels=np.tile(task.labels, len(LEFT)),
        patients=np.tile(task.patients, len(LEFT)),
    )


def under(condition: tuple[str, str], episode: Episode, variants: Task) -> Episode:
    """Return the same episode with the images of a condition only."""
    support, query = (list(LEFT).index(left) * len(episode.task) for left in condition)
    return replace(episode, task=variants, support=episode.support + support, query=episode.query + query)


def predictions_of(learner: Learner, conditions: Mapping[str, list[Episode]], samples: int) -> dict[str, np.ndarray]:
    """Return the predictions of a learner under each condition, as arrays."""
    arrays = {}
    for number, episodes in enumerate(conditions.values()):
        predictions, _ = run_episodes(learner, episodes)
        arrays[f"probabilities {number}"] = np.stack([each.probabilities for each in predictions])
        truth = {name: np.stack([getattr(each, name) for each in predictions]) for name in ("labels", "patients")}
        arrays |= truth | {"images": np.stack([each.images for each in predictions]) % samples}
    return arrays


def read(path: Path, conditions: list[str]) -> dict[str, list[EpisodePredictions]]:
    """Return the predictions of one file by condition."""
    arrays = read_arrays(path)
    truth = [arrays[name] for name in ("labels", "patients", "images")]
    return {
        condition: [EpisodePredictions(*each) for each in zip(arrays[f"probabilities {number}"], *truth, strict=True)]
        for number, condition in enumerate(conditions)
    }


def main() -> None:
    parser = make_parser("several_images", __doc__)
    parser.add_argument("--episodes", type=int, default=100, help="for each number of patients per class")
    parser.add_argument("--steps", type=int, default=400, help="outer steps of each meta-training")
    arguments = parse(parser)
    if arguments.report:
        write_report(arguments.places)
        return
    torch.set_num_threads(1)
    episodes, steps = (2, 4) if arguments.quick else (arguments.episodes, arguments.steps)
    hospitals = 7 if arguments.quick else HOSPITALS
    asked = {"episodes": episodes, "steps": steps}
    note = arguments.out / "asked.json"
    if not note.exists():
        write_json(note, asked)
    if read_json(note) != asked:
        parser.error(f"{arguments.out} was begun with {read_json(note)}; give the same, or another --out.")
    task, composite = glioma(arguments.data)
    found = predictions(task, composite, arguments.data, arguments.out, episodes, steps, hospitals)
    command = f"python -m benchmarks.several_images --episodes {episodes} --steps {steps}"
    save(arguments.places, "several-images", numbers(found, task, training_tasks(arguments.data, hospitals), command))
    write_report(arguments.places)


def predictions(
    task: Task, composite: Task, data: Path, runs: Path, episodes: int, steps: int, hospitals: int
) -> dict[tuple[str, int], dict[str, list[EpisodePredictions]]]:
    """Return the predictions under each condition, by way of fusion and number of patients per class."""
    variants = with_variants(task)
    found: dict[tuple[str, int], dict[str, list[EpisodePredictions]]] = {}
    for shots in SHOTS:
        of_shots = draw_episodes(task, shots, Protocol(episodes=episodes))
        conditions = {name: [under(left, each, variants) for each in of_shots] for name, left in CONDITIONS.items()}
        path = runs / f"composite-{shots}.safetensors"
        if not path.exists():
            logistic = create("logistic", input_spec=EncodedInput("lite0"))
            of_composite = [replace(each, task=composite) for each in of_shots]
            write_arrays(path, predictions_of(logistic, {"all": of_composite}, len(task)))
        found["logistic, one RGB composite", shots] = read(path, ["all"])
        for fusion in (*UNTRAINED, *TRAINED):
            path = runs / fusion.folder / f"{shots}.safetensors"
            if not path.exists():
                learner = built(fusion, data, runs, steps, hospitals)
                refuse_overlap(learner, [task])
                path.parent.mkdir(parents=True, exist_ok=True)
                write_arrays(path, predictions_of(learner, conditions, len(task)))
                print(f"done: {fusion}, {shots} per class", flush=True)
            found[str(fusion), shots] = read(path, list(CONDITIONS))
    return found


if __name__ == "__main__":
    main()
