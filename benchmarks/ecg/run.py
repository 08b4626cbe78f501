"""Compare every way of preparing ECG pages that was tried with the unprepared page.

Pages are real (`ecg_12lead_images`) or of simulated hospitals, where findings are visible in the traces. Every variant
is scored on the same patient-disjoint episodes by learners without meta-training. Features and predictions are kept in
the --out folder.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

import benchmarks.ecg.variants as ways
import medshot
from benchmarks.common.arguments import make_parser, parse
from benchmarks.common.results import metadata, save
from benchmarks.common.tables import Table, table
from benchmarks.ecg.report import write_report
from medshot.encoders import EncodedInput, reader_of
from medshot.evaluation import Cell, EpisodePredictions, Protocol, Results, compare, draw_episodes, run_episodes
from medshot.evaluation.results import MeanScore, Score
from medshot.imaging import ArrayImages, FeatureInput, Vectors, read_image
from medshot.imaging.ecg import PAGE_PICTURES
from medshot.imaging.ecg.leads import PAGE_LEADS, draw_beats, find_layout, follow_traces, median_beats
from medshot.imaging.ecg.page import read_ink, without_bars
from medshot.tasks import Task

BASELINE = "page as it is"
LEARNERS = ("logistic", "protonet", "ridge")
HOSPITALS = (101,)
REAL = Protocol(shots=(1, 5, 10), episodes=100, queries=20, baseline=BASELINE)
SIMULATED = replace(REAL, episodes=60)
COMMAND = "python -m benchmarks.ecg"


class Page:
    """A page, its ink and its traces."""

    def __init__(self, picture: np.ndarray) -> None:
        self.picture = picture
        ink = read_ink(picture)
        self.layout = find_layout(ink)
        self.ink = without_bars(ink)
        self.white = np.rint(255 * self.ink).astype(np.uint8)

    @cached_property
    def rows(self) -> np.ndarray:
        return follow_traces(self.ink, self.layout)

    @cached_property
    def beats(self) -> np.ndarray:
        return median_beats(self.rows)


PICTURES: dict[str, Callable[[Page], np.ndarray]] = {
    BASELINE: lambda page: page.picture,
    "page stretched to a square": lambda page: cv2.resize(page.picture, (448, 448), interpolation=cv2.INTER_AREA),
    "grid suppressed, white on black": lambda page: page.white,
    "grid suppressed, black on white": lambda page: 255 - page.white,
    "grid suppressed, bold": lambda page: ways.bold(page.white),
    "leads tiled": lambda page: ways.tiled(ways.leads(page.picture, page.layout)),
    "leads tiled, grid suppressed": lambda page: ways.tiled(ways.leads(page.white, page.layout)),
    "leads tiled, grid suppressed, bold": lambda page: ways.tiled(ways.leads(ways.bold(page.white), page.layout)),
    "traces drawn again, tiled": lambda page: ways.redrawn(page.rows),
    "median beats drawn, tiled": lambda page: draw_beats(page.beats),
}
JOINED = {
    "page and beats as numbers": (BASELINE, "beats as numbers"),
    "page and median beats drawn": (BASELINE, "median beats drawn, tiled"),
    "beats and rhythm as numbers": ("beats as numbers", "rhythm as numbers"),
    "leads apart, side by side, and beats drawn": (
        "leads apart, grid suppressed, side by side",
        "median beats drawn, tiled",
    ),
}


def features(task: Task, folder: Path) -> dict[str, np.ndarray]:
    """Return for each variant a vector of norm about 4 for every image of a task, kept in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    source = pictures(task)
    pages: list[Page] = []

    def of_pages(look: Callable[[Page], np.ndarray]) -> list[np.ndarray]:
        pages.extend(Page(picture) for picture in source[len(pages) :])
        return [look(page) for page in pages]

    def apart() -> np.ndarray:
        tiles = of_pages(lambda page: ways.leads(page.picture, page.layout))
        return np.stack([encoded([leads[k] for leads in tiles]) for k in range(len(PAGE_LEADS))], axis=1)

    def roots() -> np.ndarray:
        beats = np.stack(of_pages(lambda page: page.beats.ravel()))
        return 4 * unit(np.sign(beats) * np.sqrt(np.abs(beats)))

    found = {}
    for name, prepare in PICTURES.items():
        found[name] = kept(folder / f"{name}.npy", lambda prepare=prepare: encoded(of_pages(prepare)))
    for name, make in (("leads apart", apart), ("leads apart, grid suppressed", lambda: as_built(task))):
        leads = kept(folder / f"{name}.npy", make)
        found[f"{name}, mean"] = 4 * unit(leads.mean(axis=1))
        found[f"{name}, side by side"] = leads.reshape(len(leads), -1) / len(PAGE_LEADS) ** 0.5
    found["beats as numbers"] = kept(folder / "beats as numbers.npy", roots)
    rhythm = kept(folder / "rhythm.npy", lambda: np.stack(of_pages(lambda page: ways.rhythm(page.rows))))
    found["rhythm as numbers"] = 4 * rhythm
    for name, parts in JOINED.items():
        found[name] = np.concatenate([found[part] for part in parts], axis=1) / len(parts) ** 0.5
    return found


def as_built(task: Task) -> np.ndarray:
    """Return the features of `--cut leads` for each lead, without the beats, each of norm 4."""
    read = reader_of(EncodedInput(cut="leads")).read(task.images, task.rows).numpy()
    leads = read.reshape(len(read), len(PAGE_PICTURES), -1)[:, : len(PAGE_LEADS)]
    return 4 * leads / np.linalg.norm(leads, axis=2, keepdims=True)


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1), 1e-9)[:, None]


def kept(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    if not path.exists():
        np.save(path, make().astype(np.float32))
        print(path, flush=True)
    return np.load(path, allow_pickle=False)


def encoded(images: Sequence[np.ndarray]) -> np.ndarray:
    """Return encoder features of images of any sizes, normalised."""
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    same = [ways.resized(image, width, height) if image.shape[:2] != (height, width) else image for image in images]
    return reader_of(EncodedInput("lite0")).read(ArrayImages(np.stack(same)), np.arange(len(same))).numpy()


def pictures(task: Task) -> list[np.ndarray]:
    if isinstance(task.images, ArrayImages):
        return list(task.images.array)
    return [read_image(task.images.paths[row]) for row in task.rows]


def evaluated(tasks: Sequence[Task], learner: str, protocol: Protocol, work: Path) -> Results:
    """Return the results of all variants with one learner on all tasks."""
    cells = []
    for task in tasks:
        found = features(task, work / task.name)
        for shots in protocol.shots:
            cell = Cell(task, shots, draw_episodes(task, shots, protocol))
            for name, array in found.items():
                place = work / task.name / f"{learner}, {shots} per class, {name}.npy"
                cell.predictions[name] = predictions(cell, learner, array, place)
            cells.append(cell)
    return compare(cells, BASELINE, metadata(COMMAND))


def predictions(cell: Cell, learner: str, array: np.ndarray, place: Path) -> list[EpisodePredictions]:
    """Return the learner's predictions of each episode's queries from the rows of `array` instead of images."""

    def run() -> np.ndarray:
        other = replace(cell.task, images=Vectors(array), rows=np.arange(len(cell.task)))
        model = medshot.create(learner, input_spec=FeatureInput((array.shape[1],)))
        found, _ = run_episodes(model, [replace(episode, task=other) for episode in cell.episodes])
        return np.stack([one.probabilities for one in found])

    return [
        EpisodePredictions(
            probabilities=probabilities,
            labels=np.array(episode.classes)[episode.query_labels],
            patients=cell.task.patient_codes[episode.query],
            images=episode.query,
        )
        for probabilities, episode in zip(kept(place, run).astype(np.float64), cell.episodes, strict=True)
    ]


def variants_table(results: Results) -> Table:
    """Return a line per variant: balanced accuracy and the difference to the page as it is, by number of shots."""
    rows = {(row.learner, row.shots): row for row in results.means or results.rows}
    shots = sorted({shots for _, shots in rows})
    names = dict.fromkeys(name for name, _ in rows)
    cells = [[name, *(variant_cell(rows[name, number]) for number in shots)] for name in names]
    return table(["variant", *(f"{number} per class" for number in shots)], cells, 1 + len(shots))


def variant_cell(row: Score | MeanScore) -> str:
    """Return balanced accuracy and difference; bold if the interval of the difference is above zero."""
    accuracy = f"{100 * row.balanced_accuracy.value:.1f}"
    if row.difference is None:
        return accuracy
    low, high = row.difference.new_patients
    text = f"{accuracy}, {100 * row.difference.value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    return f"**{text}**" if low > 0 else text


def main() -> None:
    arguments = parse(make_parser("ecg", __doc__))
    if arguments.report:
        write_report(arguments.places)
        return
    quick = arguments.quick
    patients = 8 if quick else 30
    hospitals = [medshot.simulate("ecg", seed=seed, patients=patients, size=560) for seed in HOSPITALS]
    real = [] if quick else medshot.load_tasks(arguments.data / "ecg_12lead_images")
    simulated = replace(SIMULATED, shots=(1,), episodes=2, queries=2) if quick else SIMULATED
    found = {"command": COMMAND, "tables": {}}
    for name, tasks, protocol in (("real", real, REAL), ("simulated", hospitals, simulated)):
        for learner in LEARNERS if tasks else ():
            results = evaluated(tasks, learner, protocol, arguments.out)
            found["tables"][f"{name}, {learner}"] = variants_table(results)
    save(arguments.places, "ecg", found)
    write_report(arguments.places)


if __name__ == "__main__":
    main()
