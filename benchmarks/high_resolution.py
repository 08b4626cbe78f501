"""Simulated chest films whose nodule vanishes at 224 pixels: their overview beside overview and patches.

    python benchmarks/high_resolution.py [--hospitals 3] [--films 40] [--episodes 100] [--steps 300]

Leave-one-hospital-out: what is meta-trained learns on the other hospitals. Features are kept in the cache, so the
command goes on where it was stopped. Writes its part of docs/high-resolution.md and docs/images/patches.png.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from document import replace_part
from large_films import SIZE, film, films_of

from medshot.encoders import EncodedBagInput, reader_of
from medshot.encoders.reading import BagReader
from medshot.evaluation import Protocol, Results, compare, evaluate
from medshot.imaging import ImageSource
from medshot.imaging.cuts import patch_regions
from medshot.learners import Learner, create
from medshot.storage import write_bytes
from medshot.tasks import Task
from medshot.training import BatchSettings, OuterSettings

DOCS = Path(__file__).resolve().parents[1] / "docs"
PATCHES = EncodedBagInput("lite0", "patches")
SHOWN = 600  # pixels per side of the film in the picture
YELLOW, BLUE = (255, 200, 0), (0, 200, 255)


@dataclass(frozen=True)
class OverviewShape(EncodedBagInput):
    """The overview alone, which is what an encoder of 224 pixels sees of a film."""

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
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hospitals", type=int, default=3)
    parser.add_argument("--films", type=int, default=40)
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    tasks = [films_of(hospital, options.films) for hospital in range(options.hospitals)]
    protocol = Protocol(shots=(5, 10), episodes=options.episodes, queries=10, baseline="overview")
    cells = []
    for held_out in tasks:
        learners: dict[str, Learner] = {
            "overview": create("logistic", shape=OverviewShape("lite0", "patches")),
            "patches": create("logistic", shape=PATCHES),
            "patches, all alike": create("logistic", shape=EvenShape("lite0", "patches")),
            "patches, ridge": create("ridge", shape=PATCHES),
            "patches, ridge, meta-trained": trained([task for task in tasks if task is not held_out], options.steps),
        }
        results, of_task = evaluate(learners, [held_out], protocol)
        cells += of_task
    write_bytes(DOCS / "images" / "patches.png", picture())
    found = table(compare(cells, protocol.baseline, results.metadata), options)
    replace_part(DOCS / "high-resolution.md", "films", found)


def trained(tasks: Sequence[Task], steps: int) -> Learner:
    batch = BatchSettings(tasks=4, ways=2, shots=(2, 4), queries=4)
    return create("ridge", shape=PATCHES).meta_fit(tasks, settings=OuterSettings(steps=steps, batch=batch))


def table(results: Results, options: argparse.Namespace) -> str:
    """Means over the hospitals, with intervals for new patients of new hospitals."""
    rows = [
        f"| {mean.learner} | {mean.shots} | {shown(mean.balanced_accuracy, '.1f')} | "
        f"{shown(mean.difference, '+.1f') if mean.difference else 'baseline'} |"
        for mean in results.means
    ]
    made = (
        f"{options.hospitals} simulated hospitals, {options.films} films of {SIZE} pixels, {options.episodes} episodes"
    )
    return "\n".join(
        [
            f"{made} a cell; written by `python benchmarks/high_resolution.py`.",
            "",
            "| what is seen of a film | per class | balanced accuracy, % | difference to the overview, points |",
            "|---|--:|--:|--:|",
            *rows,
        ]
    )


def shown(metric, digits: str) -> str:
    """A share in hundredths, with its interval for new patients."""
    low, high = metric.new_patients
    return f"{100 * metric.value:{digits}} ({100 * low:{digits}} to {100 * high:{digits}})"


def picture() -> bytes:
    """A film, its nodule circled and its patches outlined; beside it the first patch, in the overview and itself."""
    drawn = film(0, 1, ill=True)
    left = cv2.cvtColor(cv2.resize(drawn.pixels, (SHOWN, SHOWN), interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2RGB)
    found, scale = patch_regions(drawn.pixels), SHOWN / len(drawn.pixels)
    for rank, (rows, columns) in enumerate(found, 1):
        first, last = (
            [int(at * scale) for at in ends] for ends in ((columns.start, rows.start), (columns.stop, rows.stop))
        )
        cv2.rectangle(left, first, last, YELLOW, 2)
        cv2.putText(left, str(rank), (first[0] + 5, first[1] + 20), cv2.FONT_HERSHEY_SIMPLEX, 0.7, YELLOW, 2)
    cv2.circle(left, (drawn.place * SHOWN).astype(int).tolist(), 12, BLUE, 2)
    overview = cv2.resize(drawn.pixels, (224, 224), interpolation=cv2.INTER_AREA)
    small = tuple(slice(part.start * 224 // SIZE, part.stop * 224 // SIZE) for part in found[0])
    half = (SHOWN // 2, SHOWN // 2)
    beside = [
        cv2.resize(overview[small], half, interpolation=cv2.INTER_NEAREST),
        cv2.resize(drawn.pixels[found[0]], half, interpolation=cv2.INTER_AREA),
    ]
    whole = np.concatenate([left, cv2.cvtColor(np.concatenate(beside), cv2.COLOR_GRAY2RGB)], axis=1)
    return cv2.imencode(".png", cv2.cvtColor(whole, cv2.COLOR_RGB2BGR))[1].tobytes()


if __name__ == "__main__":
    main()
