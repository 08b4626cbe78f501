"""Does preparing ECG pages help? Every way that was tried against the page as it is; writes the tables of docs/ecg.md.

    python benchmarks/ecg_preprocessing.py [DATA] [--work runs/ecg]

Pages are real (`ecg_12lead_images`) and of simulated hospitals, whose findings are known to be in the traces. Every
variant is scored on the same patient-disjoint episodes by learners for which nothing was meta-trained. Features and
predictions are kept in the work folder, so the script goes on where it was stopped.
"""

import argparse
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import cv2
import ecg_variants as ways
import numpy as np
from document import replace_part

import medshot
from medshot.encoders import EncodedInput, reader_of
from medshot.evaluation import Cell, EpisodePredictions, Protocol, Results, compare, draw_episodes, run_episodes
from medshot.evaluation.results import Metadata
from medshot.imaging import ArrayImages, FeatureInput, Vectors, read_image
from medshot.imaging.ecg import PAGE_PICTURES
from medshot.imaging.ecg.leads import PAGE_LEADS, draw_beats, find_layout, follow_traces, median_beats
from medshot.imaging.ecg.page import read_ink, without_bars
from medshot.tasks import Task

ROOT = Path(__file__).resolve().parents[1]
BASELINE = "page as it is"
LEARNERS = ("logistic", "protonet", "ridge")
HOSPITALS = (101,)
REAL = Protocol(shots=(1, 5, 10), episodes=100, queries=20, baseline=BASELINE)
SIMULATED = replace(REAL, episodes=60)
COMMAND = "python benchmarks/ecg_preprocessing.py"


class Page:
    """One page and what is found on it."""

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
    """For each variant, a vector of about norm 4 of every image of a task; from the folder where they are there."""
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
    """The features of `--cut leads`, lead by lead and without the beats, each of norm 4."""
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
    """Encoder features of pictures of any sizes, normalised."""
    height, width = (max(image.shape[axis] for image in images) for axis in (0, 1))
    same = [ways.resized(image, width, height) if image.shape[:2] != (height, width) else image for image in images]
    return reader_of(EncodedInput("lite0")).read(ArrayImages(np.stack(same)), np.arange(len(same))).numpy()


def pictures(task: Task) -> list[np.ndarray]:
    if isinstance(task.images, ArrayImages):
        return list(task.images.array)
    return [read_image(task.images.paths[row]) for row in task.rows]


def evaluated(tasks: Sequence[Task], learner: str, protocol: Protocol, work: Path) -> Results:
    """All variants with one learner on all tasks."""
    cells = []
    for task in tasks:
        found = features(task, work / task.name)
        for shots in protocol.shots:
            cell = Cell(task, shots, draw_episodes(task, shots, protocol))
            for name, array in found.items():
                place = work / task.name / f"{learner}, {shots} per class, {name}.npy"
                cell.predictions[name] = predictions(cell, learner, array, place)
            cells.append(cell)
    metadata = Metadata(
        seed=protocol.seed,
        date=datetime.now(UTC).date().isoformat(),
        machine=platform.machine(),
        command=COMMAND,
        version=version("medshot"),
    )
    return compare(cells, BASELINE, metadata)


def predictions(cell: Cell, learner: str, array: np.ndarray, place: Path) -> list[EpisodePredictions]:
    """What the learner says of each episode's queries, seeing the rows of `array` for images."""

    def run() -> np.ndarray:
        other = replace(cell.task, images=Vectors(array), rows=np.arange(len(cell.task)))
        model = medshot.create(learner, shape=FeatureInput((array.shape[1],)))
        said, _ = run_episodes(model, [replace(episode, task=other) for episode in cell.episodes])
        return np.stack([one.probabilities for one in said])

    return [
        EpisodePredictions(
            probabilities=probabilities,
            labels=np.array(episode.classes)[episode.query_labels],
            patients=cell.task.patient_codes[episode.query],
            images=episode.query,
        )
        for probabilities, episode in zip(kept(place, run).astype(np.float64), cell.episodes, strict=True)
    ]


def table(results: Results) -> str:
    """One row per variant: balanced accuracy, and the difference to the page as it is, at each number of shots."""
    rows: Mapping[tuple[str, int], object] = {(row.learner, row.shots): row for row in results.means or results.rows}
    shots = sorted({shots for _, shots in rows})
    lines = [
        "| variant | " + " | ".join(f"{number} per class" for number in shots) + " |",
        "|---" * (1 + len(shots)) + "|",
    ]
    for name in dict.fromkeys(name for name, _ in rows):
        lines.append(f"| {name} | " + " | ".join(shown(rows[name, number]) for number in shots) + " |")
    return "\n".join(lines)


def shown(row: object) -> str:
    accuracy = f"{100 * row.balanced_accuracy.value:.1f}"
    if row.difference is None:
        return accuracy
    low, high = row.difference.new_patients
    text = f"{accuracy}, {100 * row.difference.value:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    return f"**{text}**" if low > 0 else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"), help="folder of the data sets")
    parser.add_argument("--work", type=Path, default=Path("runs/ecg"), help="where features and predictions are kept")
    options = parser.parse_args()
    hospitals = [medshot.simulate("ecg", seed=seed, patients=30, size=560) for seed in HOSPITALS]
    real = medshot.load_tasks(options.data / "ecg_12lead_images")
    for name, tasks, protocol in (("real", real, REAL), ("simulated", hospitals, SIMULATED)):
        for learner in LEARNERS:
            results = evaluated(tasks, learner, protocol, options.work)
            replace_part(ROOT / "docs" / "ecg.md", f"{name} {learner}", table(results))


if __name__ == "__main__":
    main()
