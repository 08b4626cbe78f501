"""The page on active learning, from the results of `run`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.active_learning.measuring import LEARNED, RANDOM
from benchmarks.common.arguments import Places
from benchmarks.common.pages import replace_part, write_page
from benchmarks.common.results import load
from benchmarks.common.tables import SIGNS, listed, markdown, table
from medshot.evaluation.intervals import Comparison
from medshot.reporting.wording import percent, points, write_difference, write_interval
from medshot.selection.active_learning import STRATEGIES

COUNTS = (5, 10)


def write_report(places: Places) -> None:
    """Write the page, and its first table into docs/next.md."""
    found = load(places, "active-learning")
    fitted, even = found["as fitted"], found["equal prevalences"]
    better = [name for name in STRATEGIES if name != RANDOM and all(_better(fitted, name, count) for count in COUNTS)]
    still = [name for name in better if all(_better(even, name, count) for count in COUNTS)]
    answer = (
        f"{listed(_quoted(better) or ['no strategy'])} {'are' if len(better) > 1 else 'is'} shown to beat labelling "
        f"at random with {COUNTS[0]} and with {COUNTS[1]} labels; with equal prevalences "
        f"{listed(_quoted(still) or ['none'])} {'are' if len(still) > 1 else 'is'}."
    )
    write_page(
        places.docs / "results" / "active-learning.md",
        Path(__file__).with_name("active-learning.md"),
        answer=answer,
        command=found["command"],
        sets=len(fitted["tasks"]),
        repeats=found["repeats"],
        means=means(fitted),
        evened=means(even),
        most=max(COUNTS),
        each=data_sets(fitted, max(COUNTS)),
        learned=quantities(found),
    )
    text = f"In short: {answer} All tables: [results/active-learning.md](results/active-learning.md)."
    replace_part(places.docs / "next.md", "numbers", f"{text}\n\n{means(fitted)}")


def _quoted(names: Sequence[str]) -> list[str]:
    return [f"`{name}`" for name in names]


def compared(found: Mapping[str, Any] | None, sign: int = 1) -> Comparison:
    """Return a difference from a result file; sign -1 turns it around."""
    assert found
    value, *intervals = (sign * np.array(found[key]) for key in ("value", "over_episodes", "new_patients"))
    return Comparison(float(value), *((float(min(each)), float(max(each))) for each in intervals))


def _better(found: Mapping[str, Any], name: str, count: int) -> bool:
    return compared(found["means"][f"{name}, {count} labels, to {RANDOM}"]).verdict == "better"


def means(found: Mapping[str, Any]) -> str:
    """Return the table of means over data sets, and the learned strategy against the others."""

    def mean(key: str) -> str:
        return percent(float(np.mean([task[key]["value"] for task in found["tasks"].values()])))

    header = ["strategy", *(text for count in COUNTS for text in (f"{count} more, %", "minus random, points"))]
    rows = [["none labelled", mean("none, 0 labels"), *[""] * (2 * len(COUNTS) - 1)]]
    for name in STRATEGIES:
        cells = [f"`{name}`"]
        for count in COUNTS:
            key = f"{name}, {count} labels"
            change = "" if name == RANDOM else write_difference(compared(found["means"][f"{key}, to {RANDOM}"]))
            cells += [mean(key), change]
        rows.append(cells)
    against = []
    for name in STRATEGIES:
        if name not in (LEARNED, RANDOM):
            lead = compared(found["means"][f"{name}, {max(COUNTS)} labels, to {LEARNED}"], -1)
            against.append(f"to `{name}` {points(lead.value)} ({write_interval(lead.new_patients, points)})")
    lead_of_learned = f"`{LEARNED}` with {max(COUNTS)} labels, points: {'; '.join(against)}."
    return f"{markdown(table(header, rows))}\n\n{lead_of_learned}"


def data_sets(found: Mapping[str, Any], count: int) -> str:
    """Return the table of all data sets."""
    others = [name for name in STRATEGIES if name != RANDOM]
    rows = []
    for name, task in found["tasks"].items():
        changes = [compared(task[f"{other}, {count} labels"]["to_random"]) for other in others]
        values = [percent(task[key]["value"]) for key in ("none, 0 labels", f"{RANDOM}, {count} labels")]
        rows.append([name, *values, *map(_change, changes)])
    header = ["data set", "none labelled, %", "random, %", *(f"`{name}` minus random" for name in others)]
    return markdown(table(header, rows))


def _change(found: Comparison) -> str:
    text = f"{points(found.value)} ({write_interval(found.new_patients, points)}) {SIGNS[found.verdict]}"
    return text.rstrip()


def quantities(found: Mapping[str, Any]) -> str:
    """Return the table of learned coefficients."""
    rows = [
        [name, f"{gain:+.2f}", "{:+.2f} to {:+.2f}".format(*found["least and most"][name])]
        for name, gain in found["learned"].items()
    ]
    return markdown(table(["quantity", "points, all sets", "least and most when a set is left out"], rows))
