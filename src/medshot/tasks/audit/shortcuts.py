"""Findings on shortcuts: labels that can be told from how a picture was made, without looking at the disease."""

from collections.abc import Iterator

import numpy as np

from medshot.tasks.audit.cues import Cue, cues
from medshot.tasks.audit.examined import Examined
from medshot.tasks.audit.predictability import Predictability, predictability
from medshot.tasks.audit.verdict import Finding, Harm

LEVEL = 0.05  # chance of any false alarm in a task, over all its cues
_WORTH = 0.1  # skill below which a shortcut is too weak to be named
_HARMFUL = 0.2
_RESTATED = 0.98
_SAMPLES = 10_000  # samples that are enough to judge
_CLASSES = 50


def shortcut_findings(task: Examined, seed: int = 0) -> Iterator[Finding]:
    """A finding for every cue that predicts the label beyond chance and by enough to matter.

    A cue is named if no more than a share of `LEVEL / cues` of permutations did as well: by Bonferroni's inequality
    a task without any shortcut gets a finding in at most 5 of 100 cases.
    """
    if not 2 <= len(np.unique(task.labels.codes)) <= _CLASSES:
        return
    rows = _some(task, seed)
    labels = np.unique(task.labels.codes[rows], return_inverse=True)[1].reshape(-1)
    patients = task.patients[rows]
    found = cues(task, rows)
    permutations = int(np.ceil(2 * len(found) / LEVEL))
    for cue in found:
        measured = predictability(cue.values, labels, patients, permutations=permutations, seed=seed)
        if measured is None:
            return
        skill = measured.skill(int(labels.max()) + 1)
        if measured.p <= LEVEL / len(found) and skill >= _WORTH:
            yield _finding(task, cue, measured, skill)


def _some(task: Examined, seed: int) -> np.ndarray:
    """All samples, or those of randomly chosen patients where there are very many."""
    if len(task) <= _SAMPLES:
        return np.arange(len(task))
    rank = np.random.default_rng(seed).permutation(int(task.patients.max()) + 1)[task.patients]
    return np.sort(np.argsort(rank, kind="stable")[:_SAMPLES])


def _finding(task: Examined, cue: Cue, measured: Predictability, skill: float) -> Finding:
    said = (
        f"From {cue.name} alone the class can be told with a balanced accuracy of {100 * measured.accuracy:.0f} % "
        f"(permuted labels {100 * measured.chance:.0f} %, p ≤ {measured.p:.1g})"
    )
    harm, why, advice = _judged(cue, skill)
    return Finding(
        name=f"shortcut-{cue.name.replace(' ', '-')}",
        task=task.name,
        harm=harm,
        sentence=f"{said}{why}.",
        advice=advice,
        numbers={
            "balanced_accuracy": round(measured.accuracy, 4),
            "chance": round(measured.chance, 4),
            "p": round(measured.p, 6),
            "skill": round(skill, 4),
        },
    )


def _judged(cue: Cue, skill: float) -> tuple[Harm, str, str]:
    """How harmful a shortcut of this kind is, why, and what to do."""
    if cue.kind == "told" and skill >= _RESTATED:
        return "note", "; it says the label in other words", "Never give it to a model."
    if cue.kind == "told" and cue.name == "file name":
        return "note", "; a network does not see it, but whoever sorts by name does", "Shuffle before you split."
    if cue.kind == "told":
        return (
            "doubtful" if skill >= 0.2 else "note",
            ", so what a model learns may be that and not the disease",
            "Compare with a model of that column alone, and match or stratify the classes by it.",
        )
    if cue.kind == "made":
        return (
            "harmful" if skill >= _HARMFUL else "doubtful",
            ", which no disease changes",
            "Make all images in the same way (size, type, channels), or take films without marks.",
        )
    return (
        "doubtful" if skill >= 0.2 else "note",
        "; right where the classes are different kinds of picture, otherwise it shows where they come from",
        "Look at the borders and grey levels of both classes; crop or normalise, and test on another source.",
    )
