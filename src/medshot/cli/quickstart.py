"""What `medshot quickstart` does: the whole way on simulated tasks, so that it runs anywhere and anyone can watch."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from PIL import Image
from rich.console import Console

from medshot.cli.options import note, write_out
from medshot.cli.predicting import predict_files, write_rows
from medshot.evaluation import Protocol, Results, compare, evaluate
from medshot.imaging import ImageInput
from medshot.learners import FewShotClassifier, Learner, create
from medshot.learners.run import meta_train
from medshot.reporting import results_table, write_evaluation
from medshot.reporting.wording import write_difference
from medshot.simulated import simulate
from medshot.storage import new_folder
from medshot.tasks import Task, draw_episode
from medshot.training import BatchSettings, OuterSettings, resolve_device

SHAPE = ImageInput(channels=1, size=32)
WIDTH = 24
TRAINED = ("brain", "spine_mri")
UNSEEN = "spine_xray"
DIFFICULTY = 0.0
"""Findings as plain as the simulator makes them, in families where they survive thumbnails of 32 pixels: of a lung
nodule or the details of an ECG page nothing is left there, and every learner is at chance."""
SHOTS = 5
TRAINING_TASKS, TRAINING_PATIENTS = 12, 10
TEST_TASKS, TEST_PATIENTS, EPISODES = 8, 14, 7
UNSEEN_TASKS, UNSEEN_EPISODES = 5, 7
SETTINGS = OuterSettings(
    steps=160,
    learning_rate=0.01,
    validate_every=80,
    batch=BatchSettings(tasks=4, ways=4, shots=(SHOTS,), queries=5),
)


def run_quickstart(out: Path, *, seed: int, device: str, as_json: bool) -> None:
    """Meta-train on four families of simulated tasks, adapt and predict, then score on tasks never seen.

    Test tasks are new hospitals: new scanners, patients and ranges of findings. Most are of the four families; one
    family is kept out of training altogether and reported apart.
    """
    began = time.perf_counter()
    place = resolve_device(device)
    with new_folder(out) as folder:
        note(f"1/4 meta-training METAL on {TRAINING_TASKS} simulated hospitals each of {', '.join(TRAINED)}")
        training = _hospitals(TRAINED, TRAINING_TASKS, TRAINING_PATIENTS, first=1000 * seed)
        metal = create("metal", shape=SHAPE, width=WIDTH, seed=seed)
        meta_train(metal, training, settings=SETTINGS, folder=folder / "run", device=device)
        metal = metal.to(place)
        note(f"2/4 adapting to a hospital that it never saw, from {SHOTS} labelled patients per class")
        tests = _hospitals(TRAINED, TEST_TASKS, TEST_PATIENTS, first=1000 * seed + 500)
        _adapt_and_predict(folder, tests[0], seed)
        note(f"3/4 scoring {len(tests) * EPISODES} episodes from new hospitals of the families it was trained on")
        learners = {
            "metal": metal,
            "scratch": create("scratch", shape=SHAPE, width=WIDTH).to(place),
            "logistic": create("logistic", shape=SHAPE),
        }
        trained, to_scratch = _score(folder / "trained_families", learners, tests, seed, EPISODES)
        note(
            f"4/4 scoring {UNSEEN_TASKS * UNSEEN_EPISODES} episodes of {UNSEEN}, a family that it was never trained on"
        )
        strangers = _hospitals((UNSEEN,), UNSEEN_TASKS, TEST_PATIENTS, first=1000 * seed + 500)
        unseen, unseen_to_scratch = _score(folder / "unseen_family", learners, strangers, seed, UNSEEN_EPISODES)
    if as_json:
        write_out({"trained_families": trained.to_json(), "unseen_family": unseen.to_json()})
    else:
        _print(f"New hospitals of {', '.join(TRAINED)}", trained, to_scratch)
        _print(f"New hospitals of {UNSEEN}, never trained on", unseen, unseen_to_scratch)
    note(f"Done in {time.perf_counter() - began:.0f} s. Open {out / 'trained_families' / 'report.html'} in a browser.")
    note(f"Try: medshot info {out / 'run'}; medshot predict {out / 'model'} {out / 'images'}")


def _hospitals(families: Sequence[str], count: int, patients: int, *, first: int) -> list[Task]:
    def hospital(family: str, number: int) -> Task:
        return simulate(family, seed=first + number, patients=patients, size=SHAPE.size, difficulty=DIFFICULTY)

    wanted = [(family, number) for family in families for number in range(count)]
    return Parallel(n_jobs=-1, prefer="threads")(delayed(hospital)(*each) for each in wanted)


def _adapt_and_predict(folder: Path, task: Task, seed: int) -> None:
    """A model folder, some new images as files, and what the model says of them."""
    episode = draw_episode(task, shots=SHOTS, queries=5, rng=np.random.default_rng(seed))
    pixels = task.images.pixels(SHAPE)[:, 0]
    names = [task.classes[episode.classes[label]] for label in episode.support_labels]
    classifier = FewShotClassifier(folder / "run").fit(pixels[episode.support], names)
    classifier.save(folder / "model")
    (folder / "images").mkdir()
    for number, (sample, label) in enumerate(zip(episode.query, episode.query_labels, strict=True)):
        name = f"{number:02d} {task.classes[episode.classes[label]]}.png"
        Image.fromarray(pixels[sample]).save(folder / "images" / name)
    write_rows(folder / "predictions.csv", predict_files(folder / "model", [folder / "images"], None))


def _score(
    folder: Path, learners: dict[str, Learner], tasks: Sequence[Task], seed: int, episodes: int
) -> tuple[Results, Results]:
    """The results with differences to logistic regression, and those with differences to training from scratch."""
    protocol = Protocol(shots=(SHOTS,), episodes=episodes, queries=10, seed=seed)
    results, cells = evaluate(learners, tasks, protocol, command=f"medshot quickstart --seed {seed}")
    pictured = {tasks[0].name}
    with new_folder(folder) as filling:
        write_evaluation(filling, results, cells, pictured=pictured)
    return results, compare(cells, "scratch", results.metadata)


def _print(title: str, results: Results, to_scratch: Results) -> None:
    """The means over hospitals, and METAL against either baseline in a sentence."""
    console = Console()
    table = results_table(results.model_copy(update={"rows": []}))
    table.title = title
    console.print(table)
    for against in (results, to_scratch):
        for mean in against.means:
            if mean.learner == "metal" and mean.difference:
                console.print(f"METAL minus {against.baseline}: {write_difference(mean.difference)} points")
