"""The learner that chooses among learners, by past tasks and by cross-validation on the support."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from medshot.encoders import ENCODERS
from medshot.imaging import InputSpec
from medshot.learners import Adapted, Learner, register
from medshot.learners.seeding import Randomness
from medshot.learners.serialization import NOTHING_FOUND
from medshot.selection.candidates import SENTENCES, Candidate, candidates_of
from medshot.selection.left_out_scores import describe_left_out
from medshot.selection.outcomes import Outcome, known_outcomes
from medshot.selection.task_features import SupportFeatures, left_out_folds, support_features
from medshot.tasks import Support

WIDTHS = (1.0, 0.7, 1.0)
"""Widths of the likeness of tasks, in doublings of the shots, of the ways, and of the spread."""
LEAST_SPREAD = 1e-3
UNKNOWN, FLOOR = 0.05, 0.01
"""Deviation of a candidate's advantage without any evidence, and the smallest deviation that is assumed; both as shares
of the cross-entropy of guessing."""
DRAWS = 2048

Key = tuple[str, str]


@dataclass(frozen=True)
class Belief:
    """A Gaussian distribution of every candidate's advantage over the mean of all candidates.

    Advantages are differences of cross-entropy, as shares of that of guessing.

    Args:
        mean: the mean advantage of each candidate.
        deviation: its standard deviation.
    """

    mean: Float[np.ndarray, " candidates"]
    deviation: Float[np.ndarray, " candidates"]

    def weights(self) -> Float[np.ndarray, " candidates"]:
        """Return the probability that each candidate is the best; they sum to 1."""
        noise = np.random.default_rng(0).standard_normal((DRAWS, len(self.mean)))
        best = (self.mean + self.deviation * noise).argmax(1)
        return np.bincount(best, minlength=len(self.mean)) / DRAWS

    def after(self, evidence: "Belief") -> "Belief":
        """Return the posterior of independent Gaussians; precise evidence weighs more."""
        precision = self.deviation**-2.0 + evidence.deviation**-2.0
        mean = (self.mean * self.deviation**-2.0 + evidence.mean * evidence.deviation**-2.0) / precision
        return Belief(mean, precision**-0.5)


def prior(outcomes: Sequence[Outcome], candidates: Sequence[Key], features: SupportFeatures) -> Belief:
    """Return the candidates' advantage on past tasks, each weighted by its similarity to this one.

    Only tasks on which every candidate was tried count, since advantages are relative. If a candidate has several
    outcomes on one task, the one with the most episodes counts, and the last of these. The mean is shrunk towards 0,
    and the deviation towards its value without past tasks, as if on one more task all had done equally well.

    Args:
        outcomes: the outcomes on past tasks.
        candidates: the learner and the input of each candidate.
        features: meta-features of the new support.
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
            likeness.append(_likeness(of_task[candidates[0]], features))
    if sum(likeness) < 1e-6:
        return Belief(np.zeros(len(candidates)), np.full(len(candidates), UNKNOWN))
    shares, tasks = np.array(likeness) / sum(likeness), sum(likeness)
    mean = shares @ np.array(advantages)
    variance = shares @ (np.array(advantages) - mean) ** 2
    trust = tasks / (tasks + 1)
    return Belief(trust * mean, np.maximum(np.sqrt(trust * variance + (1 - trust) * UNKNOWN**2), FLOOR))


def evidence(losses: Float[np.ndarray, "candidates patients"]) -> Belief:
    """Return the mean advantage over the patients left out in cross-validation, and its standard error.

    Args:
        losses: cross-entropy of each candidate on each left-out patient, as a share of that of guessing.
    """
    advantages = losses.mean(0) - losses
    patients = losses.shape[1]
    spread = np.sqrt((((advantages - advantages.mean(1, keepdims=True)) ** 2).sum(1) + UNKNOWN**2) / patients)
    return Belief(advantages.mean(1), np.maximum(spread / np.sqrt(patients), FLOOR))


def _likeness(outcome: Outcome, features: SupportFeatures) -> float:
    apart = (
        np.log2(outcome.shots / max(features.shots, 0.5)),
        np.log2(outcome.ways / features.ways),
        np.log2(max(outcome.spread, LEAST_SPREAD) / max(features.spread, LEAST_SPREAD)),
    )
    return float(np.exp(-0.5 * sum((gap / width) ** 2 for gap, width in zip(apart, WIDTHS, strict=True))))


LEAST_WEIGHT = 0.02
CHANCE = 0.1
"""The candidates are trusted if guessing would do as well at most this often."""


@register
class Auto(Learner):
    """Several learners, each weighted by the probability that it is the best for this task.

    The prior is the advantage of each candidate on past tasks, weighted by their likeness to this one (meta-features of
    the support: classes, labels per class, spread). Cross-validation on the support, by patients, corrects it in
    proportion to its precision: with one patient per class there is no cross-validation and the prior decides; with
    many patients the prior hardly counts (as in the warm starts of Feurer et al., Auto-sklearn, NeurIPS 2015, section
    3.1, but as a posterior). The prediction is the weighted mixture of the candidates without those of little weight.

    Inductive; nothing is meta-trained here: candidates bring what they learned across tasks. `adapt` costs up to six
    fits of every candidate.

    Args:
        input_spec: what it takes of each image; several encoders make more candidates.
        outcomes: the outcomes on past tasks; if left out, those that medshot ships and the user's own.
    """

    name = "auto"
    family = "choice"
    summary = "a mixture of the learners that past tasks and this support favour"
    paper = "after Feurer et al., NeurIPS 2015"
    cost = "six fits of a few candidates"
    randomised = True
    batchable = False
    encoders = "+".join(ENCODERS)

    def __init__(
        self,
        input_spec: InputSpec,
        *,
        outcomes: Sequence[Outcome | Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(input_spec)
        self.outcomes = None if outcomes is None else tuple(Outcome.model_validate(row) for row in outcomes)
        self.learners = nn.ModuleList(candidates_of(input_spec))
        self.keys = [candidate.key for candidate in self.candidates]
        for candidate in self.candidates:
            self.training_images |= candidate.training_images  # the same for all that have shipped weights

    def settings(self) -> dict[str, Any]:
        """Return the keyword arguments that build this learner again."""
        return {} if self.outcomes is None else {"outcomes": [row.model_dump() for row in self.outcomes]}

    def sample_randomness(self, support: Support, generator: torch.Generator) -> Randomness:
        """Sample the seed of all candidates."""
        return {"seed": torch.randint(2**62, (1,), generator=generator)}

    def adapt_one(self, support: Support, randomness: Randomness) -> Adapted:
        """Return every candidate adapted to the whole support, the weights, and the results of cross-validation."""
        support, seed = _chosen(support, support.weights > 0), int(randomness["seed"])
        folds = left_out_folds(support)
        outcomes = known_outcomes() if self.outcomes is None else self.outcomes
        belief = prior(outcomes, self.keys, support_features(self.candidates[0].view.support(support)))
        before, found, of_classes = belief.weights(), [0.0, 0.0, 1.0], torch.zeros(2, support.ways)
        if folds.max() >= 1:
            scored = folds >= 0
            truth = support.labels[scored]
            logs = torch.stack([_left_out(each, support, folds, seed)[scored] for each in self.candidates])
            who = _patients(support, scored)
            losses = -logs[:, torch.arange(len(truth)), truth] / np.log(support.ways)
            belief = belief.after(evidence(_by_patient(losses.cpu().double(), who).numpy()))
            mixed = (torch.from_numpy(belief.weights()).to(logs)[:, None, None] * logs.exp()).sum(0)
            of_patients = _by_patient(mixed.T.cpu().double(), who).argmax(0)
            classes = torch.zeros(len(of_patients), dtype=torch.int64).index_copy(0, who, truth.cpu())
            guessed = classes.bincount().max() / len(classes)
            found = [float((of_patients == classes).sum()), float(len(classes)), float(guessed)]
            of_classes[:] = _by_class(of_patients == classes, classes, support.ways)
        weights = belief.weights()
        weights = np.where(weights >= min(LEAST_WEIGHT, weights.max()), weights, 0)
        adapted = {
            "weights": torch.from_numpy(weights / weights.sum()).to(support.images),
            "before": torch.from_numpy(before).to(support.images),
            "left_out": torch.tensor(found).to(support.images),
            "left_out_classes": of_classes.to(support.images),
        }
        for number, candidate in enumerate(self.candidates):
            adapted |= {f"{number}/{name}": value for name, value in _fit(candidate, support, seed).items()}
        return adapted

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """Return the logarithm of the mixture."""
        logs = [
            candidate.predict_one(self.of_candidate(number, adapted), images).log_softmax(-1)
            for number, candidate in enumerate(self.candidates)
        ]
        weights = adapted["weights"].clamp(min=torch.finfo(logs[0].dtype).tiny).log()
        return torch.stack(logs).add(weights[:, None, None]).logsumexp(0)

    def explain(self, adapted: Adapted, classes: Sequence[str] = ()) -> str:
        """Return a sentence on what was chosen and why, for the first task."""
        from scipy.special import bdtrc  # slow to import

        weights, before = (adapted[name][0].cpu().numpy() for name in ("weights", "before"))
        right, judged = map(int, adapted["left_out"][0][:2])
        share = float(adapted["left_out"][0][2])
        counts = adapted["left_out_classes"][0].cpu().double().numpy()
        scores = describe_left_out(counts[0], counts[1], classes) if judged else ""
        first = int(weights.argmax())
        learner, takes = self.keys[first]
        chosen, others = f"{SENTENCES[learner]} on {takes}", int((weights > 0).sum()) - 1
        mixed = f"mainly {chosen} ({weights[first]:.0%}), mixed with {others} more" if others else chosen
        if not judged:
            return (
                f"Chose {mixed}, by past tasks alone: label a second patient of each class, so that it can be tried on "
                "patients left out."
            )
        if bdtrc(right - 1, judged, share) > CHANCE:
            return (
                f"{NOTHING_FOUND}: {scores}; {right} of {judged} were right, and guessing gets {share * judged:.0f}; "
                "more labels may help, or the images do not show this."
            )
        why = "past tasks favoured it" if before[first] >= weights[first] else "it did best on patients left out"
        return f"Chose {mixed}: {why}; {scores}."

    @property
    def candidates(self) -> list[Candidate]:
        """Return the learners that it chooses between."""
        return [candidate for candidate in self.learners if isinstance(candidate, Candidate)]

    @staticmethod
    def of_candidate(number: int, adapted: Adapted) -> Adapted:
        """Return what one of the candidates returned when it was adapted."""
        prefix = f"{number}/"
        return {name.removeprefix(prefix): value for name, value in adapted.items() if name.startswith(prefix)}


def _fit(candidate: Candidate, support: Support, seed: int) -> Adapted:
    return candidate.adapt_one(support, candidate.sample_randomness(support, torch.Generator().manual_seed(seed)))


def _left_out(
    candidate: Candidate, support: Support, folds: Int[Tensor, " support"], seed: int
) -> Float[Tensor, "support ways"]:
    """Return a candidate's log-probabilities of every image, from a fit without the image's fold."""
    predictions = support.images.new_zeros(len(support.labels), support.ways)
    for fold in range(int(folds.max()) + 1):
        found = _fit(candidate, _chosen(support, folds != fold), seed)
        logits = candidate.predict_one(found, support.images[folds == fold])
        predictions[folds == fold] = logits.log_softmax(1).to(predictions)
    return predictions


def _patients(support: Support, known: Bool[Tensor, " support"]) -> Int[Tensor, " known"]:
    """Return the patient of each of the known images, counted from 0."""
    if support.patients is None:
        return torch.arange(int(known.sum()))
    return support.patients[known].cpu().unique(return_inverse=True)[1]


def _by_class(
    right: Bool[Tensor, " patients"], classes: Int[Tensor, " patients"], ways: int
) -> Float[Tensor, "2 ways"]:
    """Return for each class how many patients were right and how many there are."""
    return torch.stack([classes[right].bincount(minlength=ways), classes.bincount(minlength=ways)]).float()


def _by_patient(values: Float[Tensor, "rows known"], who: Int[Tensor, " known"]) -> Float[Tensor, "rows patients"]:
    """Return the mean of each patient's values."""
    counts = who.bincount()
    return values.new_zeros(len(values), len(counts)).index_add(1, who, values) / counts


def _chosen(support: Support, chosen: Bool[Tensor, " support"]) -> Support:
    patients = None if support.patients is None else support.patients[chosen]
    return Support(support.images[chosen], support.labels[chosen], support.weights[chosen], support.ways, patients)
