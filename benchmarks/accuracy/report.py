"""The pages and pictures of every learner on every held-out data set, from the results of `run`."""

from collections import Counter
from pathlib import Path

from benchmarks.accuracy.plans import Plan
from benchmarks.common.arguments import Places
from benchmarks.common.pages import write_page
from benchmarks.common.pictures import drawn_lines
from benchmarks.common.results import load_results
from benchmarks.common.tables import data_set_sections, listed, markdown, means_table, tasks_of
from medshot.evaluation import Results
from medshot.evaluation.results import MeanScore
from medshot.learners import LEARNERS
from medshot.reporting.wording import points, write_interval

COLOURS = {
    "Meta-GD": "#0072B2",
    "Meta-NN": "#D55E00",
    "Meta-SVM": "#009E73",
    "Meta-RF": "#CC79A7",
    "baseline": "#7d8790",
}
SHOTS = 5


def write_report(plan: Plan, places: Places) -> None:
    """Write the page and the picture of each kind of images."""
    for name, kind in plan.kinds.items():
        part = f"{plan.part}-{name}"
        results = load_results(places, part)
        draw_means(results, places.docs / "images" / f"{part}.svg", kind.title)
        families = {row.learner: LEARNERS[row.learner].family for row in results.means}
        write_page(
            places.docs / "results" / f"{part}.md",
            Path(__file__).with_name("learners.md"),
            baseline="logistic regression on the same input",
            input=kind.title,
            learners=len(families),
            answer=answer(results),
            command=results.metadata.command,
            folds=len(plan.folds),
            seconds=round(240 * float(results.metadata.command.rpartition("--budget ")[2])),
            about="\n\n".join([plan.about, *results.metadata.notes[1:]]),
            tasks=len(tasks_of(results)),
            part=part,
            means=markdown(means_table(results, SHOTS, verdicts_at=None, families=families)),
            data_sets=data_set_sections(results),
        )


def answer(results: Results) -> str:
    """Return a sentence on which learners beat the baseline in the mean over data sets."""
    rows = [row for row in results.means if row.shots == SHOTS and row.difference]
    best = max(rows, key=lambda row: row.difference.value if row.difference else 0)
    verdicts = Counter(row.difference.verdict for row in rows if row.difference)
    beat = [row.learner for row in rows if row.difference and row.difference.verdict == "better"]
    shown = f"{len(beat)} of {len(rows)} learners ({listed(beat)})" if beat else f"none of {len(rows)} learners"
    return (
        f"with {SHOTS} patients per class {shown} {'are' if len(beat) > 1 else 'is'} shown to beat logistic regression "
        f"in the mean over {best.tasks} data sets, and {verdicts['worse'] or 'none'} "
        f"{'is' if verdicts['worse'] < 2 else 'are'} shown to be worse; the highest mean is that of {best.learner} "
        f"({lead(best)})."
    )


def lead(row: MeanScore) -> str:
    """Return the mean difference of a learner with its interval for new patients and data sets."""
    assert row.difference
    return f"{points(row.difference.value)} points, {write_interval(row.difference.new_patients, points)}"


def draw_means(results: Results, path: Path, title: str) -> None:
    """Draw the mean difference of each learner to the baseline."""
    rows = [row for row in results.means if row.shots == SHOTS and row.difference]
    rows.sort(key=lambda row: row.difference.value if row.difference else 0.0)
    with drawn_lines(path, [row.learner for row in rows], margin=0.9, spacing=0.24) as axes:
        axes.axvline(0, color="#26323b", linewidth=0.8)
        for height, row in enumerate(rows):
            assert row.difference is not None
            colour = COLOURS[LEARNERS[row.learner].family]
            for interval, width in ((row.difference.new_patients, 1.2), (row.difference.over_episodes, 4.0)):
                ends = [100 * end for end in interval]
                axes.plot(ends, [height] * 2, color=colour, linewidth=width, solid_capstyle="butt")
            axes.plot(100 * row.difference.value, height, "o", color=colour, markersize=5)
        axes.set_xlabel(
            "balanced accuracy minus logistic regression's, points (5 per class; mean over data sets)\n"
            "thin: for new patients and data sets; thick: over episodes"
        )
        axes.set_title(title, fontsize=10)
        families = [family for family in COLOURS if any(LEARNERS[row.learner].family == family for row in rows)]
        handles = [axes.plot([], [], "o", color=COLOURS[family], label=family)[0] for family in families]
        axes.legend(handles=handles, fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
