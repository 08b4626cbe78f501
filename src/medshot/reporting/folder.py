"""The folder of an evaluation: results.json, results.md, results.csv, results.tex, report.html and figures."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from medshot.evaluation import Cell, Results
from medshot.evaluation.metrics import reliability_curve
from medshot.evaluation.results import draw_resamples
from medshot.evaluation.roc import RocCurve, mean_roc
from medshot.imaging import MISSING, ImageInput, ImageSource, SeveralImages, VolumeInput
from medshot.reporting.examples import ExampleEpisode
from medshot.reporting.figures import write_figures
from medshot.reporting.html import write_report
from medshot.reporting.markdown import results_markdown
from medshot.reporting.tables import write_table
from medshot.storage import write_bytes, write_json

PICTURE = ImageInput(channels=3, size=128)
VOLUME = VolumeInput(channels=1, size=128)
MAX_CURVES = 9  # classes with ROC curves


def write_evaluation(
    folder: Path, results: Results, cells: Sequence[Cell], pictured: Collection[str] | None = None
) -> None:
    """Write results, tables, report and figures into an existing folder.

    The figures are the learning curve and the ROC curves of each pictured task, as SVG and PNG.

    Args:
        folder: the folder to write to.
        results: the results.
        cells: the cells that the results were computed from.
        pictured: names of the tasks with plots and example images on the page. Default: all.
    """
    write_json(folder / "results.json", results.to_json())
    write_bytes(folder / "results.md", results_markdown(results).encode())
    write_bytes(folder / "results.csv", write_table(results, "csv").encode())
    write_bytes(folder / "results.tex", write_table(results, "latex").encode())
    if pictured is not None:
        cells = [cell for cell in cells if cell.task.name in pictured]
    reliability = {
        (cell.task.name, cell.shots): {
            name: reliability_curve(
                np.concatenate([episode.probabilities for episode in predictions]),
                np.concatenate([episode.labels for episode in predictions]),
            )
            for name, predictions in cell.predictions.items()
        }
        for cell in cells
    }
    rocs = {(cell.task.name, cell.shots): _rocs(cell, results.metadata.seed) for cell in cells}
    examples = [_example(cell) for cell in _one_per_task(cells)]
    write_report(folder / "report.html", results, examples, reliability, rocs)
    write_figures(folder / "figures", results, rocs)


def _rocs(cell: Cell, seed: int) -> dict[str, dict[str, RocCurve]]:
    """Return, for each class, the ROC curve of each learner."""
    resamples = draw_resamples(next(iter(cell.predictions.values())), cell.task.name, seed)
    curves: dict[str, dict[str, RocCurve]] = {}
    for index, name in enumerate(cell.task.classes[:MAX_CURVES]):
        for learner, predictions in cell.predictions.items():
            if (curve := mean_roc(predictions, index, resamples)) is not None:
                curves.setdefault(name, {})[learner] = curve
    return curves


def _one_per_task(cells: Sequence[Cell]) -> list[Cell]:
    """Return one cell per task, the one with the middle number of shots."""
    by_task: dict[str, list[Cell]] = {}
    for cell in cells:
        by_task.setdefault(cell.task.name, []).append(cell)
    return [sorted(of_task, key=lambda cell: cell.shots)[len(of_task) // 2] for of_task in by_task.values()]


def _example(cell: Cell) -> ExampleEpisode:
    """Return the first episode of a cell, with its images."""
    episode = cell.episodes[0]
    order = np.argsort(episode.classes)
    rank = np.argsort(order)
    return ExampleEpisode(
        task=cell.task.name,
        classes=tuple(cell.task.classes[episode.classes[index]] for index in order),
        support_images=_pictures(cell, episode.support),
        support_labels=rank[episode.support_labels],
        query_images=_pictures(cell, episode.query),
        query_labels=rank[episode.query_labels],
        probabilities={name: predictions[0].probabilities for name, predictions in cell.predictions.items()},
    )


def _pictures(cell: Cell, samples: np.ndarray) -> np.ndarray:
    """Return one picture per sample."""
    return np.stack([_picture(cell.task.images, row) for row in cell.task.rows[samples].tolist()])


def _picture(images: ImageSource, row: int) -> np.ndarray:
    """Return the picture itself, the middle slice of a volume, or the first of several images."""
    if isinstance(images, SeveralImages):
        first = int(np.argmax(images.rows[row] != MISSING))
        return _picture(images.sources[images.names[first]], int(images.rows[row, first]))
    (image,) = images.stream(VOLUME if images.axes == 3 else PICTURE, np.array([row]))
    pixels = image[0, VOLUME.size // 2] if images.axes == 3 else image.transpose(1, 2, 0)
    return (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
