"""Tables of the pages: cells, lines, and one line per learner with its scores at every number of shots."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypedDict, TypeVar

from medshot.evaluation import Results
from medshot.evaluation.intervals import Comparison, Estimate
from medshot.evaluation.results import MeanScore, Score
from medshot.reporting.wording import percent, points, write_interval

Row = TypeVar("Row", Score, MeanScore)
SIGNS = {"better": "▲", "worse": "▼", "undecided": ""}


class Table(TypedDict):
    """A table as result files hold it: written cells; the first `left` columns are text."""

    header: list[str]
    rows: list[list[str]]
    left: int


def table(header: Iterable[str], rows: Iterable[Iterable[str]], left: int = 1) -> Table:
    """Return a table; its first `left` columns are text, the others numbers."""
    return Table(header=list(header), rows=[list(row) for row in rows], left=left)


def line(cells: Iterable[str]) -> str:
    """Return one line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    aligned = ["---"] * table["left"] + ["--:"] * (len(table["header"]) - table["left"])
    return "\n".join(map(line, [table["header"], aligned, *table["rows"]]))


def written(estimate: Estimate | None, write: Callable[[float], str] = percent) -> str:
    """Return a number with both intervals, and a sign if it is a difference that is decided."""
    if estimate is None:
        return "–"
    sign = SIGNS[estimate.verdict] if isinstance(estimate, Comparison) else ""
    intervals = "; ".join(write_interval(each, write) for each in (estimate.new_patients, estimate.over_episodes))
    return f"{sign}{write(estimate.value)} ({intervals})"


def decimals(estimate: Estimate | None) -> str:
    """Return a number of three decimals without its intervals."""
    return f"{estimate.value:.3f}" if estimate else "–"


def accuracy_and_difference(row: Score | MeanScore) -> list[str]:
    """Return the two cells of a row that every table of scores has."""
    return [written(row.balanced_accuracy), written(row.difference, points)]


def by_learner(rows: Sequence[Row], cells: Callable[[Row], list[str]]) -> dict[str, list[str]]:
    """Return for each learner, in the order they come in, the cells of its rows in the order of their shots."""
    found: dict[str, list[str]] = {row.learner: [] for row in rows}
    for row in sorted(rows, key=lambda row: row.shots):
        found[row.learner].extend(cells(row))
    return found


def score_table(
    rows: Sequence[Score] | Sequence[MeanScore],
    *,
    first: str = "Learner",
    more: Mapping[str, Mapping[str, str]] | None = None,
    order: Sequence[str] | None = None,
) -> Table:
    """Return a table with a line per learner: balanced accuracy and difference at every number of shots.

    Args:
        rows: scores of one task, or means over tasks.
        first: title of the first column.
        more: further columns, each with a cell per learner; those titled with a leading space come second.
        order: of the learners; as they come if left out.
    """
    found = by_learner(rows, accuracy_and_difference)
    shots = sorted({row.shots for row in rows})
    scores = [text for number in shots for text in (f"{number} per class, %", "difference")]
    columns = more or {}
    before = [title for title in columns if title.startswith(" ")]
    after = [title for title in columns if title not in before]
    cells = [
        [name, *(columns[title][name] for title in before), *found[name], *(columns[title][name] for title in after)]
        for name in order or found
    ]
    return table([first, *map(str.strip, before), *scores, *after], cells, 1 + len(before))


def means_table(
    results: Results,
    shots: int,
    *,
    verdicts_at: int | None,
    first: str = "Learner",
    families: Mapping[str, str] | None = None,
) -> Table:
    """Return the table of means over tasks, the best learner first.

    Args:
        results: that have means.
        shots: by which learners are ordered and for which calibration and time are given.
        verdicts_at: number of shots whose decided differences are counted; those of all if None.
        first: title of the first column.
        families: a second column, if there is one.
    """
    order = sorted(
        dict.fromkeys(row.learner for row in results.means), key=lambda name: -mean_accuracy(results, name, shots)
    )
    counts, errors, times = {}, {}, {}
    for learner in order:
        rows = [row for row in results.rows if row.learner == learner]
        counted = [row.difference for row in rows if row.difference and verdicts_at in (None, row.shots)]
        verdicts = Counter(difference.verdict for difference in counted)
        of_all = f" of {len(counted)}" if verdicts_at is None else ""
        counts[learner] = f"{verdicts['better']} / {verdicts['worse']}{of_all}" if counted else "baseline"
        seconds = [row.adapt_seconds or 0.0 for row in rows if row.shots == shots]
        times[learner] = f"{1000 * sum(seconds) / len(seconds):.0f}"
        errors[learner] = decimals(mean_of(results, learner, shots).calibration_error)
    more = {" Family": families} if families else {}
    title = "▲ / ▼ of all" if verdicts_at is None else f"▲ / ▼ at {verdicts_at}"
    more |= {title: counts, f"ECE at {shots}": errors, "adapt, ms": times}
    return score_table(results.means, first=first, more=more, order=order)


def mean_of(results: Results, learner: str, shots: int) -> MeanScore:
    """Return the mean over tasks of one learner."""
    return next(row for row in results.means if (row.learner, row.shots) == (learner, shots))


def mean_accuracy(results: Results, learner: str, shots: int) -> float:
    """Return the mean balanced accuracy over tasks of one learner."""
    estimate = mean_of(results, learner, shots).balanced_accuracy
    return estimate.value if estimate else 0.0


def listed(names: Sequence[str]) -> str:
    """Return names such as "a, b and c"."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def tasks_of(results: Results) -> list[str]:
    """Return the tasks in the order they come in."""
    return list(dict.fromkeys(row.task for row in results.rows))


def data_set_sections(results: Results) -> str:
    """Return a heading, the size and the table of scores of each data set."""
    sections = []
    for task in tasks_of(results):
        rows = [row for row in results.rows if row.task == task]
        size = f"{rows[0].ways} classes; chance {percent(1 / rows[0].ways)} %; {rows[0].patients} patients."
        sections.append(f"## {task}\n\n{size}\n\n{markdown(score_table(rows))}")
    return "\n\n".join(sections)
