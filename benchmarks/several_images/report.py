"""The page on samples of several images, from the results of `run`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common.arguments import Places
from benchmarks.common.pages import replace_part, write_page
from benchmarks.common.results import load
from benchmarks.common.tables import accuracy_and_difference, decimals, markdown, score_table, table
from medshot.evaluation.results import Score

SHOTS = 5
HEADER = ("", "Balanced accuracy, %", "against all", "Log loss", "ECE", "mean change of p", "mean size of change")
EXTRA = ("log_loss", "mean_change", "mean_size_of_change")


def write_report(places: Places) -> None:
    """Write the page, and its summary into docs/several-images.md."""
    found = load(places, "several-images")
    whole = [Score.model_validate(row) for row in found["whole"]]
    facts = found["facts"]
    at_five = {row.learner: row for row in whole if row.shots == SHOTS}
    more = {
        f"Brier at {SHOTS}": {name: decimals(row.brier) for name, row in at_five.items()},
        f"ECE at {SHOTS}": {name: decimals(row.calibration_error) for name, row in at_five.items()},
    }
    removed = [
        f"### {name.removesuffix(f', {SHOTS} per class')}\n\n{markdown(table(HEADER, map(_cells, rows)))}"
        for name, rows in found["removed"].items()
        if name.endswith(f", {SHOTS} per class")
    ]
    write_page(
        places.docs / "results" / "several-images.md",
        Path(__file__).with_name("several-images.md"),
        answer=_answer(found["removed"]),
        command=found["command"],
        slices=facts["slices"],
        patients=facts["patients"],
        episodes=whole[0].episodes,
        lacking=", ".join(f"{name} {cases}" for name, cases in facts["lacking"].items()),
        hospitals=facts["hospitals"],
        others=", ".join(facts["others"]),
        whole=markdown(score_table(whole, first="", more=more)),
        shots=SHOTS,
        removed="\n\n".join(removed),
    )
    text = f"In short: {_answer(found['removed'])} All tables: [results/several-images.md](results/several-images.md)."
    replace_part(places.docs / "several-images.md", "numbers", text)


def _cells(row: Mapping[str, Any]) -> list[str]:
    """Return the line of one condition: balanced accuracy and its change, log loss, and change of probabilities."""
    score = _score(row)
    changes = (f"{row['log_loss']:.3f}", decimals(score.calibration_error))
    moved = (f"{row['mean_change']:+.3f}", f"{row['mean_size_of_change']:.3f}")
    return [score.learner, *accuracy_and_difference(score), *changes, *moved]


def _score(row: Mapping[str, Any]) -> Score:
    return Score.model_validate({name: value for name, value in row.items() if name not in EXTRA})


def _answer(removed: Mapping[str, list[dict[str, Any]]]) -> str:
    """Return in how many comparisons accuracy is lost when images are missing."""
    counts = {"one image": [0, 0], "two images": [0, 0]}
    for rows in removed.values():
        for row in rows:
            difference = _score(row).difference
            if difference is not None:
                count = counts["two images" if row["learner"].startswith("only") else "one image"]
                count[0] += difference.verdict == "worse"
                count[1] += 1
    return (
        "a loss of balanced accuracy is shown in "
        + " and in ".join(
            f"{worse} of {every} comparisons with {what} missing" for what, (worse, every) in counts.items()
        )
        + "; in the others none is shown."
    )
