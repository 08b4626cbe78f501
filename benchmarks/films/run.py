"""Simulated chest films with a nodule that vanishes at 224 pixels: the overview, and overview with patches.

Leave-one-hospital-out: learners are meta-trained on the other hospitals. Features are kept in the cache. Writes its
part of docs/high-resolution.md and docs/images/patches.png.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from benchmarks.common.arguments import Places, make_parser, parse
from benchmarks.common.pages import replace_part
from benchmarks.common.results import load, save
from benchmarks.common.tables import Table, markdown, table
from benchmarks.films.large_films import SIZE, film, films_of
from medshot.encoders import EncodedBagInput, reader_of
from medshot.encoders.reading import BagReader
from medshot.evaluation import Protocol, Results, compare, evaluate
from medshot.imaging import ImageSource
from medshot.imaging.cuts import patch_regions
from medshot.learners import Learner, create
from medshot.storage import write_bytes
from medshot.tasks import Task
from medshot.training import BatchSettings, OuterSettings

PATCHES = EncodedBagInput("lite0", "patches")
SIDE = 600  # pixels per side of the film in the picture
YELLOW, BLUE = (255, 200, 0), (0, 200, 255)


@dataclass(frozen=True)
class OverviewShape(EncodedBagInput):
    """The overview alone: what an encoder of 224 pixels sees of a film."""

    @property
    def dimensions(self) -> tuple[int, ...]:
        return (sum(self.blocks),)


@reader_of.register(OverviewShape)
class OverviewReader(BagReader):
    """Reads the features of the overview."""

    def read(self, source: ImageSource, rows: np.ndarray) -> torch.Tensor:
        return super().read(source, rows)[:, 0, 1:]


@dataclass(frozen=True)
class EvenShape(EncodedBagInput):
    """Overview and patches with equal weights."""


@reader_of.register(EvenShape)
class EvenReader(BagReader):
    """Reads bags and sets all weights to 1."""

    def read(self, source: ImageSource, rows: np.ndarray) -> torch.Tensor:
        bags = super().read(source, rows)
        bags[..., 0] = 1
        return bags


def main() -> None:
    parser = make_parser("films", __doc__, data=False, work=False)
    parser.add_argument("--hospitals", type=int, default=3)
    parser.add_argument("--films", type=int, default=40)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--steps", type=int, default=300)
    arguments = parse(parser)
    if arguments.report:
        write_report(arguments.places)
        return
    if arguments.quick:
        arguments.episodes, arguments.steps = 2, 2
    tasks = [films_of(hospital, arguments.films) for hospital in range(arguments.hospitals)]
    protocol = Protocol(shots=(5, 10), episodes=arguments.episodes, queries=10, baseline="overview")
    cells = []
    for held_out in tasks:
        learners: dict[str, Learner] = {
            "overview": create("logistic", input_spec=OverviewShape("lite0", "patches")),
            "patches": create("logistic", input_spec=PATCHES),
            "patches, all alike": create("logistic", input_spec=EvenShape("lite0", "patches")),
            "patches, ridge": create("ridge", input_spec=PATCHES),
            "patches, ridge, meta-trained": trained([task for task in tasks if task is not held_out], arguments.steps),
        }
        results, of_task = evaluate(learners, [held_out], protocol)
        cells += of_task
    about = f"{arguments.hospitals} simulated hospitals, {arguments.films} films of {SIZE} pixels"
    means = means_over_hospitals(compare(cells, protocol.baseline, results.metadata))
    save(arguments.places, "films", {"about": f"{about}, {arguments.episodes} episodes", "means": means})
    write_report(arguments.places)


def write_report(places: Places) -> None:
    """Write the table and the picture of docs/high-resolution.md."""
    found = load(places, "films")
    text = f"{found['about']} a cell; written by `python -m benchmarks.films`.\n\n{markdown(found['means'])}"
    replace_part(places.docs / "high-resolution.md", "films", text)
    (places.docs / "images").mkdir(exist_ok=True)
    write_bytes(places.docs / "images" / "patches.png", picture())


def trained(tasks: Sequence[Task], steps: int) -> Learner:
    batch = BatchSettings(tasks=4, ways=2, shots=(2, 4), queries=4)
    return create("ridge", input_spec=PATCHES).meta_fit(tasks, settings=OuterSettings(steps=steps, batch=batch))


def means_over_hospitals(results: Results) -> Table:
    """Return means over the hospitals, with intervals for new patients of new hospitals."""
    rows = []
    for mean in results.means:
        change = percentage(mean.difference, "+.1f") if mean.difference else "baseline"
        rows.append([mean.learner, str(mean.shots), percentage(mean.balanced_accuracy, ".1f"), change])
    return table(["input from a film", "per class", "balanced accuracy, %", "difference to the overview, points"], rows)


def percentage(metric, digits: str) -> str:
    """Return a share in hundredths with its interval for new patients."""
    low, high = metric.new_patients
    return f"{100 * metric.value:{digits}} ({100 * low:{digits}} to {100 * high:{digits}})"


def picture() -> bytes:
    """Return an image of a film, its nodule circled and its patches outlined, beside the first patch."""
    drawn = film(0, 1, ill=True)
    left = cv2.cvtColor(cv2.resize(drawn.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2RGB)
    found, scale = patch_regions(drawn.pixels), SIDE / len(drawn.pixels)
    for rank, (rows, columns) in enumerate(found, 1):
        first, last = (
            [int(at * scale) for at in ends] for ends in ((columns.start, rows.start), (columns.stop, rows.stop))
        )
        cv2.rectangle(left, first, last, YELLOW, 2)
        cv2.putText(left, str(rank), (first[0] + 5, first[1] + 20), cv2.FONT_HERSHEY_SIMPLEX, 0.7, YELLOW, 2)
    cv2.circle(left, (drawn.place * SIDE).astype(int).tolist(), 12, BLUE, 2)
    overview = cv2.resize(drawn.pixels, (224, 224), interpolation=cv2.INTER_AREA)
    small = tuple(slice(part.start * 224 // SIZE, part.stop * 224 // SIZE) for part in found[0])
    half = (SIDE // 2, SIDE // 2)
    beside = [
        cv2.resize(overview[small], half, interpolation=cv2.INTER_NEAREST),
        cv2.resize(drawn.pixels[found[0]], half, interpolation=cv2.INTER_AREA),
    ]
    whole = np.concatenate([left, cv2.cvtColor(np.concatenate(beside), cv2.COLOR_GRAY2RGB)], axis=1)
    return cv2.imencode(".png", cv2.cvtColor(whole, cv2.COLOR_RGB2BGR))[1].tobytes()


if __name__ == "__main__":
    main()
