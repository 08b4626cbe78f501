"""The demonstration that `medshot quickstart` runs, from simulated tasks to scores."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from PIL import Image
from rich.console import Console

from medshot.cli.options import Row, note, write_rows
from medshot.cli.predict import predict_rows
from medshot.evaluation import Protocol, Results, compare, evaluate
from medshot.imaging import ImageInput
from medshot.learners import FewShotClassifier, Learner, create
from medshot.reporting import results_table, write_evaluation
from medshot.reporting.wording import write_difference
from medshot.simulated import simulate
from medshot.storage import new_folder, printable_path
from medshot.tasks import Task, draw_episode
from medshot.training import BatchSettings, OuterSettings, resolve_device

SPEC = ImageInput(channels=1, size=32)
WIDTH = 24
TRAINED = ("brain", "spine_mri")
UNTRAINED = "spine_xray"
DIFFICULTY = 0.0
"""The easiest findings, in families whose findings are visible in 32 pixels. On a lung nodule or the details of an ECG
page, which are not, every learner would score at chance."""
SHOTS = 5
TRAINING_TASKS, TRAINING_PATIENTS = 12, 10
TEST_TASKS, TEST_PATIENTS, EPISODES = 8, 14, 7
UNTRAINED_TASKS, UNTRAINED_EPISODES = 5, 7
HOSPITAL_FAMILY, HOSPITAL_SIZE, LABELLED_PATIENTS, NEW_PATIENTS = "brain", 128, 12, 5
"""The data to continue with, in images that are large enough for an encoder."""
SETTINGS = OuterSettings(
    steps=160,
    learning_rate=0.01,
    validate_every=80,
    batch=BatchSettings(tasks=4, ways=4, shots=(SHOTS,), queries=5),
)


@dataclass(frozen=True)
class Scores:
    """The results of one group of test tasks, with differences to logistic regression and to training from scratch."""

    results: Results
    to_scratch: Results


def demonstrate(out: Path, *, seed: int, device: str) -> tuple[Scores, Scores]:
    """Meta-train METAL on two families of simulated tasks, adapt, predict, and score it on new tasks.

    Test tasks are new hospitals with other scanners, patients and ranges of findings. The first scores are of the
    families that METAL was trained on, the second of a family that is left out of training.
    """
    place = resolve_device(device)
    with new_folder(out) as folder:
        note(f"1/4 meta-training METAL on {TRAINING_TASKS} simulated hospitals each of {', '.join(TRAINED)}")
        training = _hospitals(TRAINED, TRAINING_TASKS, TRAINING_PATIENTS, first=1000 * seed)
        metal = create("metal", input_spec=SPEC, width=WIDTH, seed=seed)
        metal.meta_fit(training, settings=SETTINGS, folder=folder / "run", device=device)
        note(f"2/4 adapting to a new hospital from {SHOTS} labelled patients per class")
        tests = _hospitals(TRAINED, TEST_TASKS, TEST_PATIENTS, first=1000 * seed + 500)
        _adapt_and_predict(folder, out, tests[0], seed)
        note(f"3/4 scoring {len(tests) * EPISODES} episodes from new hospitals of {', '.join(TRAINED)}")
        learners = {
            "metal": metal,
            "scratch": create("scratch", input_spec=SPEC, width=WIDTH),
            "logistic": create("logistic", input_spec=SPEC),
        }
        trained = _score(folder / "trained_families", learners, tests, seed, EPISODES, place)
        note(f"4/4 scoring {UNTRAINED_TASKS * UNTRAINED_EPISODES} episodes of {UNTRAINED}, which is not in training")
        others = _hospitals((UNTRAINED,), UNTRAINED_TASKS, TEST_PATIENTS, first=1000 * seed + 500)
        untrained = _score(folder / "unseen_family", learners, others, seed, UNTRAINED_EPISODES, place)
        _write_hospital(folder / "hospital", seed=1000 * seed + 999)
    return trained, untrained


def print_results(title: str, scores: Scores) -> None:
    """Print the means over hospitals, and a sentence on METAL against each baseline."""
    console = Console()
    table = results_table(scores.results.model_copy(update={"rows": []}))
    table.title = title
    console.print(table)
    for results in (scores.results, scores.to_scratch):
        for mean in results.means:
            if mean.learner == "metal" and mean.difference:
                console.print(f"METAL minus {results.baseline}: {write_difference(mean.difference)} points")


def _hospitals(families: Sequence[str], count: int, patients: int, *, first: int) -> list[Task]:
    def hospital(family: str, number: int) -> Task:
        return simulate(family, seed=first + number, patients=patients, size=SPEC.size, difficulty=DIFFICULTY)

    wanted = [(family, number) for family in families for number in range(count)]
    return Parallel(n_jobs=-1, prefer="threads")(delayed(hospital)(*each) for each in wanted)


def _adapt_and_predict(folder: Path, out: Path, task: Task, seed: int) -> None:
    """Write a model folder, some new images as files, and the model's predictions for them."""
    episode = draw_episode(task, shots=SHOTS, queries=5, rng=np.random.default_rng(seed))
    pixels = task.images.pixels(SPEC)[:, 0]
    names = [task.classes[episode.classes[label]] for label in episode.support_labels]
    classifier = FewShotClassifier(folder / "run").fit(pixels[episode.support], names)
    classifier.save(folder / "model")
    (folder / "images").mkdir()
    for number, (sample, label) in enumerate(zip(episode.query, episode.query_labels, strict=True)):
        name = f"{number:02d} {task.classes[episode.classes[label]]}.png"
        Image.fromarray(pixels[sample]).save(folder / "images" / name)
    rows = predict_rows(folder / "model", [folder / "images"])
    # the folder has its name only when everything in it is written
    named = [row | {"image": printable_path(out / Path(str(row["image"])).relative_to(folder))} for row in rows]
    write_rows(folder / "predictions.csv", named)


def _write_hospital(folder: Path, *, seed: int) -> None:
    """Write a hospital for the user to continue with: labelled images with a manifest, and images of new patients."""
    patients = LABELLED_PATIENTS + NEW_PATIENTS
    task = simulate(HOSPITAL_FAMILY, seed=seed, patients=patients, size=HOSPITAL_SIZE, difficulty=DIFFICULTY)
    pixels = task.images.pixels(ImageInput(channels=1, size=HOSPITAL_SIZE))[:, 0]
    for name in ("images", "new"):
        (folder / name).mkdir(parents=True)
    rows: list[Row] = []
    counts = Counter[str]()
    # the names of the labelled files must not give the class away
    for sample in np.random.default_rng(seed).permutation(len(task)):
        kind = task.classes[task.labels[sample]]
        counts[kind] += 1
        if counts[kind] <= LABELLED_PATIENTS:
            patient = f"P{len(rows) + 1:03d}"
            file = f"images/{patient}.png"
            rows.append({"image": file, "label": kind, "patient": patient})
        else:
            file = f"new/{kind}-{counts[kind] - LABELLED_PATIENTS}.png"
        Image.fromarray(pixels[sample]).save(folder / file)
    write_rows(folder / "task.csv", rows)


def _score(
    folder: Path,
    learners: dict[str, Learner],
    tasks: Sequence[Task],
    seed: int,
    episodes: int,
    device: torch.device,
) -> Scores:
    """Evaluate the learners and write the report; only the first task gets pictures, to keep the page small."""
    protocol = Protocol(shots=(SHOTS,), episodes=episodes, queries=10, seed=seed)
    command = f"medshot quickstart --seed {seed}"
    results, cells = evaluate(learners, tasks, protocol, device=device, command=command)
    with new_folder(folder) as unfinished:
        write_evaluation(unfinished, results, cells, pictured={tasks[0].name})
    return Scores(results, compare(cells, "scratch", results.metadata))
