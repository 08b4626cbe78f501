"""The results of an evaluation as a table in the terminal."""

from rich.table import Table
from rich.text import Text

from medshot.evaluation.results import MeanScore, Results, Score
from medshot.reporting.class_rows import (
    SENSITIVITY,
    SPECIFICITY,
    ClassRow,
    class_columns,
    class_rows,
    name_class,
    operating_rows,
)
from medshot.reporting.wording import (
    COLUMNS,
    Column,
    decimal,
    name_shots,
    name_task,
    write_difference,
    write_estimate,
    write_value,
)

STYLES = {"better": "green", "worse": "red", "undecided": "dim"}


def results_table(results: Results) -> Table:
    """Return a table of all rows and the means over tasks, with intervals of accuracies and differences."""
    table = Table(
        title="Scores with 95 % intervals for new patients",
        caption=f"Difference: balanced accuracy minus that of {results.baseline}, percentage points.",
    )
    table.add_column("Task")
    table.add_column("Shots", justify="right")
    table.add_column("Learner")
    for column in COLUMNS:
        table.add_column(column.title, justify="right", no_wrap=column is not COLUMNS[0])
    table.add_column("Difference", justify="right")
    for group in (results.rows, results.means):
        previous: tuple[str, int] | None = None
        for row in group:
            group_of_row = (name_task(row), row.shots)
            if group_of_row != previous:
                table.add_section()
            table.add_row(*_cells(row, repeated=group_of_row == previous))
            previous = group_of_row
    return table


def classes_table(results: Results) -> Table | None:
    """Return a table of the scores by class at the largest number of shots, or None if results have none."""
    largest = max((row.shots for row in results.rows), default=0)
    scores = [row for row in results.rows if row.shots == largest]
    at_threshold = operating_rows(scores)
    rows = [*class_rows(scores), *at_threshold]
    if not rows:
        return None
    columns = class_columns(rows)
    several = len({row.score.task for row in rows}) > 1
    names = [*(["Task"] if several else []), "Learner", "Class", *(["Threshold"] if at_threshold else [])]
    table = Table(
        title=f"Scores by class with {name_shots(largest)} and 95 % intervals for new patients",
        caption="An image is found to be of the most probable class"
        + (", or of each class whose probability reaches the threshold." if at_threshold else "."),
    )
    for title in (*names, *(column.title for column in columns)):
        table.add_column(title, justify="left" if title in ("Task", "Learner", "Class") else "right")
    for row in rows:
        cells = [*([row.score.task] if several else []), row.score.learner, name_class(row)]
        cells += [("" if row.threshold is None else decimal(row.threshold))] if at_threshold else []
        table.add_row(*map(Text, (*cells, *(_class_cell(row, column) for column in columns))))
    return table


def _class_cell(row: ClassRow, column: Column) -> str:
    """Return a number, with its interval if it is a sensitivity or specificity: there is no room for more."""
    write = write_estimate if column in (SENSITIVITY, SPECIFICITY) else write_value
    return write(row.estimates[column.field], column.write) if column.field in row.estimates else ""


def _cells(row: Score | MeanScore, *, repeated: bool) -> list[Text]:
    """Return the cells of a row; task and shots are empty if they repeat the row above."""
    task_and_shots = ("", "") if repeated else (name_task(row), str(row.shots))
    accuracy, *others = COLUMNS
    numbers = [write_estimate(getattr(row, accuracy.field), accuracy.write)]
    numbers += [write_value(getattr(row, column.field), column.write) for column in others]
    style = STYLES[row.difference.verdict] if row.difference else "dim"
    return [
        *(Text(text) for text in (*task_and_shots, row.learner, *numbers)),
        Text(write_difference(row.difference), style=style),
    ]
