"""Numbers and findings in words, shared by the terminal, Markdown and HTML."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medshot.evaluation.intervals import Comparison, Estimate
from medshot.evaluation.results import MeanScore, Results, Score

DISCLAIMER = "For research, not a medical device."
CLAIMS = {"better": "beats", "worse": "does worse than", "undecided": "is not shown to beat"}
MARKS = {"better": "▲ better", "worse": "▼ worse", "undecided": "undecided"}

GLOSSARY = (
    (
        "Shots",
        "labelled patients per class that a learner is adapted to, one image each. They are the support; the other "
        "patients that it is scored on are the queries, and one draw of both is an episode.",
    ),
    (
        "Balanced accuracy",
        "the mean over classes of the share of images that are classified correctly, in %. Chance is 100 divided "
        "by the number of classes.",
    ),
    (
        "AUROC",
        "how often an image of a class gets a higher probability of that class than an image of another class, as "
        "a mean over classes; 0.5 is chance, 1 is best.",
    ),
    ("Brier score", "squared distance of the probabilities from the truth; 0 is best, 2 is worst."),
    (
        "ECE",
        "expected calibration error: the mean gap between the predicted probability and the share of correct "
        "predictions, over the queries of all episodes; 0 is best, 1 is worst.",
    ),
    (
        "Interval for new patients",
        "where the number would lie with other patients: 95 % bootstrap of patients, crossed with episodes. "
        "“Better” and “worse” are based on this interval. For a mean over tasks, the tasks are resampled, too, so "
        "the interval covers new tasks and new patients.",
    ),
    (
        "Interval over episodes",
        "where the number would lie with other support images from the same patients: 95 % bootstrap of episodes. The "
        "interval for new patients contains it, because other patients come with other supports.",
    ),
    (
        "Difference",
        "in balanced accuracy from the baseline on the same episodes, in percentage points (from 60 % to 65 % is +5 "
        "points). A bound that is printed as zero decides nothing. Intervals are not "
        "corrected for multiple comparisons: of twenty comparisons without a true difference, about one will look "
        "decided.",
    ),
)


@dataclass(frozen=True)
class Column:
    """A column of the table: its title, the field of a row, and the function that formats the value."""

    title: str
    field: str
    write: Callable[[float], str]


def percent(value: float) -> str:
    """Format a share in per cent with one decimal."""
    return f"{100 * value:z.1f}"


def points(value: float) -> str:
    """Format a difference of shares in percentage points with its sign."""
    return f"{100 * value:+z.1f}"


def decimal(value: float) -> str:
    """Format a number with three decimals."""
    return f"{value:z.3f}"


COLUMNS = (
    Column("Balanced accuracy, %", "balanced_accuracy", percent),
    Column("AUROC", "auroc", decimal),
    Column("Brier score", "brier", decimal),
    Column("ECE", "calibration_error", decimal),
)


def write_interval(interval: tuple[float, float], write: Callable[[float], str]) -> str:
    """Format an interval, for example `68.1 to 80.2`."""
    return f"{write(interval[0])} to {write(interval[1])}"


def write_value(estimate: Estimate | None, write: Callable[[float], str]) -> str:
    """Format a number without its intervals, or a dash if it is undefined."""
    return "–" if estimate is None else write(estimate.value)


def write_estimate(estimate: Estimate | None, write: Callable[[float], str]) -> str:
    """Format a number with its interval for new patients, or a dash if it is undefined."""
    if estimate is None:
        return "–"
    return f"{write(estimate.value)} ({write_interval(estimate.new_patients, write)})"


def write_difference(comparison: Comparison | None) -> str:
    """Format a difference with its interval and verdict, or "baseline" if there is none."""
    if comparison is None:
        return "baseline"
    return f"{write_estimate(comparison, points)} {MARKS[comparison.verdict]}"


def name_task(row: Score | MeanScore) -> str:
    """Return the task of a row, or the number of tasks of a mean."""
    return row.task if isinstance(row, Score) else f"mean over {row.tasks} tasks"


def name_shots(*shots: int) -> str:
    """Format numbers of shots, for example `1 shot` or `1, 5 and 10 shots`."""
    return f"{_and(shots)} {'shot' if shots == (1,) else 'shots'}"


def _and(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last


def headline(results: Results) -> str:
    """Return which learners are better or worse than the baseline, and in how many comparisons."""
    found: dict[str, list[str]] = {}
    for row in results.rows:
        if row.difference is not None:
            found.setdefault(row.learner, []).append(row.difference.verdict)
    if not found:
        return f"Only {results.baseline} was evaluated, so there is nothing to compare."
    better, worse = (
        ", ".join(
            f"{learner} in {verdicts.count(verdict)} of {len(verdicts)} comparisons"
            for learner, verdicts in found.items()
            if verdict in verdicts
        )
        for verdict in ("better", "worse")
    )
    first = f"Better than {results.baseline}: {better}." if better else f"None beats {results.baseline}."
    return f"{first} Worse: {worse}." if worse else first


def findings(results: Results) -> list[str]:
    """Return sentences that compare each learner with the baseline, over tasks and then task by task."""
    learners = list(dict.fromkeys(row.learner for row in results.rows))
    cases = [(learner, verdict) for learner in learners for verdict in CLAIMS]
    over_tasks = [
        f"Over {tasks}, {learner} {CLAIMS[verdict]} {results.baseline} for new tasks and patients: {numbers}."
        for learner, verdict in cases
        for tasks, numbers in _mean_differences(results.means, learner, verdict).items()
    ]
    by_task = [
        f"{learner} {CLAIMS[verdict]} {results.baseline} for new patients of {tasks_and_shots}."
        for learner, verdict in cases
        if (tasks_and_shots := _tasks_and_shots(results.rows, learner, verdict))
    ]
    return over_tasks + by_task


def caveats(results: Results) -> list[str]:
    """Return sentences on intervals that need an explanation."""
    sentences = [
        f"With {name_shots(row.shots)}, {row.learner} and {results.baseline} are right on the same queries of "
        f"{row.task}; the interval says for how many other patients they could differ."
        for row in results.rows
        if row.difference is not None and _is_bound_of_equals(row.difference)
    ]
    few = [row for row in results.rows if row.balanced_accuracy is not None and _is_of_episodes(row.balanced_accuracy)]
    if few:
        episodes = sorted({row.episodes for row in few})
        sentences.append(
            f"{len(few)} of {len(results.rows)} accuracies are limited by the number of episodes ({_and(episodes)}): "
            "their interval for new patients is the one over episodes. Take more episodes."
        )
    study = results.metadata.study
    without = [row.shots for row in results.rows if row.operating_points is None]
    if study is not None and study.sensitivity is not None and without:
        shots = name_shots(*sorted(set(without)))
        sentences.append(f"No threshold is chosen with {shots}: to leave patients out, each class needs two.")
    return sentences


def _is_bound_of_equals(difference: Comparison) -> bool:
    """Whether the interval of a difference is the exact bound for two learners with the same predictions."""
    low, high = difference.new_patients
    return difference.value == 0 and high > 0 and low == -high and difference.over_episodes == difference.new_patients


def _is_of_episodes(estimate: Estimate) -> bool:
    """Whether the episodes limit both ends of the interval for new patients; not so after a perfect score."""
    return 0 < estimate.value < 1 and estimate.over_episodes == estimate.new_patients


def _mean_differences(means: list[MeanScore], learner: str, verdict: str) -> dict[str, str]:
    """Return the differences with this verdict for each number of tasks.

    Example: `{"2 tasks": "+3.4 points (+0.5 to +6.3) with 5 shots"}`.
    """
    numbers: dict[str, list[str]] = {}
    for row in means:
        if row.learner == learner and row.difference is not None and row.difference.verdict == verdict:
            interval = write_interval(row.difference.new_patients, points)
            written = f"{points(row.difference.value)} points ({interval}) with {name_shots(row.shots)}"
            numbers.setdefault(f"{row.tasks} tasks", []).append(written)
    return {tasks: "; ".join(written) for tasks, written in numbers.items()}


def _tasks_and_shots(rows: list[Score], learner: str, verdict: str) -> str:
    """Return the tasks and shots with this verdict, for example `chest (1 and 5 shots), skin (5 shots)`."""
    shots: dict[str, list[int]] = {}
    for row in rows:
        if row.learner == learner and row.difference is not None and row.difference.verdict == verdict:
            shots.setdefault(row.task, []).append(row.shots)
    return ", ".join(f"{task} ({name_shots(*numbers)})" for task, numbers in shots.items())
