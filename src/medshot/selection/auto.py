"""The learner that chooses among learners: what past tasks taught, and what the support itself says."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from scipy.special import bdtrc
from torch import Tensor, nn

from medshot.imaging import ImageShape, InputShape
from medshot.learners import Adapted, Learner, register
from medshot.learners.content import Drawn
from medshot.selection.candidates import SENTENCES, Candidate, candidates_of
from medshot.selection.choosing import evidence, prior
from medshot.selection.folds import left_out_folds
from medshot.selection.outcomes import Outcome, known_outcomes
from medshot.selection.traits import traits_of
from medshot.tasks import Support

LEAST_WEIGHT = 0.02
CHANCE = 0.1
"""Guessing is believed as long as it would do as well more often than this."""


@register
class Auto(Learner):
    """Several learners weighed by how probably each is the best for this task.

    The prior is the advantage that each candidate had on past tasks, by their likeness to this one (meta-features of
    the support alone: classes, labels per class, spread). Cross-validation on the support, patients left out whole,
    says the rest, as precise as it is: with one patient per class there is none and the prior decides; with many it
    decides alone (as in the warm starts of Feurer et al., Auto-sklearn, NeurIPS 2015, section 3.1, but as a posterior).
    The prediction is the mixture of the candidates under their weights, and those of little weight count for nothing.

    Inductive; nothing is meta-trained here: candidates bring what they learned across tasks. `adapt` costs up to six
    fits of every candidate.

    Args:
        shape: what it takes of each image; several encoders make more candidates.
        outcomes: of past tasks; those that come with medshot and the user's own where they are left out.
    """

    name = "auto"
    family = "choice"
    summary = "the learners that past tasks and this support speak for"
    paper = "after Feurer et al., NeurIPS 2015"
    cost = "six fits of a few candidates"
    randomised = True
    batchable = False

    def __init__(
        self,
        shape: InputShape = ImageShape(channels=1, size=64),
        *,
        outcomes: Sequence[Outcome | Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(shape)
        self.outcomes = None if outcomes is None else tuple(Outcome.model_validate(row) for row in outcomes)
        self.learners = nn.ModuleList(candidates_of(shape))
        self.keys = [candidate.key for candidate in self.candidates]
        for candidate in self.candidates:
            self.seen |= candidate.seen  # all that learned anything did so from the same images

    def settings(self) -> dict[str, Any]:
        """The keyword arguments that build this learner again."""
        return {} if self.outcomes is None else {"outcomes": [row.model_dump() for row in self.outcomes]}

    def draw(self, support: Support, generator: torch.Generator) -> Drawn:
        """The seed of all that candidates draw."""
        return {"seed": torch.randint(2**62, (1,), generator=generator)}

    def adapt_one(self, support: Support, drawn: Drawn) -> Adapted:
        """Every candidate adapted to the whole support, the weights, and what cross-validation found."""
        support, seed = _chosen(support, support.weights > 0), int(drawn["seed"])
        folds = left_out_folds(support)
        outcomes = known_outcomes() if self.outcomes is None else self.outcomes
        belief = prior(outcomes, self.keys, traits_of(self.candidates[0].view.support(support)))
        before, found = belief.weights(), [0.0, 0.0, 1.0]
        if folds.max() >= 1:
            known = folds >= 0
            truth = support.labels[known]
            logs = torch.stack([_left_out(each, support, folds, seed)[known] for each in self.candidates])
            who = _patients(support, known)
            losses = -logs[:, torch.arange(len(truth)), truth] / np.log(support.ways)
            belief = belief.after(evidence(_by_patient(losses.cpu().double(), who).numpy()))
            mixed = (torch.from_numpy(belief.weights()).to(logs)[:, None, None] * logs.exp()).sum(0)
            of_patients = _by_patient(mixed.T.cpu().double(), who).argmax(0)
            classes = torch.zeros(len(of_patients), dtype=torch.int64).index_copy(0, who, truth.cpu())
            guessed = classes.bincount().max() / len(classes)
            found = [float((of_patients == classes).sum()), float(len(classes)), float(guessed)]
        weights = belief.weights()
        weights = np.where(weights >= min(LEAST_WEIGHT, weights.max()), weights, 0)
        adapted = {
            "weights": torch.from_numpy(weights / weights.sum()).to(support.images),
            "before": torch.from_numpy(before).to(support.images),
            "left_out": torch.tensor(found).to(support.images),
        }
        for number, candidate in enumerate(self.candidates):
            adapted |= {f"{number}/{name}": value for name, value in _fit(candidate, support, seed).items()}
        return adapted

    def predict_one(self, adapted: Adapted, images: Float[Tensor, "queries *image"]) -> Float[Tensor, "queries ways"]:
        """The logarithm of the mixture."""
        logs = [
            candidate.predict_one(self.of_candidate(number, adapted), images).log_softmax(-1)
            for number, candidate in enumerate(self.candidates)
        ]
        weights = adapted["weights"].clamp(min=torch.finfo(logs[0].dtype).tiny).log()
        return torch.stack(logs).add(weights[:, None, None]).logsumexp(0)

    def explain(self, adapted: Adapted) -> str:
        """What was chosen and why, in a sentence; of the first task."""
        weights, before = (adapted[name][0].cpu().numpy() for name in ("weights", "before"))
        right, judged = map(int, adapted["left_out"][0][:2])
        share = float(adapted["left_out"][0][2])
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
                f"Found nothing to learn: {right} of {judged} patients were right when they were left out, and "
                f"guessing gets {share * judged:.0f}; more labels may help, or the images do not show this."
            )
        why = "past tasks favoured it" if before[first] >= weights[first] else "it did best on patients left out"
        return f"Chose {mixed}: {why}; {right} of {judged} patients were right when they were left out."

    @property
    def candidates(self) -> list[Candidate]:
        """Between which it chooses."""
        return [candidate for candidate in self.learners if isinstance(candidate, Candidate)]

    @staticmethod
    def of_candidate(number: int, adapted: Adapted) -> Adapted:
        """What one of the candidates was adapted to."""
        prefix = f"{number}/"
        return {name.removeprefix(prefix): value for name, value in adapted.items() if name.startswith(prefix)}


def _fit(candidate: Candidate, support: Support, seed: int) -> Adapted:
    return candidate.adapt_one(support, candidate.draw(support, torch.Generator().manual_seed(seed)))


def _left_out(
    candidate: Candidate, support: Support, folds: Int[Tensor, " support"], seed: int
) -> Float[Tensor, "support ways"]:
    """A candidate's log-probabilities of every image, from a fit without the image's fold."""
    said = support.images.new_zeros(len(support.labels), support.ways)
    for fold in range(int(folds.max()) + 1):
        found = _fit(candidate, _chosen(support, folds != fold), seed)
        said[folds == fold] = candidate.predict_one(found, support.images[folds == fold]).log_softmax(1).to(said)
    return said


def _patients(support: Support, known: Bool[Tensor, " support"]) -> Int[Tensor, " known"]:
    """Who each of the known images is of, counted from 0."""
    if support.patients is None:
        return torch.arange(int(known.sum()))
    return support.patients[known].cpu().unique(return_inverse=True)[1]


def _by_patient(values: Float[Tensor, "rows known"], who: Int[Tensor, " known"]) -> Float[Tensor, "rows patients"]:
    """The mean of each patient's values."""
    counts = who.bincount()
    return values.new_zeros(len(values), len(counts)).index_add(1, who, values) / counts


def _chosen(support: Support, chosen: Bool[Tensor, " support"]) -> Support:
    patients = None if support.patients is None else support.patients[chosen]
    return Support(support.images[chosen], support.labels[chosen], support.weights[chosen], support.ways, patients)
