"""The scores of each class as rows of tables and as sentences, for the terminal, documents and the page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medshot.evaluation.intervals import Estimate
from medshot.evaluation.rates import Rates
from medshot.evaluation.results import Results, Score
from medshot.reporting.wording import Column, decimal, name_shots, percent, write_interval

SENSITIVITY = Column("Sensitivity, %", "sensitivity", percent)
SPECIFICITY = Column("Specificity, %", "specificity", percent)
PREDICTIVE = (
    Column("PPV, %", "positive_predictive_value", percent),
    Column("NPV, %", "negative_predictive_value", percent),
)
AREA = Column("AUROC", "auroc", decimal)
NAMES = 4
MAX_TASKS, MAX_LEARNERS, MAX_CLASSES = 3, 2, 3  # with more, pictures and tables are easier to read than sentences

CLASS_GLOSSARY = (
    (
        "Sensitivity",
        "of the images of a class, the share that is found to be of it, in %. Images of all episodes are "
        "counted together.",
    ),
    ("Specificity", "of the images of all other classes, the share that is not found to be of it, in %."),
    (
        "PPV and NPV",
        "predictive values: of the images that are found to be of a class, the share that is of it (positive), and of "
        "the others, the share that is not (negative). They depend on how common the class is, and are given at a "
        "stated prevalence by Bayes’ rule.",
    ),
    (
        "ROC curve",
        "sensitivity against false alarms at every threshold of the probability, as a mean over episodes; the area "
        "under it is the AUROC of the class.",
    ),
    (
        "Operating point",
        "a threshold of the probability of a class, chosen for a wanted sensitivity: patients of the support are left "
        "out in turn, and the threshold is the highest at which enough of them are found. Queries have no part in it. "
        "Of few patients, the one with the lowest probability sets the threshold, so new patients are often found less "
        "often than wanted.",
    ),
)


@dataclass(frozen=True)
class ClassRow:
    """One class of one learner on one task; `threshold` is None unless it is an operating point."""

    score: Score
    name: str
    prevalence: float | None
    threshold: float | None
    patients: int
    estimates: dict[str, Estimate | None]


def class_rows(scores: Sequence[Score]) -> list[ClassRow]:
    """Return one row per score and class, with the class of highest probability as the class that is found."""
    return [
        ClassRow(
            score, each.name, each.prevalence, None, each.patients, {**_estimates(each.rates), "auroc": each.auroc}
        )
        for score in scores
        for each in score.classes or []
    ]


def operating_rows(scores: Sequence[Score]) -> list[ClassRow]:
    """Return one row per score and class, at the threshold that was chosen on the support."""
    return [
        ClassRow(score, each.name, each.prevalence, point.threshold, each.patients, _estimates(point.rates))
        for score in scores
        for each, point in zip(score.classes or [], score.operating_points or [], strict=False)
    ]


def class_columns(rows: Sequence[ClassRow]) -> list[Column]:
    """Return the columns that the rows have numbers for."""
    predictive = PREDICTIVE if any(row.prevalence is not None for row in rows) else ()
    areas = [AREA] if any("auroc" in row.estimates for row in rows) else []
    return [SENSITIVITY, SPECIFICITY, *predictive, *areas]


def name_class(row: ClassRow) -> str:
    """Return the class and, if it is stated, its prevalence, for example `nodule (2 %)`."""
    return row.name if row.prevalence is None else f"{row.name} ({100 * row.prevalence:.3g} %)"


def class_cells(
    rows: Sequence[ClassRow], write: Callable[[Estimate | None, Column], str]
) -> tuple[list[str], list[list[str]]]:
    """Return the header and the cells of a table; its first `NAMES` columns hold names.

    Args:
        rows: the rows, at least one.
        write: formats a number with its intervals.
    """
    columns = class_columns(rows)
    thresholds = ["Threshold"] if any(row.threshold is not None for row in rows) else []
    header = ["Task", "Shots", "Learner", "Class", "Patients", *thresholds, *(column.title for column in columns)]
    cells = []
    for row in rows:
        names = [row.score.task, str(row.score.shots), row.score.learner, name_class(row), str(row.patients)]
        limits = ["–" if row.threshold is None else decimal(row.threshold)] if thresholds else []
        numbers = [write(row.estimates.get(column.field), column) for column in columns]
        cells.append([*names, *limits, *numbers])
    return header, cells


def class_findings(results: Results) -> list[str]:
    """Return what each learner finds at the largest number of shots; nothing for many tasks, learners or classes."""
    tasks = list(dict.fromkeys(row.task for row in results.rows))
    if len(tasks) > MAX_TASKS or len({row.learner for row in results.rows}) > MAX_LEARNERS:
        return []
    sentences = []
    for task in tasks:
        of_task = [row for row in results.rows if row.task == task and len(row.classes or []) <= MAX_CLASSES]
        largest = [row for row in of_task if row.shots == max(each.shots for each in of_task)]
        place = f" on {task}" if len(tasks) > 1 else ""
        for row in largest:
            shots = name_shots(row.shots)
            if rows := class_rows([row]):
                found = " and ".join(f"{_write(each, 'sensitivity')} of {each.name}" for each in rows)
                sentences.append(f"With {shots}{place}, {row.learner} finds {found}.")
            sentences += [_operating_sentence(each, shots + place) for each in operating_rows([row])]
    return sentences


def _operating_sentence(row: ClassRow, shots: str) -> str:
    (wanted,) = {point.wanted for point in row.score.operating_points or [] if point.name == row.name}
    estimate = row.estimates["sensitivity"]
    sentence = (
        f"At a threshold chosen on the support to find {100 * wanted:g} % of {row.name}, with {shots}, "
        f"{row.score.learner} finds {_write(row, 'sensitivity')} of {row.name} and leaves {_write(row, 'specificity')} "
        "of the others alone"
    )
    if estimate is not None and round(100 * estimate.new_patients[1], 1) < 100 * wanted:
        return f"{sentence}: less than wanted."
    return f"{sentence}."


def _write(row: ClassRow, field: str) -> str:
    estimate = row.estimates[field]
    if estimate is None:
        return "an unknown share"
    return f"{percent(estimate.value)} % ({write_interval(estimate.new_patients, percent)})"


def _estimates(rates: Rates) -> dict[str, Estimate | None]:
    return dict(vars(rates))
