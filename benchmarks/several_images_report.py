"""The page on samples of several images, from what was predicted under each condition."""

import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from document import replace_part, rounded

from medshot.evaluation import EpisodePredictions
from medshot.evaluation.intervals import Estimate
from medshot.evaluation.results import Score, measure
from medshot.imaging import MISSING, SeveralImages
from medshot.reporting.wording import percent, points, write_interval
from medshot.storage import write_json
from medshot.tasks import Task

Predictions = Mapping[str, list[EpisodePredictions]]
PLAIN = "logistic, plain mean"
SIGNS = {"better": "▲", "worse": "▼", "undecided": ""}


def write_report(
    found: Mapping[tuple[str, int], Predictions], task: Task, sources: Sequence[Task], docs: Path, command: str
) -> None:
    """Write docs/several-images.md between its markers, and all numbers as JSON.

    Args:
        found: for each way of fusion and number of patients per class, the predictions under each condition.
        task: that was predicted.
        sources: that fusion was trained on.
        docs: the folder of the documentation.
        command: what made the predictions.
    """
    shots = sorted({number for _, number in found})
    names = list(dict.fromkeys(name for name, _ in found))
    conditions = list(found[PLAIN, shots[0]])
    removed = {
        (name, number): _scores(found[name, number], number, "all")
        for name in names
        for number in shots
        if len(found[name, number]) > 1
    }
    whole = {number: _whole(found, names, number) for number in shots}
    parts = [_preface(task, sources, command, len(found[PLAIN, shots[0]]["all"]))]
    parts.append("## All images there\n\n" + _table_of_whole(found, whole, shots))
    number = shots[len(shots) // 2]
    parts.append(f"## Images missing, {number} per class\n\n" + _table_of_removed(found, removed, number, conditions))
    parts.append("The others are in [results/several-images.json](results/several-images.json).")
    replace_part(docs / "several-images.md", "numbers", "\n\n".join(parts))
    numbers = {
        "command": command,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}",
        "whole": [row.model_dump(mode="json") for of_all in whole.values() for row in of_all.values()],
        "removed": {
            f"{name}, {number} per class": [
                row.model_dump(mode="json") | _changes(found[name, number], row.learner) for row in of_all.values()
            ]
            for (name, number), of_all in removed.items()
        },
    }
    write_json(docs / "results" / "several-images.json", rounded(numbers))


def _scores(predictions: Predictions, shots: int, baseline: str) -> dict[str, Score]:
    measured = measure(predictions, task="lgg_mri_genomics", shots=shots, baseline=baseline)
    return {each.score.learner: each.score for each in measured}


def _whole(found: Mapping[tuple[str, int], Predictions], names: Sequence[str], shots: int) -> dict[str, Score]:
    """All ways of fusion with all images there, and single images by logistic regression."""
    said = {name: found[name, shots]["all"] for name in names}
    said |= {
        f"logistic, {condition.split()[1]} alone": predictions
        for condition, predictions in found[PLAIN, shots].items()
        if condition.startswith("only") and condition.endswith("both")
    }
    return _scores(said, shots, PLAIN)


def _table_of_whole(
    found: Mapping[tuple[str, int], Predictions], whole: Mapping[int, Mapping[str, Score]], shots: Sequence[int]
) -> str:
    header = [
        "",
        *(text for number in shots for text in (f"{number} per class, %", "difference")),
        "Brier at 5",
        "ECE at 5",
    ]
    lines = [_line(header), _line(["---"] + ["--:"] * (len(header) - 1))]
    for name in whole[shots[0]]:
        cells = [name]
        for number in shots:
            row = whole[number][name]
            cells += [_estimate(row), _difference(row)]
        cells += [_three(whole[5][name].brier), _three(whole[5][name].calibration_error)]
        lines.append(_line(cells))
    return "\n".join(lines)


def _table_of_removed(
    found: Mapping[tuple[str, int], Predictions],
    removed: Mapping[tuple[str, int], Mapping[str, Score]],
    shots: int,
    conditions: Sequence[str],
) -> str:
    """For each way of fusion: balanced accuracy, its change, and what happens to the probabilities."""
    header = ["", "Balanced accuracy, %", "against all", "Log loss", "ECE", "mean change of p", "mean size of change"]
    tables = []
    for (name, number), rows in removed.items():
        if number != shots:
            continue
        lines = [_line(header), _line(["---"] + ["--:"] * (len(header) - 1))]
        for condition in conditions:
            row, changes = rows[condition], _changes(found[name, shots], condition)
            lines.append(
                _line(
                    [
                        condition,
                        _estimate(row),
                        _difference(row),
                        f"{changes['log_loss']:.3f}",
                        _three(row.calibration_error),
                        f"{changes['mean_change']:+.3f}",
                        f"{changes['mean_size_of_change']:.3f}",
                    ]
                )
            )
        tables.append(f"### {name}\n\n" + "\n".join(lines))
    return "\n\n".join(tables)


def _changes(predictions: Predictions, condition: str) -> dict[str, float]:
    """Log loss, and how the probability of tumour moves from what it is with all images."""
    said = np.concatenate([each.probabilities for each in predictions[condition]])
    truth = np.concatenate([each.labels for each in predictions[condition]])
    moved = said[:, 1] - np.concatenate([each.probabilities for each in predictions["all"]])[:, 1]
    right = np.clip(said[np.arange(len(truth)), truth], 1e-12, 1)
    return {
        "log_loss": round(float(-np.log(right).mean()), 5),
        "mean_change": round(float(moved.mean()), 5),
        "mean_size_of_change": round(float(np.abs(moved).mean()), 5),
    }


def _preface(task: Task, sources: Sequence[Task], command: str, episodes: int) -> str:
    images = task.images
    assert isinstance(images, SeveralImages)
    lacking = ", ".join(
        f"{name} {len(set(task.patients[images.rows[:, column] == MISSING]))}"
        for column, name in enumerate(images.names)
    )
    hospitals = [source for source in sources if source.name.startswith("brain")]
    others = ", ".join(source.name for source in sources if source not in hospitals)
    return f"""## What was measured

Written by `{command}`; do not edit. Whether a slice of LGG shows tumour ({len(task)} slices of
{len(set(task.patients.tolist()))} patients), from three contrasts of each slice; {episodes} episodes for each number of
patients per class, the same for all. Where a case lacks a contrast the published channel is a copy of FLAIR. Such
copies can be told by comparison, and count as missing here; cases by contrast: {lacking}. (The data's description
speaks of 15 cases; the others could not be told from real contrasts.) The last image of a sample is never removed.

Fusion was trained on {len(hospitals)} simulated hospitals, whose heads are rendered once in each of three sequences
with the same anatomy, scanner and noise, and on {others} (slices at two dates, as two images). "Attention made even"
is the same training with its attention put back to the plain mean afterwards: what is left is what training did to
features and head. No training task is of the data set that is scored.

Intervals: for new patients, then over episodes. ▲ and ▼ mark where the interval for new patients leaves zero."""


def _estimate(row: Score) -> str:
    assert row.balanced_accuracy
    intervals = (row.balanced_accuracy.new_patients, row.balanced_accuracy.over_episodes)
    return f"{percent(row.balanced_accuracy.value)} ({'; '.join(write_interval(each, percent) for each in intervals)})"


def _difference(row: Score) -> str:
    if row.difference is None:
        return "–"
    intervals = (row.difference.new_patients, row.difference.over_episodes)
    written = "; ".join(write_interval(each, points) for each in intervals)
    return f"{SIGNS[row.difference.verdict]}{points(row.difference.value)} ({written})"


def _three(estimate: Estimate | None) -> str:
    return f"{estimate.value:.3f}" if estimate else "–"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
