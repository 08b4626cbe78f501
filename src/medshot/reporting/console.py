"""The results of an evaluation as a table in the terminal."""

from rich.table import Table
from rich.text import Text

from medshot.evaluation.results import MeanScore, Results, Score
from medshot.reporting.wording import COLUMNS, name_task, write_difference, write_estimate, write_value

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
