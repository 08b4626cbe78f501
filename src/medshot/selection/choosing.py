"""From what past tasks taught and what the support itself says to a weight for every candidate."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from medshot.selection.outcomes import Outcome
from medshot.selection.traits import Traits

WIDTHS = (1.0, 0.7, 1.0)
"""Of likeness: in doublings of the shots, of the ways, and of the spread."""
LEAST_SPREAD = 1e-3
UNKNOWN, FLOOR = 0.05, 0.01
"""Deviation of a candidate's advantage about which nothing is known, and the least that is ever assumed; both as shares
of the cross-entropy of guessing."""
DRAWS = 2048

Key = tuple[str, str]


@dataclass(frozen=True)
class Belief:
    """What is thought of every candidate's advantage in cross-entropy over the mean of all, as shares of guessing.

    Args:
        mean: of each candidate.
        deviation: of each candidate.
    """

    mean: Float[np.ndarray, " candidates"]
    deviation: Float[np.ndarray, " candidates"]

    def weights(self) -> Float[np.ndarray, " candidates"]:
        """How probable it is of each candidate that it is the best; they sum to 1."""
        noise = np.random.default_rng(0).standard_normal((DRAWS, len(self.mean)))
        best = (self.mean + self.deviation * noise).argmax(1)
        return np.bincount(best, minlength=len(self.mean)) / DRAWS

    def after(self, evidence: "Belief") -> "Belief":
        """The posterior of independent Gaussians, evidence weighing more the more precise it is."""
        precision = self.deviation**-2.0 + evidence.deviation**-2.0
        mean = (self.mean * self.deviation**-2.0 + evidence.mean * evidence.deviation**-2.0) / precision
        return Belief(mean, precision**-0.5)


def prior(outcomes: Sequence[Outcome], candidates: Sequence[Key], traits: Traits) -> Belief:
    """What past tasks say of the candidates, each task weighing as much as it is like this one.

    Only tasks on which every candidate was tried count, since advantages are relative; of several outcomes of one
    candidate on one task that of most episodes, and of these the last. The mean is shrunk to none, and
    the deviation to what is assumed where nothing is known, as by one more task on which all did alike.

    Args:
        outcomes: of past tasks.
        candidates: learner and what it takes, of each candidate.
        traits: of the new support.
    """
    tried: dict[tuple[str, str, int], dict[Key, Outcome]] = {}
    for outcome in outcomes:
        place = (outcome.source, outcome.task, outcome.shots)
        of_task, key = tried.setdefault(place, {}), (outcome.learner, outcome.takes)
        if key not in of_task or outcome.episodes >= of_task[key].episodes:
            of_task[key] = outcome
    advantages, likeness = [], []
    for of_task in tried.values():
        if all(key in of_task for key in candidates):
            losses = np.array([of_task[key].loss for key in candidates])
            advantages.append(losses.mean() - losses)
            likeness.append(_likeness(of_task[candidates[0]], traits))
    if sum(likeness) < 1e-6:
        return Belief(np.zeros(len(candidates)), np.full(len(candidates), UNKNOWN))
    shares, tasks = np.array(likeness) / sum(likeness), sum(likeness)
    mean = shares @ np.array(advantages)
    variance = shares @ (np.array(advantages) - mean) ** 2
    trust = tasks / (tasks + 1)
    return Belief(trust * mean, np.maximum(np.sqrt(trust * variance + (1 - trust) * UNKNOWN**2), FLOOR))


def evidence(losses: Float[np.ndarray, "candidates patients"]) -> Belief:
    """What cross-validation says: the mean advantage over the patients that were left out, and its standard error.

    Args:
        losses: cross-entropy of each candidate on each patient that was left out, as a share of that of guessing.
    """
    advantages = losses.mean(0) - losses
    patients = losses.shape[1]
    spread = np.sqrt((((advantages - advantages.mean(1, keepdims=True)) ** 2).sum(1) + UNKNOWN**2) / patients)
    return Belief(advantages.mean(1), np.maximum(spread / np.sqrt(patients), FLOOR))


def _likeness(outcome: Outcome, traits: Traits) -> float:
    apart = (
        np.log2(outcome.shots / max(traits.shots, 0.5)),
        np.log2(outcome.ways / traits.ways),
        np.log2(max(outcome.spread, LEAST_SPREAD) / max(traits.spread, LEAST_SPREAD)),
    )
    return float(np.exp(-0.5 * sum((gap / width) ** 2 for gap, width in zip(apart, WIDTHS, strict=True))))
