"""The report of an evaluation: one self-contained HTML file that any browser shows offline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from medshot.evaluation.metrics import ReliabilityCurve
from medshot.evaluation.results import MeanScore, Results, Score
from medshot.evaluation.roc import RocCurve
from medshot.reporting.class_rows import (
    CLASS_GLOSSARY,
    ClassRow,
    class_columns,
    class_findings,
    class_rows,
    name_class,
    operating_rows,
)
from medshot.reporting.examples import MAX_IMAGES, ExampleEpisode, Gallery, gallery
from medshot.reporting.methods import methods_paragraph
from medshot.reporting.plots import (
    Plot,
    forest_drawing,
    learner_colours,
    learning_curve_drawing,
    rates_drawing,
    reliability_drawing,
    roc_drawing,
)
from medshot.reporting.wording import (
    COLUMNS,
    DISCLAIMER,
    GLOSSARY,
    MARKS,
    caveats,
    decimal,
    findings,
    headline,
    name_shots,
    name_task,
    percent,
    points,
    write_interval,
    write_value,
)
from medshot.storage import write_bytes

# for each task and number of shots, the curve of each learner
Reliability = Mapping[tuple[str, int], Mapping[str, ReliabilityCurve]]
# for each task and number of shots, and for each class, the curve of each learner
Rocs = Mapping[tuple[str, int], Mapping[str, Mapping[str, RocCurve]]]


@dataclass(frozen=True)
class ReliabilityPanel:
    """The reliability on one task at one number of shots: for each learner, its calibration error and plot."""

    shots: int
    plots: list[tuple[str, float, Plot]]


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix of one learner: for each true class, the number and the share found to be of each class."""

    learner: str
    classes: list[str]
    rows: list[tuple[str, list[tuple[int, float]]]]


@dataclass(frozen=True)
class ClassPanel:
    """The scores by class at one number of shots, with ROC curves and confusion matrices."""

    scores: list[Score]
    rows: list[ClassRow]
    rates: Plot
    threshold_rates: Plot | None
    at_thresholds: list[ClassRow]
    rocs: list[Plot]
    confusions: list[Confusion]


@dataclass(frozen=True)
class TaskSection:
    """The section of one task; `by_class` begins with the largest number of shots."""

    name: str
    forest: Plot
    learning_curve: Plot | None
    by_class: list[ClassPanel]
    reliability: list[ReliabilityPanel]
    galleries: list[Gallery]


def write_report(
    path: Path,
    results: Results,
    examples: Sequence[ExampleEpisode],
    reliability: Reliability,
    rocs: Rocs | None = None,
) -> None:
    """Write the report to `path`.

    Args:
        path: the HTML file.
        results: the results.
        examples: episodes to show, each in the section of its task.
        reliability: for each task and number of shots, the curve of each learner.
        rocs: for each task and number of shots, and for each class, the ROC curve of each learner.

    Raises:
        StorageError: the file cannot be written.
    """
    write_bytes(path, report_html(results, examples, reliability, rocs).encode())


def report_html(
    results: Results, examples: Sequence[ExampleEpisode], reliability: Reliability, rocs: Rocs | None = None
) -> str:
    """Return the report as one self-contained HTML document, without scripts or external links."""
    learners = list(dict.fromkeys(row.learner for row in results.rows))
    colours = learner_colours(learners, results.baseline)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            results=results,
            headline=headline(results),
            findings=[*findings(results), *caveats(results)],
            found=class_findings(results),
            methods=methods_paragraph(results),
            class_columns=class_columns,
            name_class=name_class,
            disclaimer=DISCLAIMER,
            columns=COLUMNS,
            marks=MARKS,
            glossary=(*GLOSSARY, *CLASS_GLOSSARY),
            learners=learners,
            tasks=len({row.task for row in results.rows}),
            colours=colours,
            max_cards=MAX_IMAGES,
            points=points,
            means=forest_drawing(results.means, colours).plot() if results.means else None,
            mean_curve=_learning_curve(results.means, colours),
            sections=_sections(results, examples, reliability, rocs or {}, colours),
        )
    )


def _sections(
    results: Results,
    examples: Sequence[ExampleEpisode],
    reliability: Reliability,
    rocs: Rocs,
    colours: Mapping[str, str],
) -> list[TaskSection]:
    rows = {task: [row for row in results.rows if row.task == task] for task, _ in reliability}
    return [
        TaskSection(
            name=task,
            forest=forest_drawing(of_task, colours).plot(),
            learning_curve=_learning_curve(of_task, colours),
            by_class=_class_panels(of_task, rocs, colours),
            reliability=[
                ReliabilityPanel(
                    shots,
                    [
                        (name, curve.error, reliability_drawing(curve, colours[name]).plot())
                        for name, curve in curves.items()
                    ],
                )
                for (name_of_task, shots), curves in reliability.items()
                if name_of_task == task
            ],
            galleries=[gallery(example, results.baseline) for example in examples if example.task == task],
        )
        for task, of_task in rows.items()
    ]


def _learning_curve(rows: Sequence[Score] | Sequence[MeanScore], colours: Mapping[str, str]) -> Plot | None:
    """Return the plot, or None for one number of shots."""
    return learning_curve_drawing(rows, colours).plot() if len({row.shots for row in rows}) > 1 else None


def _class_panels(rows: Sequence[Score], rocs: Rocs, colours: Mapping[str, str]) -> list[ClassPanel]:
    panels = []
    for shots in sorted({row.shots for row in rows if row.classes}, reverse=True):
        scores = [row for row in rows if row.shots == shots]
        curves = rocs.get((scores[0].task, shots), {})
        by_class, at_thresholds = class_rows(scores), operating_rows(scores)
        panels.append(
            ClassPanel(
                scores=scores,
                rows=by_class,
                rates=rates_drawing(by_class, colours).plot(),
                threshold_rates=rates_drawing(at_thresholds, colours).plot() if at_thresholds else None,
                at_thresholds=at_thresholds,
                rocs=[
                    roc_drawing({title: panel}, colours).plot() for title, panel in roc_panels(scores, curves).items()
                ],
                confusions=[_confusion(score) for score in scores],
            )
        )
    return panels


def roc_panels(
    scores: Sequence[Score], curves: Mapping[str, Mapping[str, RocCurve]]
) -> dict[str, dict[str, tuple[RocCurve, str]]]:
    """Return, for each class, the curve of each learner with its area in words."""
    areas = {(row.score.learner, row.name): row.estimates["auroc"] for row in class_rows(scores)}
    return {
        f"{name}, {name_shots(scores[0].shots)}": {
            learner: (curve, write_value(areas[learner, name], decimal)) for learner, curve in of_class.items()
        }
        for name, of_class in curves.items()
    }


def _confusion(score: Score) -> Confusion:
    classes = [each.name for each in score.classes or []]
    rows = [
        (name, [(count, count / max(1, sum(counts))) for count in counts])
        for name, counts in zip(classes, score.confusion or [], strict=True)
    ]
    return Confusion(score.learner, classes, rows)


def environment() -> Environment:
    """Return the environment of the templates, which escape all values."""
    environment = Environment(
        loader=PackageLoader("medshot.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        points=points,
        decimal=decimal,
        interval=write_interval,
        name_task=name_task,
        name_shots=name_shots,
    )
    return environment
